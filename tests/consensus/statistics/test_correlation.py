"""Rank correlation of few points."""

from __future__ import annotations

from itertools import permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from consensus.statistics.correlation import (
    difference_interval,
    disattenuated,
    leave_one_out,
    reliability,
    spearman,
    spearman_interval,
    spearman_p_value,
)

POINTS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=12).filter(
    lambda points: all(len({p[k] for p in points}) > 1 for k in (0, 1))
)


@given(POINTS)
def test_it_is_scipys_correlation_and_does_not_care_which_is_first(points):
    x, y = zip(*points, strict=True)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert spearman(y, x) == pytest.approx(spearman(x, y))


@given(POINTS)
def test_turning_one_around_turns_the_sign_and_keeps_the_p_value(points):
    x, y = (np.array(values) for values in zip(*points[:7], strict=True))
    if np.ptp(x) and np.ptp(y):
        assert spearman(x, -y) == pytest.approx(-spearman(x, y))
        assert spearman_p_value(x, -y) == pytest.approx(spearman_p_value(x, y))


def test_the_interval_is_that_of_statpsychs_example():
    y = [21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19]
    x = [67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51]
    found = spearman_interval(x, y)
    assert (found.value, found.low, found.high) == pytest.approx((0.8699639, 0.5840951, 0.9638297), abs=1e-7)


@pytest.mark.parametrize(
    ("n", "rho", "p"),
    [
        (6, 0.885714, 0.03333333333333333),
        (7, 0.785714, 0.04801587301587302),
        (8, 0.738095, 0.04583333333333333),
        (8, 0.904762, 0.004563492063492064),
    ],
)
def test_known_exact_p_values(n, rho, p):
    order = next(order for order in permutations(range(n)) if abs(spearman(range(n), order) - rho) < 1e-6)
    assert spearman_p_value(range(n), order) == pytest.approx(p)


def test_random_orders_come_near_the_p_value_of_all_orders():
    rng = np.random.default_rng(1)
    order = np.array([2, 0, 1, 5, 3, 4, 8, 6, 7])
    ranks = np.arange(9) - 4.0
    every = np.abs((np.array(list(permutations(range(9)))) - 4.0) @ ranks)
    exact = (every >= abs(ranks @ (order - 4.0)) - 1e-9).mean()
    assert spearman_p_value(range(9), order, rng=rng) == pytest.approx(exact, abs=0.002)


def test_few_points_have_no_interval_and_constant_ones_no_correlation():
    assert isnan(spearman_interval([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]).low)
    assert isnan(spearman_interval(range(9), range(9)).low)
    assert isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert isnan(spearman_p_value([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="pass rng"):
        spearman_p_value(range(9), range(9))


def test_leaving_out_a_point_is_the_correlation_of_the_others():
    x, y = [1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]
    assert leave_one_out(x, y)[0] == pytest.approx(spearman(x[1:], y[1:]))
    assert leave_one_out(x, y)[-1] == pytest.approx(spearman(x[:-1], y[:-1]))


def test_reliability_finds_how_much_of_the_spread_is_no_noise():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(4000)
    noise = rng.uniform(0.3, 0.9, 4000)
    seen = truth + noise * rng.standard_normal(4000)
    assert reliability(seen, noise) == pytest.approx(1 / (1 + np.mean(noise**2)), abs=0.02)
    assert isnan(reliability([0.5, 0.5], [0.1, 0.1]))
    assert isnan(reliability([0.4, 0.5], [0.1, np.nan]))


def test_a_correlation_is_corrected_as_in_spearmans_formula_and_never_cut():
    assert disattenuated(0.63, 0.7, 0.9) == pytest.approx(0.63 / np.sqrt(0.63))
    assert disattenuated(0.9, 0.5, 0.9) > 1
    assert isnan(disattenuated(0.5, -0.1, 0.9))


@given(POINTS)
def test_a_difference_of_correlations_turns_its_sign_with_the_order_of_the_two(points):
    x, other = zip(*points, strict=True)
    y = np.arange(len(points))
    one, two = difference_interval(x, other, y), difference_interval(other, x, y)
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low), nan_ok=True)
    assert isnan(one.low) or one.low <= one.value <= one.high


def test_the_difference_of_a_metric_and_itself_is_none():
    x, y = [1, 3, 2, 5, 4, 6, 8, 7], [2, 1, 4, 3, 6, 5, 8, 7]
    found = difference_interval(x, x, y)
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)


def test_the_interval_of_a_difference_holds_the_truth_at_twelve_points():
    rng = np.random.default_rng(3)
    rho = np.array([[1, 0.3, 0.78], [0.3, 1, 0.31], [0.78, 0.31, 1]])
    root = np.linalg.cholesky(2 * np.sin(np.pi * rho / 6))  # of normal variables with these rank correlations
    found = [difference_interval(*(rng.standard_normal((12, 3)) @ root.T).T) for _ in range(400)]
    assert np.mean([each.low <= 0.47 <= each.high for each in found]) == pytest.approx(0.955, abs=0.02)
