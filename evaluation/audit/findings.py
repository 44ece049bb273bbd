"""What follows from the figures: tests that may accuse a judge, and remarks.

A test accuses only where its interval excludes every innocent value, and the level of the intervals is raised until all tests
together accuse anybody innocent in at most 5 % of audits (Holm 1979, Scand. J. Stat. 6). It covers all tests of all judges whose
figure is defined, whether they are independent or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consensus.statistics.estimate import Estimate
from evaluation.audit.figures import figure
from evaluation.audit.result import Figure, Finding

FAMILY_LEVEL = 0.05
"""Chance that any innocent judge is accused of anything."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is tested of every judge.

    Attributes:
        name: of the figure.
        innocent: the largest value that is not held against a judge, in the figure's unit.
        both_sides: whether the negative of a larger value is held against it too.
        says, advice: of a finding; `{value}`, `{judge}`, `{limit}` are filled in.
    """

    name: str
    innocent: float
    says: str
    advice: str
    both_sides: bool = False


CHECKS = (
    Check(
        "position_bias",
        0.0,
        "{judge} favours the completion shown {slot}: it takes it in {half} of its votes",
        "show every pair in both orders (sampling.orders=both), or replace the judge",
        both_sides=True,
    ),
    Check(
        "order_sensitivity",
        0.0,
        "{judge} changes its mind with the order alone on {value} of the pairs, beyond what it does on identical calls",
        "ask it in both orders (sampling.orders=both), so that it abstains where order decides",
    ),
    Check(
        "disagreement",
        0.18,  # two of calls of which each is flipped with chance .1
        "two identical calls of {judge} differ on {value} of the requests; up to {limit} is common",
        "lower its temperature, ask it twice with the order swapped, or replace it",
    ),
    Check(
        "abstention",
        0.1,
        "{value} of the answers of {judge} have no readable verdict",
        "read some (column raw of the votes): often max_tokens is too small, or the rubric is not followed",
    ),
    Check(
        "longer_than_people",
        0.0,
        "{judge} likes length: it takes the longer completion on {value} more of the pairs than its errors explain",
        "say in the rubric that length is no merit, and compare completions of like length",
    ),
    Check(
        "self_preference",
        0.0,
        "{judge} votes for completions of its own model family {value} oftener than neutral judges on the same pairs",
        "do not let it judge its own family: leave it out, or balance it with judges of others",
    ),
)
COPY = Check(
    "common_errors",
    0.5,
    "{judge} and {other} err together: of the pairs on which one of them errs, both do on {value}",
    "count them as one judge: replace one by a model of another family, and see which model really answers (served_by)",
)


def accusations(
    judges: Mapping[str, Mapping[str, Estimate]], shared: Mapping[tuple[str, str], Estimate], rng: np.random.Generator
) -> list[Finding]:
    """The tests that fail, by Holm's method over all of them.

    Args:
        judges: by judge and name of the figure.
        shared: of every two judges, how often they err together (`agreement.common_errors`).
    """
    tests: list[tuple[Check, tuple[str, ...], Estimate]]
    tests = [(check, (name,), found[check.name]) for check in CHECKS for name, found in judges.items()]
    tests += [(COPY, names, found) for names, found in shared.items()]
    tests = [test for test in tests if not np.isnan(test[2].value)]
    guilty: dict[int, Figure] = {}
    while len(guilty) < len(tests):
        level = 1 - FAMILY_LEVEL / (len(tests) - len(guilty))
        seen = {
            k: figure(check.name, found, rng, level=level)
            for k, (check, _, found) in enumerate(tests)
            if k not in guilty and _beyond(check, found.value)
        }
        new = {k: each for k, each in seen.items() if _excludes(tests[k][0], each)}
        guilty |= new
        if not new:
            break
    return [_finding(tests[k][0], tests[k][1], each) for k, each in sorted(guilty.items())]


def _beyond(check: Check, value: float) -> bool:
    return value > check.innocent or (check.both_sides and value < -check.innocent)


def _excludes(check: Check, seen: Figure) -> bool:
    return seen.bounded and (seen.low > check.innocent or (check.both_sides and seen.high < -check.innocent))


def _finding(check: Check, names: Sequence[str], seen: Figure) -> Finding:
    slot = "first" if seen.value > 0 else "second"
    words = {
        "judge": names[0],
        "other": names[-1],
        "value": f"{100 * abs(seen.value):.1f} %",
        "half": f"{100 * (0.5 + abs(seen.value)):.1f} %",
        "limit": f"{100 * check.innocent:.0f} %",
        "slot": slot,
    }
    brief = f"{words['half']} {slot}" if check.both_sides else words["value"]
    brief = f"with {names[1]}, {brief}" if len(names) > 1 else brief
    return Finding(check.name, names[0], True, check.says.format(**words), check.advice, seen, brief)
