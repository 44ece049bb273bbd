"""What the order does to a judge."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import binomtest

from consensus.statistics.flips import retest_agreement
from consensus.statistics.position import (
    Swaps,
    first_share,
    mcnemar,
    order_flip_rate,
    order_sensitivity,
    position_bias,
    position_consistency,
    preference_fairness,
    primacy_rate,
    recency_rate,
    sign_test,
)
from tests.consensus.recorded import called, cells_of, covers, random_votes

SEEDS = st.integers(0, 10_000)


@given(SEEDS)
def test_consistency_primacy_and_recency_add_up_to_one(seed):
    swaps = Swaps.of(cells_of(random_votes(np.random.default_rng(seed))))
    parts = [rate(swaps).value for rate in (position_consistency, primacy_rate, recency_rate)]
    assert sum(parts) == pytest.approx(1, nan_ok=True)
    assert order_flip_rate(swaps).value == pytest.approx(1 - parts[0], nan_ok=True)


@given(SEEDS)
def test_swaps_are_those_of_a_slow_reference_over_all_calls_in_one_order_and_the_other(seed):
    votes = random_votes(np.random.default_rng(seed))
    same, toward_first, toward_second, fairness = [], [], [], []
    for pair in range(12):
        ab, ba = ([c for c, p, j, f in zip(votes.choice, votes.pair, votes.judge, votes.first, strict=True)
                   if (p, j, f) == (pair, 0, order)] for order in (True, False))  # fmt: skip
        both = [(x, y) for x in ab for y in ba if 2 not in (x, y)]
        if both:
            same.append(np.mean([x == y for x, y in both]))
            toward_first.append(np.mean([x - y > 0 for x, y in both]))
            toward_second.append(np.mean([x - y < 0 for x, y in both]))
        if ab and ba:
            fairness.append(toward_second[-1] - toward_first[-1] if both else 0)
    swaps = Swaps.of(cells_of(votes))
    assert position_consistency(swaps).value == pytest.approx(np.mean(same))
    assert primacy_rate(swaps).value == pytest.approx(np.mean(toward_first))
    assert recency_rate(swaps).value == pytest.approx(np.mean(toward_second))
    assert preference_fairness(swaps).value == pytest.approx(np.mean(fairness))


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_sign_test_is_the_exact_binomial(one, other):
    expected = binomtest(one, one + other).pvalue if one + other else float("nan")
    assert sign_test(one, other) == pytest.approx(expected, nan_ok=True)


def test_mcnemar_of_fifteen_and_five():
    """Statistics O10."""
    assert sign_test(15, 5) == pytest.approx(0.04138946533203125)


def probit(rng, *, pairs, bias, spread, first, calls):
    """A judge that reads a margin ~ N(0, spread^2), is pushed to the first slot by `bias`, and errs with N(0, 1) per call."""
    margin = rng.normal(0, spread, (pairs, 1, 1))
    order = np.broadcast_to(np.where(first, 1, -1), (pairs, 1, calls))
    return cells_of(called(ndtr(margin + bias * order), first, rng=rng))


@pytest.mark.parametrize(("spread", "expected"), [(1.0, 0.083998), (0.0, 0.117911)])
def test_a_push_of_three_tenths_is_the_known_bias(spread, expected):
    rng = np.random.default_rng(1)
    first = np.tile([True, False], (200_000, 1, 1))
    found = position_bias(probit(rng, pairs=200_000, bias=0.3, spread=spread, first=first, calls=2))
    assert found.value == pytest.approx(expected, abs=0.002)


def test_orders_that_are_shown_unequally_often_do_not_pull_the_bias():
    """70 % of one order, and a is better on most pairs: the raw share of first choices is wrong, the stratified one is not."""
    rng = np.random.default_rng(2)
    margin = rng.normal(0.3, 1, (200_000, 1, 1))
    first = rng.random((200_000, 1, 1)) < 0.7
    chance = ndtr(margin + 0.25 * np.where(first, 1, -1))
    truth = float((ndtr(margin + 0.25) - ndtr(margin - 0.25)).mean() / 2)
    cells = cells_of(called(chance, first, rng=rng))
    assert position_bias(cells).value == pytest.approx(truth, abs=0.004)
    assert abs(first_share(cells).value - 0.5 - truth) > 0.02


@pytest.mark.parametrize("bias", [0.0, 0.03, 0.15])
def test_a_planted_bias_is_found_and_bounded(bias):
    """A judge that takes the first completion with chance 2 x bias whatever is in it."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        quality = rng.beta(2, 2, (150, 1, 1))
        first = rng.random((150, 1, 1)) < 0.5
        chance = (1 - 2 * bias) * quality + 2 * bias * first
        held += covers(position_bias(cells_of(called(chance, first, rng=rng, prompts=np.arange(150) // 3))), bias, rng)
    assert held >= 52


def test_a_judge_that_always_says_first_is_called_so():
    first = np.tile([True, False], (40, 1, 1))
    cells = cells_of(called(first.astype(float), first, rng=np.random.default_rng(0)))
    swaps = Swaps.of(cells)
    assert position_bias(cells).value == 0.5
    assert (position_consistency(swaps).value, primacy_rate(swaps).value) == (0, 1)
    assert preference_fairness(swaps).value == -1
    assert mcnemar(swaps).p_value < 1e-9


def test_an_innocent_judge_is_seldom_accused_by_mcnemar():
    rng = np.random.default_rng(5)
    accused = 0
    for _ in range(200):
        chance = np.repeat(rng.beta(1, 1, (80, 1, 1)), 2, axis=2)
        accused += mcnemar(Swaps.of(cells_of(called(chance, np.array([True, False]), rng=rng)))).p_value < 0.05
    assert accused <= 16


def test_pushes_that_cancel_in_the_bias_show_in_the_order_sensitivity():
    """Each pair is pushed by .2 to one slot or the other: no bias, but half the squared distance of (.7, .3) and (.3, .7)."""
    rng = np.random.default_rng(6)
    push = np.where(rng.random((4000, 1, 1)) < 0.5, 0.2, -0.2)
    first = np.tile([True] * 3 + [False] * 3, (4000, 1, 1))
    cells = cells_of(called(0.5 + push * np.where(first, 1, -1), first, rng=rng))
    assert position_bias(cells).value == pytest.approx(0, abs=0.01)
    assert order_sensitivity(Swaps.of(cells)).value == pytest.approx(0.16, abs=0.02)


def test_order_sensitivity_is_retest_agreement_less_consistency_where_all_pairs_have_both():
    cells = cells_of(random_votes(np.random.default_rng(7), pairs=40, missing=0.0, repeats=3))
    cells = cells.where(cells.valid == 3)
    swaps = Swaps.of(cells)
    pairs = np.isin(cells.pair, swaps.pair)
    expected = retest_agreement(cells.where(pairs)).value - position_consistency(swaps).value
    assert order_sensitivity(swaps).value == pytest.approx(expected)


def test_one_order_says_nothing_about_position_and_says_so():
    cells = cells_of(called(np.full((20, 1, 1), 0.7), True, rng=np.random.default_rng(8)))
    for found in (position_bias(cells), position_consistency(Swaps.of(cells))):
        assert isnan(found.value)
        assert found.reason.startswith("no pair was shown in both orders")
    assert isnan(mcnemar(Swaps.of(cells)).p_value)
