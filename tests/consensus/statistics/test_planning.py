"""What an audit will know before it is paid for, against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.statistics.flips import repeat_disagreement
from consensus.statistics.planning import (
    bias_error,
    calls_to_detect_bias,
    design_effect,
    disagreement_error,
    pairs_for_bias,
)
from consensus.statistics.position import position_bias
from tests.consensus.recorded import called, cells_of


def test_known_errors_of_the_bias():
    assert bias_error(2000) == pytest.approx(0.0112, abs=1e-4)
    assert bias_error(1000, both_orders=True, order_flips=0.31) == pytest.approx(0.0088, abs=1e-4)
    assert calls_to_detect_bias(0.02) == pytest.approx(4900, abs=10)
    assert pairs_for_bias(0.02) == 2401
    assert design_effect(3, 0.3) == pytest.approx(1.6)


@given(st.floats(0.005, 0.1), st.integers(1, 10), st.booleans())
def test_as_many_pairs_as_are_planned_are_just_enough(half_width, repeats, both):
    pairs = pairs_for_bias(half_width, repeats=repeats, both_orders=both)
    z = 1.959963984540054
    assert z * bias_error(pairs, repeats=repeats, both_orders=both) <= half_width * (1 + 1e-9)
    assert pairs == 1 or z * bias_error(pairs - 1, repeats=repeats, both_orders=both) > half_width


@pytest.mark.parametrize(("repeats", "both"), [(1, False), (3, False), (1, True), (3, True)])
def test_the_planned_error_is_that_of_simulated_audits(repeats, both):
    rng = np.random.default_rng(1)
    found, pairs = [], 200
    quality = rng.beta(2, 1, 100_000)
    up, down = np.clip(quality + 0.1, 0, 1), np.clip(quality - 0.1, 0, 1)
    disagreement = float((up * (1 - up) + down * (1 - down)).mean())
    flips = float((up * (1 - down) + down * (1 - up)).mean())
    for _ in range(250):
        q = rng.choice(quality, pairs)[:, None, None]
        if both:
            first = np.tile([True] * repeats + [False] * repeats, (pairs, 1, 1))
        else:
            first = np.repeat((np.arange(pairs) % 2 == 0)[:, None, None], repeats, axis=2)
        chance = np.where(first, np.clip(q + 0.1, 0, 1), np.clip(q - 0.1, 0, 1))
        found.append(position_bias(cells_of(called(chance, first, rng=rng))).value)
    planned = bias_error(pairs, repeats=repeats, both_orders=both, disagreement=disagreement, order_flips=flips)
    assert planned == pytest.approx(np.std(found), rel=0.15)


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_the_planned_error_of_the_disagreement_is_that_of_simulated_audits(repeats):
    rng = np.random.default_rng(2)
    found = []
    for _ in range(250):
        chance = np.repeat(rng.beta(7.1, 1.9, (200, 1, 1)), repeats, axis=2)
        found.append(repeat_disagreement(cells_of(called(chance, True, rng=rng))).value)
    assert disagreement_error(200, repeats) == pytest.approx(np.std(found), rel=0.15)


def test_many_pairs_asked_a_few_times_beat_few_pairs_asked_often():
    assert disagreement_error(500, 4) < disagreement_error(40, 50)


def test_plans_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="order cannot make a judge more stable"):
        bias_error(100, disagreement=0.3, order_flips=0.2)
    with pytest.raises(ValueError, match="two calls"):
        disagreement_error(100, 1)
