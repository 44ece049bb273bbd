"""The part of the report that holds offline scores against what production says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.audit.result import Figure, Unit
from evaluation.production.history import History
from evaluation.production.points import Point
from evaluation.production.prediction import CLAIM, Difference, Prediction
from evaluation.report.cells import DASH, Cell, Row, Table, bare, cell, counted, table
from evaluation.report.charts import Dot, Panel, scatters
from evaluation.report.sections import Section

MOST_PANELS = 4


def production(history: History) -> Section | None:
    """Whether offline scores tell what production says."""
    found = history.production
    if not found.rates:
        return None
    share = {rate.metric: rate.share for rate in found.rates}
    rows: list[Row] = [
        [r.checkpoint, words(r.metric), cell(r.figure, _unit(r.share)), r.basis, counted(r.figure.n)]
        for r in found.rates
    ]
    tables = [table("What production measured", ("checkpoint", "metric", "value", "rests on", "n"), rows)]
    if found.predictions:
        tables.append(_predictions(found.predictions))
        tables.append(_points(_strongest(found.predictions)[0], share))
    if found.differences:
        tables.append(_differences(found.differences))
    panels = [_panel(each, share[each.outcome]) for each in _strongest(found.predictions)]
    return Section(
        "production",
        "Do offline scores tell what production says?",
        tuple(_verdicts(found.predictions, found.differences))
        or ("No offline score has three checkpoints that production knows yet.",),
        tuple(tables),
        (lambda width: scatters(panels, width=width)) if panels else None,
        "Offline scores against production's, a labelled point for each checkpoint.",
        "Nothing can be drawn before three checkpoints have both a score and an outcome.",
    )


def _verdicts(predictions: Sequence[Prediction], differences: Sequence[Difference]) -> list[str]:
    """In words: what predicts, what does not, and what cannot be told yet."""
    says = []
    for outcome in dict.fromkeys(each.outcome for each in predictions):
        those = [each for each in predictions if each.outcome == outcome]
        told = [each for each in those if each.found in ("follows", "opposes")]
        for each in told:
            low, high = each.range_without
            way = "goes with" if each.found == "follows" else "goes against"
            says.append(
                f"{_upper(each.title)} {way} {words(outcome)}: Spearman {_between(each.correlation)} over {each.correlation.n} "
                f"checkpoints (p {bare(each.p_holm, 'p')} for all metrics tried); without any single one it is "
                f"{bare(low, 'number')} to {bare(high, 'number')}."
            )
        if not told:
            n = max(each.correlation.n for each in those)
            why = f"{n} checkpoints are too few: it takes {CLAIM}" if n < CLAIM else f"{n} checkpoints do not show it"
            says.append(f"No offline score is known to tell {words(outcome)}: {why}.")
        if couples := [each for each in differences if each.outcome == outcome]:
            says.append(_compared(couples))
    return says


def _compared(couples: Sequence[Difference]) -> str:
    known, n = [each for each in couples if each.claimed], max(each.difference.n for each in couples)
    if not known:
        return f"Whether one score goes with it more closely than another cannot be told from {n} checkpoints."
    ahead = [(each.one, each.other) if each.difference.value > 0 else (each.other, each.one) for each in known]
    told = "; ".join(f"{_upper(one)} goes with it more closely than {other}" for one, other in ahead)
    rest = f" Of other scores that cannot be told from {n} checkpoints." if len(known) < len(couples) else ""
    return f"{told}.{rest}"


def _predictions(found: Sequence[Prediction]) -> Table:
    rows: list[Row] = [
        [
            each.title,
            words(each.outcome),
            cell(each.correlation, "number"),
            Cell(bare(each.p_holm, "p")) if each.p_holm == each.p_holm else Cell(DASH, why=_no_p(each)),
            Cell(_range(each)),
            Cell(bare(each.corrected, "number")) if each.corrected == each.corrected else Cell(DASH, why=_NOISE),
            cell(each.steps, "number"),
            counted(each.correlation.n),
        ]
        for each in found
    ]
    columns = ("offline score", "production", "Spearman", "p", "without one", "without noise", "step by step", "n")
    return table("Which offline score tells production", columns, rows, _LEGEND)


def _differences(found: Sequence[Difference]) -> Table:
    rows: list[Row] = [
        [
            e.one,
            e.other,
            words(e.outcome),
            cell(e.difference, "number"),
            "yes" if e.claimed else "not shown",
            counted(e.difference.n),
        ]
        for e in found
    ]
    columns = ("score", "beside", "production", "difference", "closer", "n")
    return table("Does one score go with it more closely than another?", columns, rows)


def _points(of: Prediction, share: Mapping[str, bool]) -> Table:
    rows: list[Row] = [
        [p.checkpoint, p.cycle, cell(p.offline, metric_unit(p.offline)), cell(p.production, _unit(share[of.outcome]))]
        for p in of.points
    ]
    return table(
        f"Points: {of.title} and {words(of.outcome)}", ("checkpoint", "cycle", of.title, words(of.outcome)), rows
    )


def _strongest(predictions: Sequence[Prediction]) -> list[Prediction]:
    defined = [each for each in predictions if each.correlation.defined]
    return sorted(defined, key=lambda each: -abs(each.correlation.value))[:MOST_PANELS] or list(predictions[:1])


def _panel(of: Prediction, share: bool) -> Panel:
    offline = 100 if metric_unit(of.points[0].offline) == "share" else 1
    scale = 100 if share else 1
    dots = [_dot(point, offline, scale) for point in of.points]
    title = f"Spearman {bare(of.correlation.value, 'number')}, n = {of.correlation.n}"
    return Panel(
        title, dots, of.title + (", %" if offline == 100 else ""), words(of.outcome) + (", %" if share else "")
    )


def _dot(point: Point, x: int, y: int) -> Dot:
    one, other = point.offline, point.production
    return Dot(point.checkpoint, x * one.value, y * other.value, bounds(one, x), bounds(other, y))


def bounds(of: Figure, scale: int) -> tuple[float, float] | None:
    """The bounds of a figure in a picture's unit; None without."""
    return (scale * of.low, scale * of.high) if of.bounded else None


