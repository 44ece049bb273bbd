"""The cluster bootstrap and the sign-flip test against scipy's, and where they refuse."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap, permutation_test

from consensus.statistics.bootstrap import bca, sign_flip_p
from consensus.statistics.clusters import cluster_codes, cluster_sums, dealt

sums_of = arrays(np.float64, st.tuples(st.integers(5, 40), st.just(2)), elements=st.integers(1, 9).map(float))


def share(totals):
    return totals[..., 0] / totals[..., 1]


@settings(max_examples=30)
@given(sums_of, st.sampled_from([0.5, 8.0, 1024.0]))
def test_units_do_not_matter_to_a_ratio(sums, unit):
    one = bca(sums, share, rng=np.random.default_rng(1), resamples=200)
    other = bca(sums * unit, share, rng=np.random.default_rng(1), resamples=200)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), nan_ok=True)


@settings(max_examples=30)
@given(sums_of)
def test_bounds_are_in_order_and_turn_over_with_the_statistic(sums):
    up = bca(sums, share, rng=np.random.default_rng(2), resamples=400)
    down = bca(sums, lambda totals: -share(totals), rng=np.random.default_rng(2), resamples=400)
    assert isnan(up.low) or up.low <= up.high
    assert (up.low, up.high) == pytest.approx((-down.high, -down.low), nan_ok=True)


def test_one_row_per_cluster_is_scipys_bca():
    x = np.random.default_rng(3).gamma(2.0, size=60)
    found = bca(np.stack([x, np.ones(60)], axis=1), share, rng=np.random.default_rng(4), resamples=40_000)
    theirs = bootstrap(
        (x,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_a_win_rate_of_few_kinds_of_items_has_scipys_bounds():
    wins = np.random.default_rng(30).choice([0, 0.5, 1], 400, p=[0.2, 0.1, 0.7])
    sums = np.stack([wins, np.ones(400)], axis=1)
    found = bca(sums, share, rng=np.random.default_rng(31), resamples=40_000)
    theirs = bootstrap((wins,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(32))
    assert (found.low, found.high) == pytest.approx(theirs.confidence_interval, abs=0.003)


@pytest.mark.parametrize("seed", range(3))
def test_clusters_of_few_kinds_have_the_bounds_that_they_have_one_by_one(seed):
    """A multinomial draw of 16 kinds; a speck of noise makes every cluster a kind of its own."""
    rng = np.random.default_rng([33, seed])
    sums = rng.integers(1, 5, (400, 2)).astype(float)
    kinds = bca(sums, share, rng=rng, resamples=10_000)
    singly = bca(sums * (1 + 1e-9 * rng.random((400, 1))), share, rng=rng, resamples=10_000)
    assert (kinds.low, kinds.high) == pytest.approx((singly.low, singly.high), abs=0.06 * (singly.high - singly.low))


def test_kinds_that_only_seem_alike_are_told_apart():
    """Both rows have the same shadow, sqrt 6, by which kinds are sorted."""
    rows = np.array([[np.sqrt(3), 1e-300], [0.0, np.sqrt(2)]] * 100)
    found = bca(rows, lambda totals: totals[..., 1] / totals.sum(axis=-1), rng=np.random.default_rng(36))
    assert found.value == pytest.approx(np.sqrt(2) / (np.sqrt(2) + np.sqrt(3)))
    assert found.low < found.value < found.high


def test_a_thousand_groups_are_as_good_as_fifty_thousand_clusters():
    rng = np.random.default_rng(6)
    sizes = rng.integers(1, 7, 50_000)
    sums = np.stack([rng.binomial(sizes, 0.8), sizes], axis=1).astype(float)
    found = bca(sums, share, rng=rng, n=int(sizes.sum()))
    error = np.sqrt(0.8 * 0.2 / sizes.sum())
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.12)
    assert found.n == sizes.sum()


def test_dealing_loses_nothing_and_keeps_few_clusters_as_they_are():
    rng = np.random.default_rng(7)
    sums = rng.random((2500, 3))
    groups = dealt(sums, rng)
    assert groups.shape == (1000, 3)
    assert groups.sum(axis=0) == pytest.approx(sums.sum(axis=0))
    assert np.array_equal(dealt(sums[:1000], rng), sums[:1000])


@pytest.mark.parametrize(
    "sums",
    [
        np.empty((0, 2)),
        np.array([[1.0, 2.0]]),  # one cluster
        np.array([[1.0, 2.0]] * 20),  # the same in every resample
        np.array([[0.0, 0.0]] * 20),  # undefined
        np.array([[1.0, 2.0]] + [[0.0, 0.0]] * 20),  # undefined without the one cluster
    ],
)
def test_what_the_data_do_not_show_has_no_bounds(sums):
    found = bca(sums, share, rng=np.random.default_rng(8))
    assert isnan(found.low)
    assert isnan(found.high)


def test_the_seed_decides():
    sums = np.random.default_rng(9).random((50, 2)) + 1
    assert bca(sums, share, rng=np.random.default_rng(1)) == bca(sums, share, rng=np.random.default_rng(1))


@settings(max_examples=50)
@given(arrays(np.float64, st.integers(2, 9), elements=st.integers(-5, 5).map(float)))
def test_few_clusters_are_flipped_in_every_way(differences):
    """The exact test: scipy's, with the pairs of 0 and each difference permuted."""
    found = sign_flip_p(differences, np.arange(len(differences)), rng=np.random.default_rng(1))
    if not differences.any():
        assert isnan(found)
        return
    theirs = permutation_test(
        (differences, np.zeros(len(differences))),
        lambda x, y, axis: np.abs(np.mean(x - y, axis=axis)),
        permutation_type="samples",
        vectorized=True,
        alternative="greater",
        n_resamples=np.inf,
    )
    assert found == pytest.approx(theirs.pvalue)


def test_many_clusters_are_flipped_at_random_and_whole():
    rng = np.random.default_rng(10)
    means = rng.normal(0, 1, 200)
    means += 0.15 - means.mean()  # the same for all pairs of a prompt: two hundred facts, not twelve hundred
    values, prompts = np.repeat(means, 6), np.repeat(np.arange(200), 6)
    found = sign_flip_p(values, prompts, rng=rng)
    assert found == pytest.approx(sign_flip_p(means, np.arange(200), rng=rng), abs=0.01)
    assert found > 10 * sign_flip_p(values, np.arange(1200), rng=rng)


def test_under_the_null_few_p_values_are_small():
    rng = np.random.default_rng(11)
    small = [sign_flip_p(rng.normal(size=30), np.arange(30), rng=rng, flips=199) <= 0.05 for _ in range(400)]
    assert 0.02 <= np.mean(small) <= 0.085


@given(st.lists(st.integers(0, 50), min_size=1, max_size=80))
def test_clusters_are_numbered_alike_whatever_they_are_called(names):
    codes = cluster_codes(names)
    assert set(codes) == set(range(len(set(names))))
    for other in ([str(n) for n in names], np.array([f"p{n}" for n in names]), np.array(names) * 10**9 - 7):
        assert len(set(zip(codes, cluster_codes(other), strict=True))) == len(set(names))


def test_a_row_without_a_cluster_is_refused():
    with pytest.raises(ValueError, match="1 rows have no cluster"):
        cluster_codes(["p", None, "q"])
    with pytest.raises(ValueError, match="3 values but 2 clusters"):
        cluster_sums([1, 2, 3], ["p", "q"])
