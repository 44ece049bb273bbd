"""Pictures as Vega-Lite specifications. Names stand in their data only, never in an expression, and colours are the page's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.report.lettering import distinct, drawable
from evaluation.report.palette import GOOD, INK, LINE, QUIET, WARN

Spec = dict[str, Any]
WIDE, NARROW = 860, 320
"""Pixels of a picture on a desk and on a phone of 360 pixels."""
TAIL_BIN = 8
"""The first bin of 5 points at and above 40 %."""
_FONT = "Roboto Mono"  # only measured with: wide, and drawn by nobody, as the style sheet sets the page's own; so all texts fit
CONFIG: Spec = {
    "aria": False,  # the page describes each picture in one sentence, and has its table
    "background": None,
    "font": _FONT,
    "padding": 5,
    "view": {"stroke": None},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelFlush": False,
    },
    "title": {"color": INK, "fontSize": 12, "fontWeight": "bold", "anchor": "start", "offset": 6},
    "text": {"color": INK, "fontSize": 12},
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: `value` is its length, `says` stands at its end."""

    name: str
    value: float
    says: str
    colour: str


@dataclass(frozen=True, slots=True)
class Whisker:
    """A value with its interval; None where there is none. `marked` draws a diamond in the warning colour."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares in percent of the bins 0 to 5, 5 to 10, ..., 50 and above."""

    name: str
    shares: Sequence[float]


@dataclass(frozen=True, slots=True)
class Square:
    """A cell of the heat map."""

    row: str
    column: str
    says: str
    colour: str
    ink: str


def bars(rows: Sequence[Bar], *, width: int, title: str) -> Spec:
    """Horizontal bars in the given order."""
    data = [{"name": r.name, "value": r.value, "says": r.says, "colour": r.colour} for r in rows]
    most = max((r.value for r in rows), default=1) or 1
    x = {
        "field": "value",
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, most * (1.5 if width < WIDE else 1.3)]},  # room for what stands at the end
        "axis": {"tickCount": 4, "grid": False},
    }
    marks: list[Spec] = [
        {
            "mark": {"type": "bar", "height": 14},
            "encoding": {"x": x, "color": own("colour")},
        },
        {"mark": {"type": "text", "align": "left", "dx": 5}, "encoding": {"x": x, "text": {"field": "says"}}},
    ]
    return on_rows(data, marks, width=width)


def forest(rows: Sequence[Whisker], *, width: int, title: str) -> Spec:
    """Values with their intervals around a line at zero."""
    data = [
        {"name": r.name, "value": r.value, "low": r.low, "high": r.high}
        | {"shape": "diamond" if r.marked else "circle", "colour": WARN if r.marked else GOOD}
        for r in rows
    ]
    reach = max((abs(x) for r in rows for x in (r.value, r.low, r.high) if x is not None), default=1) * 1.05 or 1
    x = {
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [-reach, reach], "nice": True},
        "axis": {"tickCount": 5 if width < WIDE else 9, "grid": width >= WIDE},
    }
    colour = {"color": own("colour")}
    marks: list[Spec] = [
        {
            "mark": {"type": "tick", "color": INK, "size": 16 if width < WIDE else 32, "thickness": 1.5},
            "encoding": {"x": {"datum": 0} | x},
        },
        {
            "transform": [{"filter": "datum.low != null"}],
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {"x": {"field": "low"} | x, "x2": {"field": "high"}, **colour},
        },
        {
            "transform": [{"filter": "datum.value != null"}],
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {
                "x": {"field": "value"} | x,
                "shape": own("shape"),
                **colour,
            },
        },
        {
            "transform": [{"filter": "datum.value == null"}],
            "mark": {"type": "text", "align": "left", "dx": 6, "color": QUIET, "text": "not known"},
            "encoding": {"x": {"datum": 0} | x},
        },
    ]
    return on_rows(data, marks, width=width)


