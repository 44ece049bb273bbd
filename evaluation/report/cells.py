"""Numbers as a reader sees them, and tables of them with a note wherever one is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isnan, log10, nan

from evaluation.audit.names import JUDGE, PANEL, Meaning
from evaluation.audit.result import Figure, Unit

DASH = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in a table.

    Attributes:
        text: what is read first.
        between: the interval, small beneath it.
        why: why the text is a dash, or why there is no interval; a note under the table.
        number: whether it is set like a number.
    """

    text: str
    between: str = ""
    why: str = ""
    number: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows begin with what they are about.

    Attributes:
        legend: what columns mean, by their titles.
        folded: whether it is opened by who wants it.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    legend: Mapping[str, str] = field(default_factory=dict)
    folded: bool = False

    @property
    def notes(self) -> list[str]:
        """Every reason once, in the order of its first cell."""
        return list(dict.fromkeys(cell.why for row in self.rows for cell in row if cell.why))


Row = Sequence[Cell | str]


def table(caption: str, columns: Sequence[str], rows: Sequence[Row], legend: Mapping[str, str] | None = None) -> Table:
    """A table; plain text stands for a cell of words."""
    full = (tuple(word(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)
    return Table(caption, tuple(columns), tuple(full), legend or {})


def word(text: str) -> Cell:
    """A cell of words."""
    return Cell(text, number=False)


def named(figures: Mapping[str, Figure], name: str) -> Figure:
    """The figure of a name, undefined where an audit does not have it."""
    return figures.get(name) or Figure(name, nan, nan, nan, 0, "not part of this audit")


def meaning(name: str) -> Meaning:
    """What a figure is called and means."""
    axis = name.removeprefix("score_")
    known = JUDGE.get(name) or PANEL.get(name)
    if known is not None:
        return known
    if axis != name:
        return Meaning("number", f"score: {axis}", f"how scores for {axis} go with the verdict: 0 not at all, 1 fully")
    return Meaning("number", name.replace("_", " "), "")


def cell(figure: Figure, unit: Unit | None = None) -> Cell:
    """A figure with its interval beneath, or a dash and the reason."""
    unit = unit or meaning(figure.name).unit
    if not figure.defined:
        return Cell(DASH, why=figure.reason or "undefined")
    between = f"{bare(figure.low, unit)} to {bare(figure.high, unit)}" if figure.bounded else ""
    return Cell(shown(figure.value, unit), between, figure.reason)


def shown(value: float, unit: Unit) -> str:
    """A number with its unit."""
    if isnan(value):
        return DASH
    suffix = {"share": " %", "points": " points", "seconds": " s"}.get(unit, "")
    return f"{bare(value, unit)}{suffix}"


def bare(value: float, unit: Unit) -> str:
    """A number in its unit's digits, without the unit's name."""
    if unit == "dollars":
        return f"${value:.{2 - floor(log10(value))}f}" if 0 < value < 1 else f"${value:,.2f}"
    if unit == "p":
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    text = {
        "share": f"{100 * value:.1f}",
        "points": f"{100 * value:+.1f}",
        "ratio": f"× {value:.2f}",
    }.get(unit, f"{value:.2f}")
    zero = text.lstrip("+-") in ("0.0", "0.00")
    return text.lstrip("+-") if zero else text.replace("-", "−")


def counted(n: float) -> Cell:
    """A count in full; reports are not short of room."""
    return Cell(f"{n:,.0f}")
