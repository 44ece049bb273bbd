"""Repeat flips: one cell, many cells, and the distribution over them."""

from __future__ import annotations

from itertools import pairwise
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import beta, betabinom, binom, binomtest

from consensus.statistics.flipfit import Patterns, folded_median, folded_tail, median_flip_rate, tail_flip_share
from consensus.statistics.flips import (
    disagreement,
    expected_repeat_flip_rate,
    flip_interval,
    mean_repeat_flip_rate,
    rate_of_disagreement,
    repeat_disagreement,
    repeat_flip_rate,
    retest_agreement,
    wilson_bounds,
)
from consensus.statistics.votes import A, B, Votes
from tests.consensus.recorded import called, cells_of, covers, random_votes

COUNTS = st.lists(st.integers(0, 30), min_size=2, max_size=4)


@given(COUNTS.flatmap(lambda c: st.tuples(st.just(c), st.permutations(c))))
def test_names_of_verdicts_mean_nothing(counts):
    one, other = counts
    assert repeat_flip_rate(one) == pytest.approx(repeat_flip_rate(other), nan_ok=True)
    assert disagreement(one) == pytest.approx(disagreement(other), nan_ok=True)


@given(COUNTS)
def test_disagreement_is_the_share_of_pairs_of_calls_that_differ(count):
    said = [kind for kind, n in enumerate(count) for _ in range(n)]
    pairs = [(x, y) for k, x in enumerate(said) for y in said[:k]]
    if not pairs:
        assert isnan(disagreement(count))
    else:
        assert disagreement(count) == pytest.approx(sum(x != y for x, y in pairs) / len(pairs))


