"""Limits that hold whatever is gained, each judged by the bound of its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import exp, hypot, isnan, log, nan

from consensus.results import Results
from consensus.sections.evaluation import Guard
from consensus.statistics.intervals import Interval, mean_interval, wilson
from evaluation.audit.gate import figures, sized
from evaluation.audit.result import Audit, Figure
from evaluation.gate.items import EQUAL, Items, own, paired

Measured = Callable[[str, str], Figure | None]
"""What production measured of a checkpoint, from its name and the metric's, at 95 %; None where it measured nothing."""
WORDS = {
    "at_least": "at least",
    "at_most": "at most",
    "drop_at_most": "drop at most",
    "rise_at_most": "rise at most",
    "ratio_at_most": "ratio at most",
}


class Standing(StrEnum):
    """How a guard stands."""

    KEPT = "kept"  # the whole interval is within the limit
    BROKEN = "broken"  # it is wholly beyond
    OPEN = "open"  # it holds the limit, or there is none


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a guard says of one category, one judge, or all.

    Attributes:
        subject: the category or judge; None is all of them.
        found: what is held against the limit: the value itself, or the gain over the baseline, or the ratio to it.
        reason: why there is no interval; empty where there is one.
    """

    guard: Guard
    subject: str | None
    found: Interval
    standing: Standing
    reason: str = ""

    @property
    def holds_up(self) -> bool:
        """Whether the checkpoint is not promoted because of it."""
        return self.standing is Standing.BROKEN or (self.standing is Standing.OPEN and self.guard.unsure == "hold")

    @property
    def words(self) -> str:
        """The limit, as it is said."""
        of = f" ({self.subject})" if self.subject is not None else ""
        return f"{self.guard.name}{of} {WORDS[self.guard.limit]} {self.guard.bound:g}"


def by_results(guard: Guard, found: Results, checkpoint: str, baseline: str, level: float) -> Iterator[Ruling]:
    """What a guard on the evaluation's results says, of every category if it asks for that.

    Raises:
        UsageError: its metric was not measured, of the baseline neither where the limit is relative to it.
    """
    absolute = guard.limit in ("at_least", "at_most")
    items = (own if absolute else paired)(found, guard.name, checkpoint, baseline)
    if guard.by is None:
        yield _ruling(guard, None, _measured(guard, items, level))
        return
    for category in sorted({str(name) for name in items.category if name is not None}):
        yield _ruling(guard, category, _measured(guard, items.where(items.category == category), level))
    if all(name is None for name in items.category):
        yield Ruling(guard, None, Interval(nan, nan, nan, 0), Standing.OPEN, "no item has a category")


def by_audit(guard: Guard, audit: Audit) -> Iterator[Ruling]:
    """What a guard on a figure of the audit says, of the panel and of every judge that has the figure; at 95 %."""
    known = list(figures(audit, guard.name))
    for judge, each in known:
        yield _ruling(guard, judge, Interval(*sized(each), each.n), each.reason)
    if not known:
        yield Ruling(guard, None, Interval(nan, nan, nan, 0), Standing.OPEN, "this audit does not have it")


def by_production(guard: Guard, measured: Measured, checkpoint: str, baseline: str) -> Ruling:
    """What a guard on an outcome of production says: other requests served each checkpoint, so that nothing is paired."""
    names = [checkpoint] if guard.limit in ("at_least", "at_most") else [checkpoint, baseline]
    known = [(name, measured(name, guard.name)) for name in names]
    for name, figure in known:
        if figure is None or not figure.bounded:
            reason = figure.reason if figure else f"production has not measured it of {name}"
            return Ruling(guard, None, Interval(nan, nan, nan, 0), Standing.OPEN, reason)
    found = [Interval(figure.value, figure.low, figure.high, figure.n) for _, figure in known if figure]
    if len(found) == 1:
        return _ruling(guard, None, found[0])
    return _ruling(guard, None, (_ratio_apart if guard.limit == "ratio_at_most" else _apart)(*found))


def _measured(guard: Guard, items: Items, level: float) -> Interval:
    if guard.limit == "ratio_at_most":
        return _ratio(items, level)
    if guard.limit in ("at_least", "at_most"):
        return (wilson if items.bounded else mean_interval)(items.value, items.prompt, level=level)
    if items.direct and items.bounded:
        found = wilson(items.value, items.prompt, level=level)
        return Interval(found.value - EQUAL, found.low - EQUAL, found.high - EQUAL, found.n)
    return mean_interval(items.differences, items.prompt, level=level)


def _ratio(items: Items, level: float) -> Interval:
    """The ratio of the two means, with the error of the linearised ratio by prompts; nan where the baseline's is not positive."""
    base = float(items.reference.mean()) if len(items) else nan
    if not base > 0:
        return Interval(nan, nan, nan, len(items))
    ratio = float(items.value.mean()) / base
    found = mean_interval((items.value - ratio * items.reference) / base, items.prompt, level=level)
    return Interval(ratio, ratio + found.low, ratio + found.high, len(items))


def _apart(one: Interval, other: Interval) -> Interval:
    """The difference of two independent figures, from their intervals. Source: Zou & Donner 2008, Stat. Med. 27 (MOVER)."""
    value = one.value - other.value
    low = value - hypot(one.value - one.low, other.high - other.value)
    high = value + hypot(one.high - one.value, other.value - other.low)
    return Interval(value, low, high, min(one.n, other.n))


def _ratio_apart(one: Interval, other: Interval) -> Interval:
    """The ratio of two independent positive figures, from their intervals on the scale of logarithms (MOVER)."""
    ends = (one.value, one.low, one.high, other.value, other.low, other.high)
    if not all(end > 0 for end in ends):
        return Interval(nan, nan, nan, min(one.n, other.n))
    logs = _apart(_scaled(one, log), _scaled(other, log))
    return _scaled(logs, exp)


def _scaled(found: Interval, scale: Callable[[float], float]) -> Interval:
    return Interval(scale(found.value), scale(found.low), scale(found.high), found.n)


def _ruling(guard: Guard, subject: str | None, found: Interval, reason: str = "") -> Ruling:
    if isnan(found.low) or isnan(found.high):
        return Ruling(guard, subject, found, Standing.OPEN, reason or "too few prompts, or all of them alike")
    bound = -guard.bound if guard.limit == "drop_at_most" else guard.bound
    floor = guard.limit in ("at_least", "drop_at_most")
    kept = found.low >= bound if floor else found.high <= bound
    broken = found.high < bound if floor else found.low > bound
    return Ruling(guard, subject, found, Standing.KEPT if kept else Standing.BROKEN if broken else Standing.OPEN)
