"""Several questions at once, against statsmodels and against the intervals."""

from __future__ import annotations

from math import exp, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from consensus.statistics.intervals import wilson
from consensus.statistics.multiple import holm, share_p

ps = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(ps)
def test_holm_is_the_reference_librarys(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


@given(ps)
def test_a_question_that_was_not_asked_changes_no_other_answer(p):
    found = holm([*p, np.nan])
    assert isnan(found[-1])
    np.testing.assert_array_equal(found[:-1], holm(p))


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 9)), min_size=2, max_size=40),
    st.floats(0.55, 0.99),
)
def test_a_share_differs_at_a_level_exactly_where_the_interval_of_that_level_excludes_it(rows, level):
    y, prompts = zip(*rows, strict=True)
    p, bounds = share_p(y, prompts), wilson(y, prompts, level=level)
    if isnan(p):
        assert isnan(bounds.low)
    elif len(set(y)) > 1 and 0.5 not in (pytest.approx(bounds.low), pytest.approx(bounds.high)):
        assert (p < 1 - level) == (not bounds.low <= 0.5 <= bounds.high)


def test_outcomes_that_are_all_right_differ_by_the_rule_of_three():
    assert share_p([1, 1, 1, 1, 1, 1], range(6)) == pytest.approx(exp(-3))
    assert wilson([1] * 6, range(6), level=1 - exp(-3)).low == pytest.approx(0.5)


def test_ties_everywhere_are_a_share_of_a_half_and_no_interval():
    found = wilson([0.5, 0.5, 0.5], range(3))
    assert (found.value, isnan(found.low), isnan(found.high)) == (0.5, True, True)
    assert isnan(share_p([0.5, 0.5, 0.5], range(3)))


def test_nobody_can_tell_from_one_prompt():
    assert isnan(share_p([1, 0], ["p", "p"]))
    assert isnan(share_p([], []))