def histograms(rows: Sequence[Histogram], *, width: int, title: str) -> Spec:
    """A small histogram for each name, all of one scale; bins from 40 % on in the warning colour."""
    columns = 1 if width < WIDE else min(3, len(rows))
    each = (width - 64 * columns) // columns
    most = max((share for row in rows for share in row.shares), default=1) or 1
    return {
        "concat": [_histogram(row, width=each, most=most, title=title) for row in rows],
        "columns": columns,
        "spacing": 16,
        "config": CONFIG,
    }


def _histogram(row: Histogram, *, width: int, most: float, title: str) -> Spec:
    data = [
        {"from": 5 * k, "to": 5 * k + 5, "share": share, "colour": WARN if k >= TAIL_BIN else GOOD}
        for k, share in enumerate(row.shares)
    ]
    x = {
        "field": "from",
        "type": "quantitative",
        "bin": {"binned": True, "step": 5},
        "title": title,
        "scale": {"domain": [0, 55], "nice": False},
        "axis": {
            "values": [0, 10, 20, 30, 40, 50],
            "grid": False,
            "labelExpr": "datum.value == 50 ? '50+' : datum.value",
        },
    }
    y = {
        "field": "share",
        "type": "quantitative",
        "title": "% of requests",
        "scale": {"domain": [0, most]},
        "axis": {"tickCount": 3, "grid": True, "minExtent": 40},
    }
    return {
        "title": {"text": drawable(row.name, 0.8 * width), "limit": 0},
        "data": {"values": data},
        "width": width,
        "height": 90,
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {"x": x, "x2": {"field": "to"}, "y": y, "color": own("colour")},
    }


def heat_map(rows: Sequence[Square], *, width: int) -> Spec:
    """Squares with their number in them; rows and columns in the given order."""
    columns = len({r.column for r in rows})
    labels = 220 if width >= WIDE else 110
    step = min(64, (width - labels) // columns)
    data = [
        {"row": drawable(r.row, labels - 10), "column": r.column, "says": r.says, "colour": r.colour, "ink": r.ink}
        for r in rows
    ]
    encoding = {
        "x": {"field": "column", "type": "nominal", "sort": None, "title": None}
        | {"axis": {"orient": "top", "labelAngle": 0, "ticks": False, "domain": False}},
        "y": {"field": "row", "type": "nominal", "sort": None, "title": None}
        | {"axis": {"labelLimit": 0, "ticks": False, "domain": False}},
    }
    layers: list[Spec] = [
        {
            "mark": {"type": "rect", "stroke": "var(--paper)", "strokeWidth": 2},
            "encoding": {"color": own("colour")},
        }
    ]
    if step >= 18:  # else the table has to do
        text = {"text": {"field": "says"}, "color": own("ink")}
        layers.append({"mark": {"type": "text", "fontSize": 13 if step >= 32 else 10}, "encoding": text})
    return {
        "data": {"values": data},
        "width": {"step": step},
        "height": {"step": min(step, 36)},
        "encoding": encoding,
        "layer": layers,
        "config": CONFIG,
    }


def own(field: str) -> Spec:
    """A channel whose values stand in the data as they are."""
    return {"field": field, "type": "nominal", "scale": None}


def on_rows(data: list[Spec], marks: list[Spec], *, width: int) -> Spec:
    """Marks on one row per name: the name stands before the row, and above it where there is little room."""
    above = width < WIDE
    drawn = distinct([row["name"] for row in data], 0.8 * width if above else 210)
    data = [{**row, "name": name} for row, name in zip(data, drawn, strict=True)]
    axis = None if above else {"labelLimit": 0, "ticks": False, "domain": False, "labelPadding": 10}
    y = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": axis}
    if above:
        name = {"type": "text", "align": "left", "baseline": "bottom", "dy": -9, "fontWeight": "bold"}
        marks = [*marks, {"mark": name, "encoding": {"x": {"value": 0}, "text": {"field": "name"}}}]
    return {
        "data": {"values": data},
        "width": width - 40 if above else width,
        "height": {"step": 46 if above else 32},
        # Fitted to what the names leave; not where they stand above, as they are then marks, for which there is never room enough.
        "autosize": {"type": "pad" if above else "fit-x", "contains": "padding"},
        "encoding": {"y": y},
        "layer": marks,
        "config": CONFIG,
    }
