"""Means corrected by people, against the reference library and in simulation."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from consensus.statistics.corrected import corrected_mean

N, SAMPLE = 2400, 120


def drawn(noise, seed=17):
    """Predictions of everything; prediction and outcome on a sample."""
    rng = np.random.default_rng(seed)
    y = rng.binomial(1, 0.55, SAMPLE).astype(float)
    f = 0.25 + 0.5 * y + rng.normal(0, noise, SAMPLE)
    rest = rng.binomial(1, 0.55, N)
    return 0.25 + 0.5 * rest + rng.normal(0, noise, N), f, y


def estimated(everything, f, y, **more):
    places = {"clusters": np.arange(N), "sample_clusters": N + np.arange(len(y))}
    return corrected_mean(everything, f, y, **places | more)


def test_it_is_the_reference_librarys_up_to_the_t_quantile():
    """ppi_py 0.2.3, ppi_mean_pointestimate and ppi_mean_ci, on the same draws (it has z quantiles and no clusters)."""
    found = estimated(*drawn(0.5))
    assert found.mean.value == pytest.approx(0.61774304, abs=1e-7)
    half = (found.mean.high - found.mean.low) / 2 / student.ppf(0.975, SAMPLE - 1) * norm.ppf(0.975)
    assert half == pytest.approx((0.69405421 - 0.54143187) / 2, rel=3e-4)  # G/(G-1) of 2,520 clusters


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_it_is_the_installed_reference_librarys_too_at_every_noise(noise):
    """Point, weight and standard error of ppi_py; the quantile and G/(G-1) are ours."""
    ppi_py = pytest.importorskip("ppi_py")
    for seed in range(5):
        everything, f, y = drawn(noise, seed)
        found = estimated(everything, f, y)
        low, high = ppi_py.ppi_mean_ci(y, f, everything, alpha=0.05)
        assert found.mean.value == pytest.approx(float(ppi_py.ppi_mean_pointestimate(y, f, everything)[0]), abs=1e-9)
        half = (found.mean.high - found.mean.low) / 2 / student.ppf(0.975, SAMPLE - 1) * norm.ppf(0.975)
        assert half == pytest.approx(float(high[0] - low[0]) / 2, rel=3e-4)


def test_predictions_that_know_nothing_get_no_weight_or_little():
    everything, _, y = drawn(0.5)
    shuffled = np.random.default_rng(3).permutation(y)
    assert estimated(everything, shuffled, y).weight < 0.2
    assert estimated(everything, 1 - y, y).weight == 0


@given(st.floats(-3, 3), st.integers(0, 50))
def test_moving_all_predictions_together_changes_nothing(shift, seed):
    everything, f, y = drawn(0.3, seed)
    plain, moved = estimated(everything, f, y), estimated(everything + shift, f + shift, y)
    assert moved.mean.value == pytest.approx(plain.mean.value)
    assert moved.mean.high == pytest.approx(plain.mean.high)


@pytest.mark.slow
def test_it_covers_what_it_promises_with_prompts_and_is_narrower_than_people_alone():
    """600 items of 150 prompts, people on every fifth item; judges favour the new checkpoint by five points."""
    rng, held, narrower = np.random.default_rng(5), 0, []
    for _ in range(600):
        prompts = np.repeat(np.arange(150), 4)
        y = (rng.random(600) < rng.beta(2.5, 2, 150)[prompts]).astype(float)
        f = np.clip(y * 0.7 + 0.2 + rng.normal(0, 0.1, 600), 0, 1)
        rows = rng.choice(600, 120, replace=False)
        found = corrected_mean(f, f[rows], y[rows], clusters=prompts, sample_clusters=prompts[rows]).mean
        held += found.low <= 2.5 / 4.5 <= found.high
        narrower.append((found.high - found.low) / 2 / (1.98 * y[rows].std() / np.sqrt(120)))
    assert 0.925 <= held / 600 <= 0.975
    assert np.mean(narrower) < 0.85


def test_undefined_is_nan():
    assert isnan(corrected_mean([1.0], [], [], clusters=[0], sample_clusters=[]).mean.value)
    one = corrected_mean([0.5, 0.7], [0.5, 0.7], [0, 1], clusters=[0, 0], sample_clusters=[0, 0]).mean
    assert isnan(one.low)
    assert not isnan(one.value)
    with pytest.raises(ValueError, match="2 predictions for 1"):
        corrected_mean([0.5], [0.5, 0.7], [1], clusters=[0], sample_clusters=[0])
