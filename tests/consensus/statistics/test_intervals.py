"""Intervals against known values, and their coverage."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from consensus.statistics.intervals import clopper_pearson, mean_interval, wilson

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=60)


@given(rows)
def test_a_weight_of_k_is_the_row_k_times(rows):
    """Only the number of clusters is counted, never the rows."""
    right, prompts, times = (np.array(column) for column in zip(*rows, strict=True))
    for interval in (wilson, mean_interval):
        weighted = interval(right, prompts, weights=times)
        repeated = interval(np.repeat(right, times), np.repeat(prompts, times))
        expected = (repeated.value, repeated.low, repeated.high)
        assert (weighted.value, weighted.low, weighted.high) == pytest.approx(expected, nan_ok=True, abs=1e-9)


@given(rows, st.sampled_from([0.1, 3.0, 1e6]))
def test_only_the_ratio_of_weights_matters_and_weight_zero_is_not_there(rows, unit):
    right, prompts, times = (np.array(column) for column in zip(*rows, strict=True))
    one = wilson(right, prompts, weights=times)
    other = wilson([*right, True, False], [*prompts, 7, 8], weights=[*(unit * times), 0, 0])
    assert (one.value, one.low, one.high, one.n) == pytest.approx(
        (other.value, other.low, other.high, other.n), nan_ok=True, abs=1e-9
    )


@given(rows)
def test_wrong_is_the_mirror_of_right(rows):
    right, prompts, times = (np.array(column) for column in zip(*rows, strict=True))
    one, other = wilson(right, prompts, weights=times), wilson(~right, prompts, weights=times)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), nan_ok=True, abs=1e-9)


@given(rows)
def test_the_names_of_clusters_do_not_matter(rows):
    right, prompts, _ = (np.array(column) for column in zip(*rows, strict=True))
    one, other = wilson(right, prompts), wilson(list(right), [f"prompt {p}" for p in prompts])
    assert (one.low, one.high) == pytest.approx((other.low, other.high), nan_ok=True)


def test_weighting_by_inverse_inclusion_undoes_the_selection():
    """Right votes were asked always, wrong ones one time in ten."""
    rng = np.random.default_rng(1)
    right = rng.random(40_000) < 0.7
    asked = right | (rng.random(40_000) < 0.1)
    found = wilson(right[asked], np.arange(40_000)[asked], weights=np.where(right, 1.0, 10.0)[asked])
    assert found.low < 0.7 < found.high
    assert found.value == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize(
    ("weights", "message"), [([1.0], "3 rows but 1 weights"), ([1, -1, 1], "negative or not finite")]
)
def test_weights_that_cannot_be_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        wilson([True, False, True], ["p", "q", "r"], weights=weights)


def test_one_row_per_cluster_makes_the_mean_interval_students():
    x = np.random.default_rng(2).gamma(2.0, size=40)
    found, theirs = mean_interval(x, np.arange(40)), ttest_1samp(x, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_a_mean_of_equal_differences_has_no_interval():
    """Nothing is known of a spread that was never seen; a width of 0 would claim certainty."""
    found = mean_interval([0.0] * 50, np.arange(50))
    assert found.value == 0
    assert isnan(found.low)
    assert isnan(mean_interval([], []).value)
    assert isnan(mean_interval([1.0, 2.0], ["p", "p"]).low)


def test_the_field_reports_fourteen_of_fifty():
    """Statistics O1: 28 %, exact interval 16.2 to 42.5 %."""
    found = clopper_pearson(14, 50)
    assert (found.value, found.low, found.high) == pytest.approx((0.28, 0.16231060070717523, 0.42490535701610876))


@given(st.integers(1, 60), st.data())
def test_clopper_and_pearsons_is_scipys(n, data):
    k = data.draw(st.integers(0, n))
    found, theirs = clopper_pearson(k, n), binomtest(k, n).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_no_trials_give_no_interval_and_impossible_counts_are_refused():
    assert isnan(clopper_pearson(0, 0).value)
    with pytest.raises(ValueError, match="4 successes of 3 trials"):
        clopper_pearson(4, 3)


def test_pairs_of_one_prompt_count_as_little_more_than_one():
    right = [bool(k % 2) for k in range(100) for _ in range(6)]
    whole = wilson(right, [str(k) for k in range(100) for _ in range(6)])
    single = wilson([bool(k % 2) for k in range(100)], [str(k) for k in range(100)])
    assert (whole.low, whole.high) == pytest.approx((single.low, single.high), abs=1e-9)


def test_undefined_is_nan_and_never_zero_or_one():
    assert isnan(wilson([], []).value)
    assert isnan(wilson([True, False], ["p", "p"]).low)


def test_nothing_but_ties_is_a_half_without_bounds():
    found = wilson([0.5] * 60, range(60))
    assert found.value == 0.5
    assert isnan(found.low)


def test_all_right_is_bounded_by_the_rule_of_three_on_clusters():
    found = wilson([True] * 60, [str(k // 2) for k in range(60)])
    assert (found.low, found.high) == (pytest.approx(0.9, abs=2e-4), 1.0)


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


@pytest.mark.parametrize(("right", "n"), [(3, 10), (27, 30), (140, 285)])
def test_where_every_pair_has_a_prompt_of_its_own_it_is_wilsons_interval_with_a_t_quantile(right, n):
    from scipy.stats import norm
    from scipy.stats import t as student
    from statsmodels.stats.proportion import proportion_confint

    found = wilson(np.arange(n) < right, np.arange(n))
    alpha = 2 * norm.sf(student.ppf(0.975, n - 1))
    assert (found.low, found.high) == pytest.approx(proportion_confint(right, n, alpha, method="wilson"), abs=1e-12)
