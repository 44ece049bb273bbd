"""Samples by strata: laws, the textbook's numbers, and coverage where counting alike would be wrong."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from consensus.statistics.corrected import corrected_mean
from consensus.statistics.intervals import cluster_mean, mean_interval
from consensus.statistics.stratified import allocation, likely, stratified_mean

sizes = st.lists(st.integers(0, 60), min_size=1, max_size=6)


@given(sizes, st.integers(0, 200), st.data())
def test_a_sample_is_as_large_as_asked_and_no_stratum_gives_more_than_it_has(there, n, data):
    spread = data.draw(st.lists(st.floats(0, 1), min_size=len(there), max_size=len(there)))
    drawn = allocation(there, spread, n)
    assert drawn.sum() == min(n, sum(there))
    assert (drawn <= there).all()
    if n >= 2 * len(there):
        assert (drawn >= np.minimum(2, there)).all()


def test_without_a_floor_it_is_neymans():
    """Cochran 1977, 5.5: n_h proportional to N_h S_h."""
    assert allocation([100, 100, 200], [0.1, 0.3, 0.2], 80, floor=0).tolist() == [10, 30, 40]
    assert allocation([100, 300], [0.5, 0.5], 40).tolist() == [10, 30]
    assert allocation([100, 300], [0.0, 0.0], 40).tolist() == [10, 30]


def drawn(rng, n=400, strata=3):
    of = rng.integers(0, strata, n)
    y = (rng.random(n) < 0.2 + 0.3 * of).astype(float)
    return of, y, rng.choice(n, 60, replace=False)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=40))
def test_chances_of_the_other_outcome_are_the_complements(odds):
    np.testing.assert_allclose(likely(odds), 1 - likely(np.negative(odds)), atol=1e-6)


def test_the_share_of_a_kind_is_found_from_its_items_odds():
    """Readings of N(1, 1) where the outcome is 1 and N(-1, 1) where it is 0 have log-odds 2x."""
    rng = np.random.default_rng(6)
    y = rng.random(20_000) < 0.85
    chance = likely(2 * (np.where(y, 1, -1) + rng.normal(size=len(y))))
    assert chance.mean() == pytest.approx(0.85, abs=0.01)
    assert np.mean(y[(chance > 0.6) & (chance < 0.8)]) == pytest.approx(0.7, abs=0.04)  # and they are chances
    assert len(likely([])) == 0


def test_one_stratum_without_predictions_is_the_samples_own_mean_and_interval():
    of, y, rows = drawn(np.random.default_rng(0), strata=1)
    found = stratified_mean(of, rows, y[rows], clusters=np.arange(400)).mean
    plain = mean_interval(y[rows], rows)
    assert found.value == pytest.approx(plain.value)
    assert found.high - found.value == pytest.approx((plain.high - plain.value) * sqrt(400 / 399))


def test_one_stratum_with_predictions_is_the_corrected_mean():
    rng = np.random.default_rng(1)
    of, y, rows = drawn(rng, strata=1)
    f = 0.6 * y + 0.2 + rng.normal(0, 0.1, 400)
    found = stratified_mean(of, rows, y[rows], clusters=np.arange(400), predicted=f)
    plain = corrected_mean(f, f[rows], y[rows], clusters=np.arange(400), sample_clusters=rows)
    assert found.weight == pytest.approx(plain.weight, rel=0.05)
    assert found.mean.value == pytest.approx(plain.mean.value, abs=0.003)
    assert found.mean.high - found.mean.low == pytest.approx(plain.mean.high - plain.mean.low, rel=0.03)


def test_the_standard_error_is_the_textbooks_with_the_spread_between_strata_added():
    """Cochran 1977, 5.4 and 5A.9: sum W^2 s^2 / n, and sum W (mean_h - mean)^2 / N as the strata's sizes are drawn too."""
    of, y, rows = drawn(np.random.default_rng(2))
    found = stratified_mean(of, rows, y[rows], clusters=np.arange(400)).mean
    share = np.bincount(of) / 400
    groups = [y[rows][of[rows] == k] for k in range(3)]
    means = np.array([group.mean() for group in groups])
    within = sum(w**2 * group.var(ddof=1) / len(group) for w, group in zip(share, groups, strict=True))
    between = share @ (means - share @ means) ** 2 / 400
    assert found.value == pytest.approx(share @ means)
    half = student.ppf(0.975, 60 - 3) * sqrt((within + between) * 400 / 399)
    assert found.high - found.value == pytest.approx(half, rel=0.01)


