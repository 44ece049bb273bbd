"""Rewards on held-out pairs: a planted accuracy is found, by whose word is said, and length alone stands beside it."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.statistics.votes import NO_GOLD, TIE, A, B
from evaluation.rewards.analysis import EDGES, LENGTHS, analyse, coin, correct
from evaluation.rewards.table import HeldOut


def table(margins, **more):
    """Pairs of which each has a prompt of its own, with these margins."""
    n = len(margins)
    columns = {
        "pair_ids": [f"pair-{k}" for k in range(n)],
        "prompt_ids": [f"prompt-{k}" for k in range(n)],
        "chosen": margins,
        "rejected": np.zeros(n),
        "chosen_tokens": np.full(n, 10),
        "rejected_tokens": np.full(n, 10),
    }
    return HeldOut.of(**columns | more)


@given(st.lists(st.sampled_from([-1.0, 0.0, 2.0]), min_size=1, max_size=30))
def test_exchanging_chosen_and_rejected_everywhere_turns_accuracy_and_margin_round(margins):
    one, other = analyse(table(margins), "x").all, analyse(table([-m for m in margins]), "x").all
    assert one["reward_accuracy"].value == pytest.approx(1 - other["reward_accuracy"].value)
    assert one["reward_margin"].value == pytest.approx(-other["reward_margin"].value)


@given(st.lists(st.sampled_from([A, B, TIE, NO_GOLD]), min_size=1, max_size=30), st.randoms())
def test_gold_that_names_the_rejected_completion_is_as_good_as_the_pair_the_other_way_round(gold, dice):
    margins = [dice.choice([-1.0, 0.0, 3.0]) for _ in gold]
    turned = [(-m, -g) if g in (A, B) else (m, g) for m, g in zip(margins, gold, strict=True)]
    one = analyse(table(margins, gold=gold), "x").all
    other = analyse(table([m for m, _ in turned], gold=[g for _, g in turned]), "x").all
    np.testing.assert_equal(one["reward_accuracy"].value, other["reward_accuracy"].value)
    np.testing.assert_equal(one["reward_margin"].value, other["reward_margin"].value)


def test_equal_rewards_count_half():
    held = table([1.0, 0.0, -1.0, 0.0])
    assert correct(held, held.side).tolist() == [1, 0.5, 0, 0.5]
    assert analyse(held, "x").all["reward_accuracy"].value == 0.5


def test_a_checkpoint_that_is_its_own_base_is_a_coin_without_an_interval():
    found = analyse(table([0.0] * 8), "base").all
    assert found["reward_accuracy"].value == 0.5
    assert isnan(found["reward_accuracy"].low)
    assert found["reward_accuracy"].reason
    assert isnan(found.p)


def test_gold_is_believed_before_the_label_and_it_is_said_how_often():
    """The adapter follows the panel on six pairs; people contradict it on two of them, and call a third a tie."""
    held = table([1.0] * 6, gold=[B, B, A, TIE, NO_GOLD, NO_GOLD], label=[1, 1, 1, 1, 1, 0])
    found = analyse(held, "x")
    assert (found.by_people, found.by_panel, found.undecided) == (3, 1, 2)
    assert found.all["reward_accuracy"].value == 0.5
    assert found.gold["reward_accuracy"].value == pytest.approx(1 / 3)
    assert found.labels["reward_accuracy"].value == 1
    assert found.labels.items == 5
    assert "people's gold on 3 pairs, the panel's labels on the other 1" in found.judged_by


def test_a_label_that_people_overruled_still_counts_as_the_panels_word():
    """Trained on people's side, the row's chosen completion is not the panel's."""
    found = analyse(table([1.0, 1.0, 1.0], label=[-1, 1, 1], gold=[A, A, NO_GOLD]), "x")
    assert (found.all["reward_accuracy"].value, found.gold["reward_accuracy"].value) == (1, 1)
    assert found.labels["reward_accuracy"].value == pytest.approx(2 / 3)


def test_without_gold_it_says_so():
    found = analyse(table([1.0, -1.0]), "x")
    assert found.gold is None
    assert "there is no gold" in found.judged_by


def test_the_planted_accuracy_and_margin_are_within_the_interval():
    rng = np.random.default_rng(4)
    held, n = 0, 600
    for _ in range(200):
        prompt = np.repeat(np.arange(n // 3), 3)
        margins = rng.normal(0.5, 0.6, n // 3)[prompt] + rng.normal(0, 0.8, n)  # N(.5, 1): accuracy .691
        found = analyse(table(margins, prompt_ids=[f"p{k}" for k in prompt]), "x").all
        held += found["reward_accuracy"].low <= 0.6915 <= found["reward_accuracy"].high
        held += found["reward_margin"].low <= 0.5 <= found["reward_margin"].high
    assert 0.92 <= held / 400 <= 0.98


def test_a_reward_that_is_length_is_shown_to_be_no_better_than_length():
    rng = np.random.default_rng(1)
    chosen, rejected = rng.integers(5, 60, (2, 200))
    found = analyse(table(chosen - rejected * 1.0, chosen_tokens=chosen, rejected_tokens=rejected), "long").all
    assert found["length_only"].value == found["reward_accuracy"].value
    assert found["beyond_length"].value == 0


def test_every_length_has_its_bucket_and_one_part_is_none():
    ratios = (EDGES[0], 0.6, 1.0, 1.5, EDGES[-1])
    held = table([1.0] * 5, chosen_tokens=[round(60 * r) for r in ratios], rejected_tokens=[60] * 5)
    assert [(each.name, each.items) for each in analyse(held, "x").lengths] == [(name, 1) for name in LENGTHS]
    assert analyse(table([1.0] * 5), "x").lengths == ()


def test_which_completion_is_longer_is_asked_of_the_better_one():
    held = table([1.0, 1.0], chosen_tokens=[20, 20], rejected_tokens=[10, 20], gold=[B, NO_GOLD])
    assert [each.name for each in analyse(held, "x").lengths] == ["half as long or less", "about as long"]


def test_among_twenty_categories_of_coins_none_is_held_to_be_better_in_19_of_20_tables():
    rng, struck = np.random.default_rng(8), 0
    for _ in range(100):
        held = table(rng.choice([-1.0, 1.0], 600), category=[f"c{k % 20}" for k in range(600)])
        found = analyse(held, "x").categories
        struck += any(each.p < 0.05 for each in found)
        assert len(found) == 20
    assert struck <= 11


def test_pairs_of_one_prompt_are_no_proof():
    """The same outcomes, once of 60 prompts and once of 6: the interval of the latter is wider."""
    margins = [1.0] * 40 + [-1.0] * 20
    many, few = table(margins), table(margins, prompt_ids=[f"p{k // 10}" for k in range(60)])
    widths = [(f := analyse(held, "x").all["reward_accuracy"]).high - f.low for held in (many, few)]
    assert widths[1] > 2 * widths[0]


def test_the_coins_range_is_the_binomials():
    found = coin(["p"] * 100)
    assert (found.low, found.high) == (0.4, 0.6)
    assert isnan(coin([]).value)


def test_bad_columns_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        table([1.0, 2.0], rejected=[0.0])
    with pytest.raises(ValueError, match=r"no numbers, e\.g\. pair-1"):
        table([1.0, float("nan")])
    with pytest.raises(ValueError, match="gold and label must be"):
        table([1.0], gold=[7])
