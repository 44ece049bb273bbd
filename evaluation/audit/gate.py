"""`--fail-on`: limits on figures, held against the bound of the interval that is safe."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consensus.errors import UsageError
from evaluation.audit.names import JUDGE, PANEL
from evaluation.audit.result import Audit, Figure

TWO_SIDED = ("position_bias", "preference_fairness")
"""Figures of which the size counts, whichever the side: a limit of .05 is broken at -.12 as well."""
_LIMIT = re.compile(r"\s*([A-Za-z_]\w*)\s*([<>])\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """A condition under which the audit fails: a figure above or below a value."""

    name: str
    above: bool
    value: float

    @property
    def words(self) -> str:
        """As it is written."""
        return f"{self.name}{'>' if self.above else '<'}{self.value:g}"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a limit says of one figure.

    Attributes:
        judge: None is the panel.
        fails: the whole interval is beyond the limit.
        says: one line; also for a figure that cannot be held against a limit because it is undefined.
    """

    limit: Limit
    judge: str | None
    figure: Figure
    fails: bool
    says: str


def limits(text: str, axes: Sequence[str] = ()) -> list[Limit]:
    """The limits of an expression such as `repeat_flip>0.2,alpha<0.4`; percentages are read as well (`tie>20%`).

    Args:
        axes: of the rubric, whose figures are called `score_<axis>`.
    Raises:
        UsageError: it is none, or names a figure that does not exist.
    """
    found = []
    for part in text.split(","):
        match = _LIMIT.fullmatch(part)
        if match is None:
            raise UsageError(
                f"--fail-on: cannot read {part.strip()[:60]!r}; write figure>value or figure<value, with commas between, "
                "e.g. repeat_flip>0.2,alpha<0.4"
            )
        name, sign, number, percent = match.groups()
        refuse_unknown(name, axes, "--fail-on")
        found.append(Limit(name, sign == ">", float(number) / (100 if percent else 1)))
    return found


def refuse_unknown(name: str, axes: Sequence[str], where: str) -> None:
    """Every figure has a name.

    Raises:
        UsageError: this is none of them.
    """
    names = [*JUDGE, *PANEL, *(f"score_{axis}" for axis in axes)]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"figures are: {', '.join(names)}"
        raise UsageError(f"{where}: there is no figure {name[:60]!r}; {hint}")


def figures(audit: Audit, name: str) -> Iterator[tuple[str | None, Figure]]:
    """A figure of the panel (None) and of every judge that has it."""
    if name in audit.panel.figures:
        yield None, audit.panel[name]
    for judge in audit.judges:
        if name in judge.figures:
            yield judge.judge, judge[name]


def sized(each: Figure) -> tuple[float, float, float]:
    """Value and bounds; of a figure of which the size counts, its size."""
    if each.name not in TWO_SIDED:
        return each.value, each.low, each.high
    return abs(each.value), max(0.0, each.low, -each.high), max(each.high, -each.low)


def judged(audit: Audit, gate: Sequence[Limit]) -> list[Ruling]:
    """What the limits say of every figure they name: of each judge, or of the panel."""
    return [
        _ruling(limit, judge, each)
        for limit in gate
        for judge, each in figures(audit, limit.name)
        if _worth_saying(limit, each)
    ]


def _safe(limit: Limit, each: Figure) -> float:
    """The bound that must be beyond the limit; of a count, which has no interval, the value."""
    if each.bounded:
        _, low, high = sized(each)
        return low if limit.above else high
    return float("nan") if each.reason else each.value


def _worth_saying(limit: Limit, each: Figure) -> bool:
    safe = _safe(limit, each)
    return safe != safe or _beyond(limit, safe)


def _beyond(limit: Limit, value: float) -> bool:
    return value > limit.value if limit.above else value < limit.value


def _ruling(limit: Limit, judge: str | None, each: Figure) -> Ruling:
    who, safe = judge or "the panel", _safe(limit, each)
    if safe != safe:
        return Ruling(limit, judge, each, False, f"{limit.words} cannot be said of {who}: {each.reason}")
    between = f", between {each.low:.4g} and {each.high:.4g}" if each.bounded else ""
    return Ruling(limit, judge, each, True, f"{limit.words} holds for {who}: {limit.name} is {each.value:.4g}{between}")
