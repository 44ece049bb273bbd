"""Pictures of checkpoints and cycles: values against a band, scatters with labelled points, small lines over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.report.lettering import distinct, drawable
from evaluation.report.palette import GOOD, INK, LINE, QUIET, WARN
from evaluation.report.specs import CONFIG, WIDE, Spec, Whisker, on_rows, own


@dataclass(frozen=True, slots=True)
class Dot:
    """A point with the bounds of both sides; None where there are none."""

    name: str
    x: float
    y: float
    x_between: tuple[float, float] | None = None
    y_between: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One of several small pictures.

    Attributes:
        x, y: what the axes show.
    """

    title: str
    dots: Sequence[Dot]
    x: str
    y: str


def banded(
    rows: Sequence[Whisker], *, width: int, title: str, band: tuple[float, float] | None, lines: Sequence[float]
) -> Spec:
    """Values with their intervals, on a band to be beaten and beside quiet lines for what knows nothing."""
    data = [
        {"name": r.name, "value": r.value, "low": r.low, "high": r.high}
        | {"shape": "diamond" if r.marked else "circle", "colour": WARN if r.marked else GOOD}
        for r in rows
    ]
    known = [x for r in rows for x in (r.value, r.low, r.high) if x is not None] + [*lines, *(band or ())]
    x = _axis(title, known, count=5 if width < WIDE else 9)
    marks: list[Spec] = []
    if band:
        rect = {"x": {"datum": band[0]} | x, "x2": {"datum": band[1]}}
        marks.append({"mark": {"type": "rect", "color": LINE, "opacity": 0.6}, "encoding": rect})
    size = 16 if width < WIDE else 32
    marks += [
        {"mark": {"type": "tick", "color": QUIET, "size": size, "thickness": 1.5}, "encoding": {"x": {"datum": at} | x}}
        for at in lines
    ]
    colour = {"color": own("colour")}
    marks += [
        {
            "transform": [{"filter": "datum.low != null"}],
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"x": {"field": "low"} | x, "x2": {"field": "high"}, **colour},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {"x": {"field": "value"} | x, "shape": own("shape"), **colour},
        },
    ]
    return on_rows(data, marks, width=width)


def scatters(panels: Sequence[Panel], *, width: int) -> Spec:
    """Scatters beside each other (below each other where there is little room), every point with its name."""
    columns = 1 if width < WIDE else min(2, len(panels))
    each = (width - 75 * columns) // columns
    return _beside([_scatter(panel, each) for panel in panels], columns)


def trends(panels: Sequence[Panel], *, width: int) -> Spec:
    """Values over time, a small picture for each, the x of every dot its place in time."""
    columns = 1 if width < WIDE else min(2, len(panels))
    each = (width - 75 * columns) // columns
    return _beside([_trend(panel, each) for panel in panels], columns)


def _beside(pictures: list[Spec], columns: int) -> Spec:
    return {"concat": pictures, "columns": columns, "spacing": 24, "config": CONFIG}


def _scatter(panel: Panel, width: int) -> Spec:
    names = distinct([dot.name for dot in panel.dots], 70)
    data = [_row(dot, name) for dot, name in zip(panel.dots, names, strict=True)]
    x = _axis(panel.x, [row[k] for row in data for k in ("x", "x_low", "x_high") if row[k] is not None], count=5)
    y = _axis(panel.y, [row[k] for row in data for k in ("y", "y_low", "y_high") if row[k] is not None], count=5)
    thin = {"type": "rule", "color": LINE, "strokeWidth": 1.5}
    layers: list[Spec] = [
        _where("x_low", thin, {"x": {"field": "x_low"} | x, "x2": {"field": "x_high"}, "y": {"field": "y"} | y}),
        _where("y_low", thin, {"y": {"field": "y_low"} | y, "y2": {"field": "y_high"}, "x": {"field": "x"} | x}),
        {
            "mark": {"type": "point", "filled": True, "size": 60, "color": GOOD, "opacity": 1},
            "encoding": {"x": {"field": "x"} | x, "y": {"field": "y"} | y},
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 6, "dy": -7, "color": INK, "fontSize": 11},
            "encoding": {"x": {"field": "x"} | x, "y": {"field": "y"} | y, "text": {"field": "name"}},
        },
    ]
    return _picture(panel, data, layers, width, 240)


def _trend(panel: Panel, width: int) -> Spec:
    data = [_row(dot, dot.name) for dot in panel.dots]
    last = max(int(dot.x) for dot in panel.dots)
    x = {"type": "quantitative", "title": panel.x, "scale": {"domain": [0.5, last + 0.5], "nice": False}} | {
        "axis": {"values": _ticks(last), "grid": False, "format": "d"}
    }
    y = _axis(panel.y, [row[k] for row in data for k in ("y", "y_low", "y_high") if row[k] is not None], count=4)
    layers: list[Spec] = [
        _where(
            "y_low",
            {"type": "rule", "color": GOOD, "strokeWidth": 1.5},
            {"y": {"field": "y_low"} | y, "y2": {"field": "y_high"}, "x": {"field": "x"} | x},
        ),
        {
            "mark": {"type": "line", "color": QUIET, "strokeWidth": 1},
            "encoding": {"x": {"field": "x"} | x, "y": {"field": "y"} | y},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 45, "color": GOOD, "opacity": 1},
            "encoding": {"x": {"field": "x"} | x, "y": {"field": "y"} | y},
        },
    ]
    return _picture(panel, data, layers, width, 120)


def _ticks(last: int) -> list[int]:
    step = 1 + (last - 1) // 12
    return list(range(1, last + 1, step))


def _picture(panel: Panel, data: list[Spec], layers: list[Spec], width: int, height: int) -> Spec:
    title = {"text": drawable(panel.title, 0.95 * width), "limit": 0}
    return {"title": title, "data": {"values": data}, "width": width, "height": height, "layer": layers}


def _where(field: str, mark: Mapping[str, Any], encoding: Mapping[str, Any]) -> Spec:
    return {"transform": [{"filter": f"datum.{field} != null"}], "mark": mark, "encoding": encoding}


def _row(dot: Dot, name: str) -> Spec:
    (x_low, x_high), (y_low, y_high) = (between or (None, None) for between in (dot.x_between, dot.y_between))
    ends = {"x_low": x_low, "x_high": x_high, "y_low": y_low, "y_high": y_high}
    return {"name": name, "x": dot.x, "y": dot.y, **ends}


def _axis(title: str, values: Sequence[float], *, count: int) -> Spec:
    """An axis that has room for all values, and does not begin at zero for its own sake."""
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return {
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [low - room, high + room], "nice": False, "zero": False},
        "axis": {"tickCount": count, "grid": True},
    }
