"""Intervals against known values, and their coverage."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy.stats import binomtest

from consensus.intervals import wilson


def test_without_clusters_it_is_wilsons_interval_up_to_the_t_quantile():
    """One pair per prompt and many of them: the textbook interval."""
    right = [True] * 7200 + [False] * 2800
    found = wilson(right, [str(k) for k in range(10_000)])
    expected = binomtest(7200, 10_000).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-5)


def test_pairs_of_one_prompt_count_as_little_more_than_one():
    right = [bool(k % 2) for k in range(100) for _ in range(6)]
    whole = wilson(right, [str(k) for k in range(100) for _ in range(6)])
    single = wilson([bool(k % 2) for k in range(100)], [str(k) for k in range(100)])
    assert (whole.low, whole.high) == pytest.approx((single.low, single.high), abs=1e-9)


def test_undefined_is_nan_and_never_zero_or_one():
    assert isnan(wilson([], []).value)
    assert isnan(wilson([True, False], ["p", "p"]).low)


def test_all_right_is_bounded_by_the_rule_of_three_on_clusters():
    found = wilson([True] * 60, [str(k // 2) for k in range(60)])
    assert (found.low, found.high) == (pytest.approx(0.9), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.5, 0.8])
def test_it_covers_what_it_promises_where_counting_pairs_does_not(rate):
    """28 prompts of 1 to 6 pairs with intra-prompt correlation .3."""
    rng = np.random.default_rng(7)
    held = naive = 0
    for _ in range(1000):
        sizes = rng.integers(1, 7, 28)
        concentration = 1 / 0.3 - 1
        chance = np.repeat(rng.beta(rate * concentration, (1 - rate) * concentration, 28), sizes)
        right = rng.random(len(chance)) < chance
        clusters = np.repeat(np.arange(28), sizes)
        found = wilson(list(right), [str(c) for c in clusters])
        held += found.low <= rate <= found.high
        plain = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        naive += plain.low <= rate <= plain.high
    assert 0.93 <= held / 1000 <= 0.975
    assert naive / 1000 < 0.9
