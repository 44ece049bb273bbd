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
    detectable_effect,
    disagreement_error,
    paired_items,
    pairs_for_bias,
    prompts_to_detect,
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


@pytest.mark.parametrize(
    ("effect", "items"), [(0.02, (1955, 3917, 5879)), (0.03, (865, 1737, 2609)), (0.05, (307, 621, 935))]
)
def test_known_numbers_of_items_for_a_paired_comparison(effect, items):
    """Statistics O10: 80 % power at 10, 20 and 30 % discordant items."""
    assert tuple(paired_items(effect, discordance=share) for share in (0.1, 0.2, 0.3)) == items
    assert paired_items(-effect) == paired_items(effect)


def test_items_that_share_prompts_are_worth_less():
    assert paired_items(0.03, design=design_effect(3, 0.3)) == pytest.approx(1.6 * paired_items(0.03), abs=1)


@given(st.floats(0.005, 0.2), st.floats(0.2, 0.9), st.floats(1, 4))
def test_the_planned_items_have_the_effect_as_their_smallest_detectable_one(effect, discordance, design):
    items = paired_items(effect, discordance=discordance, design=design)
    error = np.sqrt(design * (discordance - effect**2) / items)
    assert detectable_effect(error, critical=1.959963984540054) <= effect * (1 + 1e-9)
    assert prompts_to_detect(effect, error=error, prompts=items, critical=1.959963984540054) in (items - 1, items)


def test_comparisons_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no larger"):
        paired_items(0.3, discordance=0.2)
    with pytest.raises(ValueError, match="no number of prompts"):
        prompts_to_detect(0, error=0.1, prompts=10, critical=2)
