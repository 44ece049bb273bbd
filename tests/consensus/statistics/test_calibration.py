"""The slope against a general optimiser, and what it refuses to say."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from consensus.statistics.calibration import p_chosen, platt, slope
from consensus.statistics.latent import dawid_skene
from tests.consensus.simulation import HI, judged

scores = st.lists(
    st.tuples(st.integers(-60, 60).map(lambda n: n / 10), st.sampled_from([-1, 1])), min_size=1, max_size=50
)


@given(scores)
def test_the_slope_is_the_optimum(rows):
    llr, gold = (np.array(column) for column in zip(*rows, strict=True))
    found, n = platt(llr, gold), np.count_nonzero(llr)
    if n == 0:
        return
    target = (n + 1) / (n + 2)

    def loss(s):
        z = s * llr * gold
        return (target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z)).sum()

    best = minimize_scalar(loss, bounds=(0, 2 * found.value + 1), method="bounded", options={"xatol": 1e-9})
    assert loss(found.value) <= best.fun + 1e-9
    assert found.value >= 0


@given(scores)
def test_exchanging_a_and_b_changes_nothing(rows):
    llr, gold = (np.array(column) for column in zip(*rows, strict=True))
    one, other = platt(llr, gold), platt(-llr, -gold)
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), nan_ok=True)


def test_log_odds_that_are_twice_too_sure_are_halved():
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 20_000)
    gold = np.where(rng.random(20_000) < 1 / (1 + np.exp(-true)), 1, -1)
    found = platt(2 * true, gold)
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.03


def test_bounds_cover_with_clusters_of_copies():
    """Five copies of each pair are not five pairs."""
    rng, held, naive = np.random.default_rng(1), 0, 0
    for _ in range(300):
        true = rng.normal(0, 2, 80)
        gold = np.where(rng.random(80) < 1 / (1 + np.exp(-true)), 1, -1)
        llr, clusters = np.repeat(true, 5), np.repeat(np.arange(80), 5)
        found, plain = platt(llr, np.repeat(gold, 5), clusters=clusters), platt(llr, np.repeat(gold, 5))
        held += found.low <= 1 <= found.high
        naive += plain.low <= 1 <= plain.high
    assert held / 300 > 0.9
    assert naive / 300 < 0.75


def test_shared_errors_make_the_model_too_sure_and_people_set_that_right():
    """Statistics 2.1: log-loss .575 becomes .407 with gold on 5 %."""
    found = judged(HI, 10_000, np.random.default_rng(2))
    llr = dawid_skene(found.votes()).llr
    factor = platt(llr, np.where(np.arange(10_000) < 500, found.gold, 0))
    assert factor.high < 0.6
    before, after = (-np.log(p_chosen(llr, found.gold, s)).mean() for s in (1.0, factor.value))
    assert (before, after) == (pytest.approx(0.575, abs=0.02), pytest.approx(0.407, abs=0.015))


def test_without_gold_there_is_no_slope_and_no_chance():
    factor = platt([1.0, -2.0], [0, 0])
    assert isnan(factor.value)
    assert np.isnan(p_chosen([1.0, -2.0], [1, -1], factor.value)).all()
    assert isnan(slope(np.zeros(3), np.full(3, 0.9)))
    assert isnan(platt([1.0, 2.0], [1, 1], clusters=["p", "p"]).low)


def test_gold_that_never_contradicts_gives_a_finite_slope_and_gold_that_always_does_none():
    agreeing = platt(np.full(10, 2.0), np.ones(10))
    assert p_chosen([2.0], [1], agreeing.value) == pytest.approx([11 / 12])
    assert platt(np.full(10, 2.0), -np.ones(10)).value == 0


def test_a_label_against_the_model_is_less_likely_than_not_and_no_label_has_no_chance():
    found = p_chosen([1.5, 1.5, 1.5, 0.0], [1, -1, 0, 1], 0.5)
    assert found[:2] == pytest.approx([1 / (1 + np.exp(-0.75)), 1 / (1 + np.exp(0.75))])
    assert isnan(found[2])
    assert found[3] == 0.5
