"""The bet against "nothing changed"."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.statistics.drift import anchor_hits, factor, first_alarm, wealth


@given(st.floats(0.01, 0.99), st.floats(-0.999, 0.999))
def test_every_admissible_bet_is_fair_and_never_ruins(null, share):
    bet = share / null if share > 0 else share / (1 - null)
    hit, miss = factor([1, 0], null, bet)
    assert null * hit + (1 - null) * miss == pytest.approx(1)
    assert min(hit, miss) > 0


def test_known_factors():
    """Statistics O13."""
    assert list(factor([1, 0], 0.78, 0.5)) == pytest.approx([1.11, 0.61])


@pytest.mark.parametrize("bet", [-4.545454545454546, 1.2820512820512822, 7, -9])
def test_a_bet_that_could_lose_more_than_everything_is_refused(bet):
    with pytest.raises(ValueError, match="strictly between"):
        factor(0, 0.78, bet)
    with pytest.raises(ValueError, match="strictly between"):
        wealth([1, 0], 0.5, bets=[1.0])


@pytest.mark.parametrize(("hit", "null"), [(2, 0.5), (1, 1.2), (0, -0.1)])
def test_what_is_no_hit_or_no_chance_is_refused(hit, null):
    with pytest.raises(ValueError, match="hit is 0 or 1"):
        factor(hit, null, 0.1)


def test_wealth_is_the_mean_of_products():
    hits, bets = np.array([1, 0, 0, 1]), (-0.5, 0.5)
    by_hand = [np.prod(factor(hits, 0.78, b)) for b in (-0.5 / 0.22, 0.5 / 0.78)]
    assert wealth(hits, 0.78, bets=bets)[-1] == pytest.approx(np.mean(by_hand))


def test_looking_after_every_vote_seldom_raises_a_false_alarm():
    rng = np.random.default_rng(1)
    alarms = sum(first_alarm(wealth(rng.random(3000) < 0.78, 0.78), alpha=0.05) is not None for _ in range(400))
    assert alarms / 400 <= 0.05


@pytest.mark.parametrize(("rate", "delay"), [(0.65, 150), (0.70, 350), (0.90, 250)])
def test_a_judge_that_changes_is_found_in_either_direction(rate, delay):
    rng = np.random.default_rng(2)
    found = [first_alarm(wealth(rng.random(3000) < rate, 0.78), alpha=0.05) for _ in range(60)]
    assert np.median([at if at is not None else 3000 for at in found]) < delay


def test_wealth_grows_only_after_the_judge_got_worse():
    rng = np.random.default_rng(3)
    hits = np.concatenate([rng.random(500) < 0.78, rng.random(1500) < 0.6])
    at = first_alarm(wealth(hits, 0.78), alpha=0.01)
    assert at is not None
    assert at >= 500


@given(st.lists(st.integers(0, 6), min_size=3, max_size=4).filter(lambda c: 0 < sum(c) <= 7))
def test_a_hits_chance_is_its_share_among_all_orders_of_the_same_votes(count):
    """Whichever of the votes had come last: the mean of hits is the chance."""
    said = [kind for kind, n in enumerate(count) for _ in range(n)]
    hits, chances = [], []
    for last in range(len(said)):
        before = np.bincount(said[:last] + said[last + 1 :], minlength=len(count))
        hit, chance = anchor_hits([before], [said[last]])
        hits.append(hit[0])
        chances.append(chance[0])
    assert np.mean(hits) == pytest.approx(chances[0])
    assert chances == pytest.approx([chances[0]] * len(chances))


def test_verdicts_have_no_order_among_anchors():
    stored = np.array([[4, 1, 0]])
    for order in permutations(range(3)):
        hit, chance = anchor_hits(stored[:, list(order)], [order.index(1)])
        assert (hit[0], chance[0]) == (0, pytest.approx(4 / 6))


def test_an_unchanged_judge_is_not_accused_by_anchors_though_it_would_be_by_the_stored_majoritys_share():
    """400 anchors with ten stored repeats: the commonest of ten is promised to come again oftener than it does."""
    rng = np.random.default_rng(4)
    exact = naive = 0
    for _ in range(150):
        chance = rng.beta(4, 1.5, 400)
        k = rng.binomial(10, chance)
        stored = np.stack([k, 10 - k], axis=1)
        new = (rng.random(400) >= chance).astype(int)
        exact += first_alarm(wealth(*anchor_hits(stored, new)), alpha=0.05) is not None
        same = new == stored.argmax(axis=1)
        naive += first_alarm(wealth(same, np.clip(stored.max(axis=1) / 10, 0, 0.99)), alpha=0.05) is not None
    assert exact / 150 <= 0.06
    assert naive / 150 > 0.15


def test_anchors_show_a_judge_that_flips_twice_as_often():
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(40):
        chance = np.where(rng.random(200) < 0.5, 0.9, 0.1)
        k = rng.binomial(10, chance)
        now = 0.5 + (chance - 0.5) * 0.5
        new = (rng.random(200) >= now).astype(int)
        found += first_alarm(wealth(*anchor_hits(np.stack([k, 10 - k], axis=1), new))) is not None
    assert found >= 36