@given(st.integers(0, 1000))
def test_what_strata_are_called_and_the_order_of_items_make_no_difference(seed):
    rng = np.random.default_rng(seed)
    of, y, rows = drawn(rng)
    order = rng.permutation(400)
    place = np.argsort(order)
    one = stratified_mean(of, rows, y[rows], clusters=np.arange(400)).mean
    other = stratified_mean(7 * of[order] - 3, place[rows], y[rows], clusters=order).mean
    assert (one.value, one.low) == (pytest.approx(other.value), pytest.approx(other.low))


def test_a_stratum_of_which_one_was_asked_joins_its_smaller_neighbour():
    of = np.repeat([0, 1, 2], [10, 10, 10])
    y = np.repeat([0.0, 0.0, 1.0], 10)
    rows = [0, 1, 2, 10, 20, 21]
    joined = stratified_mean(np.where(of == 1, 2, of), rows, y[rows], clusters=np.arange(30)).mean
    found = stratified_mean(of, rows, y[rows], clusters=np.arange(30)).mean
    assert found.value == pytest.approx(joined.value)
    assert found.value == pytest.approx(2 / 3 * 2 / 3)


@pytest.mark.slow
def test_a_sample_that_asks_more_where_judges_disagree_covers_only_by_strata():
    rng, held, naive, runs = np.random.default_rng(3), 0, 0, 500
    for _ in range(runs):
        prompts = np.repeat(np.arange(300), 2)
        of = rng.choice(4, 600, p=[0.1, 0.1, 0.2, 0.6])
        y = (rng.random(600) < np.array([0.1, 0.3, 0.6, 0.95])[of]).astype(float)
        asked = allocation(np.bincount(of, minlength=4), [0.3, 0.46, 0.49, 0.22], 100)
        rows = np.concatenate([rng.choice(np.flatnonzero(of == k), asked[k], replace=False) for k in range(4)])
        f = np.array([0.2, 0.4, 0.5, 0.8])[of] + rng.normal(0, 0.1, 600)
        found = stratified_mean(of, rows, y[rows], clusters=prompts, predicted=f).mean
        alike = mean_interval(y[rows], prompts[rows])
        truth = 0.01 + 0.03 + 0.12 + 0.57
        held += found.low <= truth <= found.high
        naive += alike.low <= truth <= alike.high
    assert 0.92 <= held / runs <= 0.98
    assert naive / runs < 0.85


def test_undefined_is_nan_and_a_wrong_sample_is_refused():
    assert isnan(stratified_mean([0, 1], [], [], clusters=[0, 1]).mean.value)
    few = stratified_mean([0, 0, 0], [0], [1.0], clusters=[0, 1, 2]).mean
    assert (few.value, isnan(few.low)) == (1.0, True)
    with pytest.raises(ValueError, match="stands in it twice"):
        stratified_mean([0, 0], [0, 0], [1, 1], clusters=[0, 1])
    with pytest.raises(ValueError, match="none of the items"):
        stratified_mean([0, 0], [2], [1], clusters=[0, 1])
    with pytest.raises(ValueError, match="2 strata, 1 predictions"):
        stratified_mean([0, 0], [0], [1], clusters=[0, 1], predicted=[0.5])


@given(st.integers(0, 200), st.integers(1, 4), st.booleans())
def test_the_values_of_the_items_have_the_estimate_as_mean_and_its_error_over_prompts(seed, per_prompt, predict):
    rng = np.random.default_rng(seed)
    of, y, rows = drawn(rng)
    prompts = np.arange(400) // per_prompt
    f = np.clip(0.6 * y + 0.2 + rng.normal(0, 0.2, 400), 0, 1) if predict else None
    found = stratified_mean(of, rows, y[rows], clusters=prompts, predicted=f)
    mean = cluster_mean(found.values, prompts)
    assert mean.value == pytest.approx(found.mean.value)
    free = len(set(prompts[rows])) - 3
    assert mean.error * student.ppf(0.975, free) == pytest.approx(found.mean.high - found.mean.value)
