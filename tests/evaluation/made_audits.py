"""Audits for tests: every figure there is, some undefined, under any names."""

from __future__ import annotations

from math import nan

import numpy as np

from evaluation.audit.names import JUDGE, PANEL
from evaluation.audit.result import PEOPLE, Audit, Between, Figure, Finding, JudgeAudit, PanelAudit, UnstablePair

PARTS = ("pair", "pair_judge", "pair_order", "pair_judge_order", "residual")


def figures(names, rng):
    """A figure of each name: most with an interval, some without, some undefined."""
    made = {}
    for name in names:
        value, reach, kind = rng.uniform(0.01, 0.9), rng.uniform(0.001, 0.01), rng.integers(6)
        if kind == 0:
            made[name] = Figure(name, nan, nan, nan, 0, f"nobody knows {name}")
        elif kind == 1:
            made[name] = Figure(name, value, nan, nan, 7, f"no interval of {name}")
        else:
            made[name] = Figure(name, value, value - reach, value + reach, int(rng.integers(2, 5000)))
    return made


def audit_of(judges, *, seed=0, gold=True, repeats=True, pairs=("pair-1",), cycle="cycle"):
    """An audit of judges with these names."""
    rng = np.random.default_rng(seed)
    made = tuple(
        JudgeAudit(
            name,
            votes=int(rng.integers(10, 9000)),
            figures=figures([*JUDGE, "score_clarity"], rng),
            flips=tuple(int(n) for n in rng.integers(0, 90, 11)) if repeats else (),
            repeats=10.0 if repeats else nan,
            unstable=tuple(UnstablePair(pair, "ab", 5, 10) for pair in pairs) if repeats else (),
        )
        for name in judges
    )
    two = [(a, b) for k, a in enumerate(judges) for b in judges[k + 1 :]] + [(a, PEOPLE) for a in judges if gold]
    between = tuple(
        Between(
            a,
            b,
            **figures(("agreement", "kappa"), rng),
            **({} if b == PEOPLE else figures(("error_correlation", "common_errors"), rng)),
        )
        for a, b in two
    )
    panel = PanelAudit(
        figures=figures(PANEL, rng),
        between=between,
        decisive=dict(zip(judges, figures([f"decisive-{k}" for k, _ in enumerate(judges)], rng).values(), strict=True)),
        pairs=100,
        kept=80,
        reasons={"agreed": 80, "split": 15, "unstable": 5},
        components=figures(PARTS, rng),
        purchase="ask another judge",
    )
    findings = [
        Finding("position_bias", name, True, f"{name} favours the first", "swap them", made[k]["position_bias"])
        for k, name in enumerate(judges)
    ]
    return Audit(cycle, sum(judge.votes for judge in made), made, panel, tuple(findings))


def empty():
    """An audit of a cycle without a vote or a pair."""
    return Audit("nothing", 0, (JudgeAudit("idle", 0, {}),), PanelAudit({}, (), {}, 0, 0, {}), ())