def _range(each: Prediction) -> str:
    low, high = each.range_without
    return f"{bare(low, 'number')} to {bare(high, 'number')}" if low == low else DASH


def _between(of: Figure) -> str:
    bounds = f" ({bare(of.low, 'number')} to {bare(of.high, 'number')})" if of.bounded else ""
    return f"{bare(of.value, 'number')}{bounds}"


def _no_p(each: Prediction) -> str:
    return f"no test below {CLAIM} checkpoints" if each.found == "too few" else each.correlation.reason


def metric_unit(of: Figure) -> Unit:
    """The unit of an offline metric: what is called an accuracy or a rate is a share."""
    shares = ("accuracy", "rate", "corrected", "share")
    return "share" if of.name.endswith(shares) or of.name.rpartition("_")[2] in shares else "number"


def _unit(share: bool) -> Unit:
    return "share" if share else "number"


def words(name: str) -> str:
    """A metric's name as people read it."""
    return name.replace("_", " ")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


_NOISE = "not known: a point has no interval, or the noise of measuring explains all differences between checkpoints"
_LEGEND = {
    "Spearman": "do checkpoints stand in the same order on both sides: 1 the same, 0 no relation, -1 the opposite",
    "p": "chance of so strong an order if there were no relation, after allowing for every score that was tried (Holm)",
    "without one": "the correlation when any single checkpoint is left out, lowest and highest",
    "without noise": "what it would be if both sides were measured without noise; beyond 1 it is not known well",
    "step by step": "the correlation of changes from one checkpoint to the next: things that both rise over time correlate anyway",
}