@given(st.integers(0, 500).map(lambda k: k / 1000), st.integers(2, 12))
def test_disagreement_is_unbiased_at_any_number_of_repeats_and_the_flip_rate_is_not(rate, n):
    k = np.arange(n + 1)
    chance = binom.pmf(k, n, rate)
    assert chance @ disagreement(np.stack([k, n - k], axis=1)) == pytest.approx(2 * rate * (1 - rate), abs=1e-12)
    assert chance @ repeat_flip_rate(np.stack([k, n - k], axis=1)) == pytest.approx(expected_repeat_flip_rate(rate, n))
    assert expected_repeat_flip_rate(rate, n) <= rate + 1e-12
    assert rate_of_disagreement(2 * rate * (1 - rate)) == pytest.approx(rate, abs=1e-7)


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilson_is_scipys(k, n):
    if k <= n:
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert wilson_bounds(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_fourteen_of_fifty_is_the_field_reports_pair():
    exact, wilson = flip_interval([36, 14, 0]), flip_interval([14, 36, 0], method="wilson")
    assert exact.value == pytest.approx(0.28)
    assert (exact.low, exact.high) == pytest.approx((0.16231060070717523, 0.42490535701610876))
    assert (wilson.low, wilson.high) == pytest.approx((0.17474170665911226, 0.41665123696956563))
    assert disagreement([36, 14]) == pytest.approx(0.4114285714285714)


def test_known_means_of_the_flip_rate():
    assert expected_repeat_flip_rate(0.28, 3) == pytest.approx(0.2016)
    assert expected_repeat_flip_rate(0.19, 5) == pytest.approx(0.177585, abs=1e-6)
    assert expected_repeat_flip_rate(0.45, 5) == pytest.approx(0.308756, abs=1e-6)


def test_which_verdict_is_the_minority_is_not_known_so_bounds_are_folded_at_one_half():
    assert flip_interval([26, 24]).high == 0.5
    assert flip_interval([20, 19, 18]).high > 0.5  # with three verdicts more than half can be off the commonest
    assert isnan(flip_interval([0, 0, 0]).value)


@given(st.integers(0, 10_000))
def test_means_over_cells_are_those_of_a_slow_reference(seed):
    votes = random_votes(np.random.default_rng(seed))
    chances, rates = [], []
    for pair in range(12):
        for first in (True, False):
            here = (votes.judge == 0) & (votes.pair == pair) & (votes.first == first) & (votes.choice != 2)
            said = list(votes.choice[here])
            if len(said) > 1:
                chances.append(np.mean([x != y for k, x in enumerate(said) for m, y in enumerate(said) if k != m]))
                rates.append(1 - max(said.count(kind) for kind in (1, -1, 0)) / len(said))
    cells = cells_of(votes)
    if chances:
        assert repeat_disagreement(cells).value == pytest.approx(np.mean(chances))
        assert retest_agreement(cells).value == pytest.approx(1 - np.mean(chances))
        assert mean_repeat_flip_rate(cells).value == pytest.approx(np.mean(rates))


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.28])
def test_a_planted_flip_rate_is_found_and_bounded(rate):
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        chance = np.where(rng.random((60, 1, 1)) < 0.5, rate, 1 - rate) * np.ones((60, 1, 5))
        found = repeat_disagreement(cells_of(called(chance, True, rng=rng, prompts=np.arange(60) // 2)))
        held += found.value == 0 if rate == 0 else covers(found, 2 * rate * (1 - rate), rng)
    assert held >= 52 if rate else held == 60


def test_a_cell_weighs_as_much_as_its_second_vote_was_rare():
    """One pair is always asked again and agrees; the other stands for nine, of which it alone was asked again, and differs."""
    votes = Votes.of(
        pair=[0, 0, 1, 1],
        judge=[0] * 4,
        first=[True] * 4,
        repeat=[0, 1, 0, 1],
        choice=[A, A, A, B],
        judges=["j"],
        weight=[1, 1, 1, 9],
    )
    cells = cells_of(votes)
    assert repeat_disagreement(cells).value == pytest.approx(0.9)
    assert retest_agreement(cells).value == pytest.approx(0.1)
    assert mean_repeat_flip_rate(cells).value == pytest.approx(0.45)


def test_one_call_a_request_says_nothing_about_repetition():
    rng = np.random.default_rng(0)
    found = repeat_disagreement(cells_of(called(np.full((9, 1, 1), 0.5), True, rng=rng)))
    assert isnan(found.value)
    assert found.reason == "no request was asked twice"


# The distribution over cells.


def flip_cells(rng, *, cells, repeats, a, b):
    p = rng.beta(a, b, cells)
    p = np.where(rng.random(cells) < 0.5, p, 1 - p)
    return cells_of(called(np.repeat(p[:, None, None], repeats, axis=2), True, rng=rng))


@given(st.floats(0.1, 30), st.floats(0.1, 30), st.integers(2, 20))
def test_chances_of_patterns_are_the_folded_beta_binomial(a, b, n):
    patterns = Patterns.of(np.array([n]))
    both = [betabinom.pmf(k, n, a, b) + betabinom.pmf(n - k, n, a, b) for k in patterns.k]
    expected = [chance / (2 if 2 * k == n else 1) for k, chance in zip(patterns.k, both, strict=True)]
    found = np.exp(patterns.log_chance(np.array(a), np.array(b)))
    assert found == pytest.approx(expected)
    assert found.sum() == pytest.approx(1)


@given(st.floats(0.2, 20), st.floats(0.2, 20))
def test_slopes_are_the_derivatives(a, b):
    patterns = Patterns.of(np.array([3, 8]))
    log_a, log_b, h = np.log(a), np.log(b), 1e-6

    def at(x, y):
        return patterns.log_chance(np.exp(np.array(x)), np.exp(np.array(y)))

    by_a = (at(log_a + h, log_b) - at(log_a - h, log_b)) / (2 * h)
    by_b = (at(log_a, log_b + h) - at(log_a, log_b - h)) / (2 * h)
    assert patterns.slopes(np.array(a), np.array(b)) == pytest.approx(np.stack([by_a, by_b], axis=-1), abs=1e-5)


@pytest.mark.parametrize("n", [[4], [5], [5, 4, 3], [10], [50]])
def test_the_fit_reaches_the_height_that_a_general_optimiser_reaches(n):
    rng = np.random.default_rng(5)
    patterns = Patterns.of(np.array(n))
    for _ in range(6):
        size = rng.choice(n, 300)
        p = rng.beta(rng.uniform(0.3, 6), rng.uniform(0.3, 3), 300)
        k = rng.binomial(size, p)
        seen = np.bincount(patterns.index(size, np.minimum(k, size - k)), minlength=len(patterns.n)).astype(float)

        def loss(theta, seen=seen):
            return -(seen * patterns.log_chance(*np.exp(np.clip(theta, -5, 9)))).sum()

        best = min(minimize(loss, start, method="Nelder-Mead", tol=1e-9).fun for start in ([0, -1], [2, 0], [4, 3]))
        a, b = patterns.fit(seen)
        assert loss(np.log([a, b])) <= best + 1e-4


@given(st.floats(0.2, 20), st.floats(0.2, 20), st.floats(0.05, 0.49))
def test_median_and_tail_are_those_of_the_smaller_side_of_a_beta(a, b, above):
    median = float(folded_median(np.array(a), np.array(b)))
    inside = beta.cdf(1 - median, a, b) - beta.cdf(median, a, b)
    assert inside == pytest.approx(0.5, abs=1e-6)
    tail = beta.cdf(1 - above, a, b) - beta.cdf(above, a, b)
    assert folded_tail(np.array(a), np.array(b), above) == pytest.approx(tail)


def test_five_repeats_recover_the_median_and_the_tail_that_counting_misses():
    """Median .19, 8.6 % above 40 %: the field report's judge."""
    rng = np.random.default_rng(2)
    runs = [flip_cells(rng, cells=400, repeats=5, a=7.1, b=1.9) for _ in range(20)]
    medians = [median_flip_rate(cells).value for cells in runs]
    tails = [tail_flip_share(cells, model_based=True).value for cells in runs]
    assert np.mean(medians) == pytest.approx(0.19, abs=0.015)
    assert np.mean(tails) == pytest.approx(0.086, abs=0.03)
    counted = [(repeat_flip_rate(cells.count[:, :2]) > 0.4).mean() for cells in runs]
    assert np.mean(counted) == 0  # 2 of 5 is 40 %, not more


def test_the_medians_interval_holds_it():
    rng = np.random.default_rng(4)
    held = sum(
        covers(median_flip_rate(flip_cells(rng, cells=150, repeats=5, a=7.1, b=1.9)), 0.19, rng) for _ in range(25)
    )
    assert held >= 21


def test_a_tail_share_is_refused_below_ten_repeats_unless_it_is_marked_as_the_models():
    rng = np.random.default_rng(6)
    few, many = (flip_cells(rng, cells=80, repeats=n, a=4, b=1.5) for n in (5, 10))
    refused = tail_flip_share(few)
    assert isnan(refused.value)
    assert refused.reason == "a tail share needs 10 repeats a cell, the typical one has 5"
    assert 0 < tail_flip_share(few, model_based=True).value < 1
    assert 0 < tail_flip_share(many).value < 1


def test_three_repeats_do_not_tell_a_median_from_a_mean():
    rng = np.random.default_rng(7)
    found = median_flip_rate(flip_cells(rng, cells=80, repeats=3, a=4, b=1.5))
    assert isnan(found.value)
    assert "4 or more" in found.reason


def test_a_judge_that_never_flips_has_no_distribution_to_fit():
    rng = np.random.default_rng(8)
    found = median_flip_rate(cells_of(called(np.ones((30, 1, 6)), True, rng=rng)))
    assert isnan(found.value)
    assert "a flip" in found.reason


def test_a_steadier_judge_has_a_smaller_median():
    rng = np.random.default_rng(9)
    medians = [median_flip_rate(flip_cells(rng, cells=500, repeats=8, a=a, b=1.5)).value for a in (3, 8, 20)]
    assert all(one > other for one, other in pairwise(medians))
