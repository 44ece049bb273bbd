"""Intervals of estimates: by whole prompts, for proportions by formula and for the rest by resampling."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import ttest_1samp

from consensus.statistics.agreement import Panel, krippendorff_alpha
from consensus.statistics.estimate import estimate, interval, jackknife, ratio, share_of, undefined
from consensus.statistics.intervals import wilson
from consensus.statistics.votes import Cells
from tests.consensus.recorded import called

RNG = np.random.default_rng(0)


@given(st.integers(0, 10_000))
def test_the_interval_of_a_share_is_wilsons_of_its_rows(seed):
    rng = np.random.default_rng(seed)
    right, cluster = rng.random(60) < 0.7, rng.integers(0, 15, 60)
    weight = rng.choice([1.0, 10.0], 60)
    found = interval(share_of(cluster, weight * right, weight, reason=""), rng=rng)
    expected = wilson(right, cluster, weights=weight)
    assert (found.value, found.low, found.high, found.n) == pytest.approx(
        (expected.value, expected.low, expected.high, 60)
    )


@given(st.integers(0, 10_000))
def test_the_spread_of_a_ratios_sums_is_the_cluster_robust_error_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    y, cluster = rng.normal(0, 1, 50), rng.integers(0, 12, 50)
    found = estimate(cluster, [y, np.ones(50)], lambda sums: ratio(sums[..., 0], sums[..., 1]), n=50, reason="")
    residual = found.sums[:, 0] - found.value * found.sums[:, 1]
    own = np.sqrt(residual @ residual) / 50
    fitted = sm.OLS(y, np.ones(50)).fit(cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False})
    assert own == pytest.approx(fitted.bse[0])


def test_the_jackknife_of_a_mean_is_the_t_interval():
    y = np.random.default_rng(3).normal(0, 1, 40)
    found = estimate(np.arange(40), [y, np.ones(40)], lambda s: ratio(s[..., 0], s[..., 1]), n=40, reason="")
    expected = ttest_1samp(y, 0).confidence_interval()
    bounds = jackknife(found, rng=RNG)
    assert (bounds.low, bounds.high) == pytest.approx((expected.low, expected.high))


def test_the_jackknife_says_nothing_where_no_prompt_makes_a_difference_or_one_makes_all():
    same = estimate(np.arange(9), [np.ones(9), np.ones(9)], lambda s: ratio(s[..., 0], s[..., 1]), n=9, reason="")
    lonely = estimate(
        np.arange(2), [np.ones(2), np.array([1.0, 0])], lambda s: ratio(s[..., 0], s[..., 1]), n=2, reason=""
    )
    for found in (same, lonely):
        assert isnan(jackknife(found, rng=RNG).low)
        assert not isnan(found.value)


@pytest.mark.slow
def test_alpha_of_twenty_eight_prompts_is_held_by_its_interval_as_often_as_promised():
    rng = np.random.default_rng(4)

    def alpha(prompts):
        cluster = np.repeat(np.arange(prompts), rng.integers(1, 5, prompts))
        lean = rng.normal(0, 0.8, prompts)[cluster] + rng.normal(0, 0.8, len(cluster))
        chance = expit(lean[:, None, None] + rng.normal(0, 0.6, (len(cluster), 3, 1)))
        votes = called(chance, True, rng=rng, prompts=cluster)
        return krippendorff_alpha(Panel.of(votes, Cells.of(votes)))

    truth = alpha(60_000).value
    bounds = [interval(alpha(28), rng=rng) for _ in range(800)]
    held = np.mean([found.low <= truth <= found.high for found in bounds])
    assert 0.925 <= held <= 0.975


def test_all_right_is_bounded_by_the_rule_of_three_on_prompts_and_never_certain():
    ones = np.ones(60)
    found = interval(share_of(np.arange(60) // 2, 0.1 * ones, 0.1 * ones, reason=""), rng=RNG)
    assert (found.value, found.low, found.high) == (1, pytest.approx(0.9, abs=2e-4), 1)


def test_a_mean_that_is_the_same_in_every_prompt_has_a_value_but_no_bounds():
    found = interval(share_of(np.arange(9), np.full(9, 0.5), np.ones(9), reason=""), rng=RNG)
    assert found.value == 0.5
    assert isnan(found.low)


def test_what_is_undefined_has_an_interval_of_nothing_and_keeps_its_reason():
    for none in (undefined("because"), share_of(np.zeros(0, int), np.zeros(0), np.zeros(0), reason="because")):
        found = interval(none, rng=RNG)
        assert isnan(found.value)
        assert isnan(found.low)
        assert none.reason == "because"


def test_prompts_that_add_nothing_are_not_counted_as_prompts():
    some = share_of(np.array([0, 1, 2]), np.array([1.0, 0, 0]), np.array([1.0, 1, 0]), reason="")
    assert len(some.sums) == 2
    assert some.n == 2
