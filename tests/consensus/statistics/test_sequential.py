"""Looking more than once without promising more than one look would."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from consensus.statistics.sequential import Look, crossing, next_look, planned, spending

ALPHA = 0.025


@pytest.mark.parametrize(("looks", "constant"), [(2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)])
def test_obrien_and_flemings_published_constants_spend_five_percent_on_both_sides(looks, constant):
    """Jennison & Turnbull 2000, Group Sequential Methods, table 2.3."""
    bounds = [constant * sqrt(looks / k) for k in range(1, looks + 1)]
    assert sum(crossing(bounds, range(1, looks + 1))) == pytest.approx(ALPHA, abs=5e-5)


def test_five_looks_have_lan_and_demets_published_bounds():
    """As the R package ldbounds gives them for 5 % on both sides."""
    assert planned(5, ALPHA) == pytest.approx([4.8769, 3.3570, 2.6803, 2.2898, 2.0310], abs=2e-4)


def test_one_look_is_the_usual_bound():
    assert planned(1, ALPHA) == pytest.approx([norm.isf(ALPHA)])


def test_ten_naive_looks_find_what_is_not_there_four_times_too_often():
    """18.7 to 19.3 % for 5 % on both sides."""
    assert sum(crossing([norm.isf(ALPHA)] * 10, range(1, 11))) == pytest.approx(0.097, abs=0.001)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(40, 400), min_size=1, max_size=5), st.sampled_from([0.005, 0.025, 0.1]))
def test_whatever_each_look_adds_all_looks_together_spend_what_was_promised(added, alpha):
    past: list[Look] = []
    for information in np.cumsum(added):
        past.append(next_look(past, float(information), looks=len(added), alpha=alpha))
    total = sum(crossing([look.critical for look in past], [look.information for look in past]))
    assert total == pytest.approx(alpha, rel=1e-4)
    assert past[-1].spent == pytest.approx(alpha)


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.001, 0.2))
def test_spending_grows_to_all_there_is(one, other, alpha):
    assert spending(min(one, other), alpha) <= spending(max(one, other), alpha) <= alpha
    assert spending(1.0, alpha) == spending(7.0, alpha) == alpha


def test_simulated_looks_cross_as_often_as_computed():
    rng, times = np.random.default_rng(1), np.array([30, 70, 100, 240.0])
    bounds = [2.5, 2.2, 2.1, 2.0]
    steps = rng.normal(size=(200_000, 4)) * np.sqrt(np.diff(times, prepend=0))
    over = np.cumsum(steps, axis=1) / np.sqrt(times) > bounds
    first = np.where(over.any(axis=1), over.argmax(axis=1), 9)
    assert crossing(bounds, times) == pytest.approx([np.mean(first == k) for k in range(4)], abs=6e-4)


def test_data_that_do_not_grow_get_the_bound_that_holds_for_any_dependence():
    one = next_look([], 100, looks=2, alpha=ALPHA)
    again = next_look([one], 100, looks=2, alpha=ALPHA)
    assert norm.sf(one.critical) + norm.sf(again.critical) == pytest.approx(ALPHA)
    assert next_look([one], 200, looks=2, alpha=ALPHA).critical < again.critical


def test_nothing_is_left_beyond_the_plan():
    one = next_look([], 100, looks=1, alpha=ALPHA)
    assert next_look([one], 200, looks=1, alpha=ALPHA).critical == inf


def test_a_plan_that_is_extended_later_gives_nothing_back():
    """One look of one spent everything; five looks afterwards cannot have it again."""
    one = next_look([], 100, looks=1, alpha=ALPHA)
    assert next_look([one], 200, looks=5, alpha=ALPHA) == Look(200, inf, ALPHA)


def test_a_plan_that_is_shortened_spends_what_is_left():
    one = next_look([], 100, looks=5, alpha=ALPHA)
    last = next_look([one], 200, looks=2, alpha=ALPHA)
    assert last.spent == ALPHA
    assert last.critical == pytest.approx(norm.isf(ALPHA), abs=1e-3)
