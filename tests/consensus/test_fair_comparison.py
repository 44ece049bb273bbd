"""Figures that compare a judge with people or neutral judges: an innocent one must come out innocent."""

from __future__ import annotations

import numpy as np
import pytest

from consensus.statistics.agreement import Errors, Panel, common_errors, mean_agreement, pairwise_agreement, with_people
from consensus.statistics.estimate import interval
from consensus.statistics.position import position_bias
from consensus.statistics.preferences import longer_than_people, self_preference
from consensus.statistics.votes import Cells, Votes
from tests.consensus.recorded import called, cells_of, random_votes

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("people", [0.3, 0.5, 0.7])
def test_a_judge_that_only_errs_does_not_seem_to_like_length_whatever_people_like(people):
    n = 40_000
    log2_ratio = RNG.normal(0, 1, n)
    gold = np.where(RNG.random(n) < people, np.sign(log2_ratio), -np.sign(log2_ratio)).astype(int)
    for accuracy in (0.5, 0.8, 1.0):
        chance = np.where(gold == 1, accuracy, 1 - accuracy)[:, None, None]
        cells = cells_of(called(chance, np.ones((n, 1, 1), bool), rng=RNG, gold=gold))
        assert longer_than_people(cells, gold, log2_ratio).value < 0.015


def test_a_judge_that_likes_length_is_above_people_by_as_much_as_it_likes_it():
    n = 40_000
    log2_ratio = RNG.normal(0, 1, n)
    gold = RNG.choice([-1, 1], n)
    chance = np.where(log2_ratio > 0, 0.65, 0.35)[:, None, None]
    cells = cells_of(called(chance, np.ones((n, 1, 1), bool), rng=RNG, gold=gold))
    assert longer_than_people(cells, gold, log2_ratio).value == pytest.approx(0.15, abs=0.015)


def test_another_judges_liking_for_its_family_does_not_make_an_innocent_one_look_partial():
    """Judge 0 likes family 0; judge 1 of family 1 is fair. On pairs of these two families, judge 2 alone is the yardstick."""
    n = 4000
    family_a = RNG.integers(0, 2, n)
    family_b = 1 - family_a
    fair = np.full((n, 1), 0.5)
    partial = np.where(family_a == 0, 0.9, 0.1)[:, None]
    votes = called(np.stack([partial, fair, fair], axis=1), np.ones((n, 3, 1), bool), rng=RNG)
    panel = Panel.of(votes, Cells.of(votes))
    found = [self_preference(panel, judge, family_a, family_b, np.array([0, 1, 2])).value for judge in (0, 1)]
    assert found == pytest.approx([0.4, 0.0], abs=0.03)


def test_a_judge_and_its_copy_share_all_errors_and_independent_ones_few():
    n = 20_000
    gold = np.ones(n, np.int64)
    votes = called(np.full((n, 2, 1), 0.8), np.ones((n, 2, 1), bool), rng=RNG, gold=gold)
    apart = Errors.of(Panel.of(votes, Cells.of(votes)))
    assert common_errors(apart, 0, 1).value == pytest.approx(0.04 / 0.36, abs=0.01)
    twice = Votes.of(
        pair=np.tile(votes.pair[votes.judge == 0], 2),
        judge=np.repeat([0, 1], n),
        first=np.ones(2 * n, bool),
        choice=np.tile(votes.choice[votes.judge == 0], 2),
        judges=["one", "copy"],
        gold=gold,
    )
    assert common_errors(Errors.of(Panel.of(twice, Cells.of(twice))), 0, 1).value == 1


def test_mean_agreement_is_the_mean_of_the_pairwise_ones_where_all_judges_vote():
    votes = random_votes(RNG, missing=0.0)
    votes = votes.where(votes.choice != 2)
    panel = Panel.of(votes, Cells.of(votes))
    each = [pairwise_agreement(panel, *two).value for two in ((0, 1), (0, 2), (1, 2))]
    assert mean_agreement(panel).value == pytest.approx(np.mean(each))


def test_people_are_one_more_judge_who_says_what_gold_says():
    votes = random_votes(RNG, pairs=40, missing=0.0)
    panel = with_people(Panel.of(votes, Cells.of(votes)))
    word = {1: 0, -1: 1, 0: 2}
    expected = [panel.opinion[k, 0, word[int(g)]] for k, g in enumerate(panel.gold) if g != 2 and panel.valid[k, 0]]
    assert pairwise_agreement(panel, 0, 3).value == pytest.approx(np.mean(expected))


def test_a_judge_that_always_takes_the_same_slot_has_a_bias_with_bounds():
    n = 60
    first = np.arange(n)[:, None, None] % 2 == 0
    for slot, bias in ((1.0, 0.5), (0.0, -0.5)):
        cells = cells_of(called(np.where(first, slot, 1 - slot), first, rng=RNG, prompts=np.arange(n) // 2))
        bounds = interval(position_bias(cells), rng=RNG)
        assert bounds.value == bias
        assert bounds.high - bounds.low == pytest.approx(-np.log(0.05) / 30)
        assert -0.5 <= bounds.low <= bounds.high <= 0.5
