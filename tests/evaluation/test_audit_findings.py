"""Planted faults are found, nobody innocent is accused, and limits fail only where the whole interval is beyond them."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.errors import UsageError
from consensus.statistics.estimate import share_of
from evaluation.audit.findings import CHECKS, accusations
from evaluation.audit.gate import Limit, judged, limits
from evaluation.audit.names import JUDGE, PANEL
from evaluation.audit.result import Audit, Figure, JudgeAudit, PanelAudit
from tests.benchmarks.planted_faults import SCENARIOS, rates

RUNS = 25
LEAST = {  # share of 200 runs that find it, less what 25 runs may miss; see the benchmark
    "position bias .03": 0.6,
    "position bias .15": 1.0,
    "flips .28": 1.0,
    "always first": 1.0,
    "copies another": 1.0,
    "likes length": 0.6,
    "prefers its family": 0.6,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_planted_fault_is_found_and_bounded_and_nobody_else_is_accused(name):
    found, covered, false = rates(SCENARIOS[name], RUNS, seed=1)
    assert found >= LEAST.get(name, 0.0)
    assert found == 0 or SCENARIOS[name].found_as
    assert covered >= 0.8
    assert false <= 0.08


def test_a_panel_of_one_fault_in_many_tests_is_held_to_the_level_of_all_tests():
    """What one test alone would call a fault, thirty tests do not."""
    part = np.array([1.0] * 40 + [0.0] * 60)
    seen = share_of(np.arange(100), part, np.ones(100), reason="")
    check = next(check for check in CHECKS if check.name == "disagreement")
    assert check.innocent < 0.3
    fine = share_of(np.arange(100), part * 0, np.ones(100), reason="")
    nothing = {each.name: share_of(np.zeros(0, int), np.zeros(0), np.zeros(0), reason="none") for each in CHECKS}
    alone = accusations({"x": nothing | {"disagreement": _share(27)}}, {}, np.random.default_rng(0))
    crowd = {"x": nothing | {"disagreement": _share(27)}} | {
        f"judge {k}": nothing | {"disagreement": fine} for k in range(30)
    }
    assert [finding.judge for finding in alone] == ["x"]
    assert accusations(crowd, {}, np.random.default_rng(0)) == []
    assert accusations({"x": nothing | {"disagreement": seen}} | {k: v for k, v in crowd.items() if k != "x"}, {},
                       np.random.default_rng(0))  # fmt: skip


def _share(k):
    return share_of(np.arange(100), (np.arange(100) < k).astype(float), np.ones(100), reason="")


# --fail-on


def audit_of(**figures):
    """An audit of one judge, `j`, with these figures; all others are undefined."""
    known = {name: figures.get(name, Figure(name, nan, nan, nan, 0, "not asked")) for name in (*JUDGE, *PANEL)}
    panel = PanelAudit({name: known[name] for name in PANEL}, (), {}, 0, 0, {})
    judge = JudgeAudit("j", 0, {name: known[name] for name in JUDGE})
    return Audit("cycle", 0, (judge,), panel, ())


def fails(expression, figure):
    return [verdict.fails for verdict in judged(audit_of(**{figure.name: figure}), limits(expression))]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_limit_is_broken_where_the_whole_interval_is_beyond_it(one, other, limit):
    low, high = sorted((one, other))
    seen = Figure("disagreement", (low + high) / 2, low, high, 10)
    assert (fails(f"disagreement>{limit!r}", seen) == [True]) == (low > limit)
    assert (fails(f"disagreement<{limit!r}", seen) == [True]) == (high < limit)


def test_an_interval_that_holds_the_limit_neither_fails_nor_is_said():
    assert fails("alpha<0.4", Figure("alpha", 0.35, 0.2, 0.5, 10)) == []


def test_of_a_position_bias_the_size_counts_not_the_slot():
    assert fails("position_bias>0.05", Figure("position_bias", -0.12, -0.16, -0.08, 10)) == [True]
    assert fails("position_bias>0.05", Figure("position_bias", -0.05, -0.16, 0.06, 10)) == []


def test_what_is_undefined_does_not_fail_and_is_said_with_its_reason():
    (verdict,) = judged(audit_of(), limits("tail_flip > 40%"))
    assert not verdict.fails
    assert verdict.says == "tail_flip>0.4 cannot be said of j: not asked"


def test_a_value_without_an_interval_is_held_against_the_limit_only_where_none_is_meant():
    counted = Figure("failure", 0.2, nan, nan, 50)
    assert fails("failure>0.1", counted) == [True]
    assert fails("failure>0.1", replace(counted, reason="no interval: one prompt")) == [False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("repeat_flips>0.2", "did you mean 'repeat_flip'"),
        ("zzz>1", "figures are: repeat_flip"),
        ("alpha", "cannot read 'alpha'"),
        ("alpha>=x", "cannot read"),
        ("", "cannot read ''"),
        ("alpha<.4,,", "cannot read ''"),
    ],
)
def test_an_expression_that_is_none_is_refused(text, said):
    with pytest.raises(UsageError, match=None) as refused:
        limits(text)
    assert said in str(refused.value)


def test_limits_are_read_with_blanks_percentages_and_axes():
    assert limits(" tie > 20% ,score_clarity<.5", ["clarity"]) == [
        Limit("tie", True, 0.2),
        Limit("score_clarity", False, 0.5),
    ]
