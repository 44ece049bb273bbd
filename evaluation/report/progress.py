"""The parts of the report that look beyond one cycle's votes; each is there only where the store has its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from consensus.scores import Score
from evaluation.audit.result import Figure, Unit
from evaluation.production.history import History, newest
from evaluation.production.points import Point, figure
from evaluation.production.prediction import CLAIM, Difference, Prediction
from evaluation.report.cells import DASH, Cell, Row, Table, bare, cell, counted, table
from evaluation.report.charts import Dot, Panel, banded, scatters, trends
from evaluation.report.palette import GOOD
from evaluation.report.sections import Section
from evaluation.report.specs import Bar, Whisker, bars

MOST_PANELS = 4
_LONG = 6


def progress(history: History) -> list[Section]:
    """The parts there are facts for, in their order."""
    made = [rewards(history), head_to_head(history), production(history), cycle_costs(history), trend(history)]
    return [replace(part, tables=tuple(map(_folded, part.tables))) for part in made if part]


def _folded(found: Table) -> Table:
    """A long table is opened by who wants it: the picture says the same."""
    return replace(found, folded=len(found.rows) > _LONG)


def rewards(history: History) -> Section | None:
    """Reward accuracy over checkpoints, against the band of the checkpoint to be beaten."""
    found = history.of("reward_accuracy")
    if not found:
        return None
    best, before = found[-1], _to_beat(history, found)
    references = _references(best)
    words = [f"{name} alone reaches {100 * value:.1f} %" for name, value in references.items() if name != "random"]
    says = (
        "On held-out pairs, how often the checkpoint rewards the better completion more than the base model does. A coin reaches "
        f"50 %{''.join(f', {each}' for each in words)}: the quiet lines. The line through a dot is its 95 % interval.",
        *([f"The grey band is the interval of {before.checkpoint}, the checkpoint to be beaten."] if before else []),
        *(
            [f"Which completion is better is said by {best.details['judged_by']}."]
            if best.details.get("judged_by")
            else []
        ),
    )
    drawn = [_whisker(score) for score in found]
    band = (100 * before.low, 100 * before.high) if before and before.low == before.low else None
    lines = sorted({50.0, *(100 * value for value in references.values())})
    title = "reward accuracy, %"
    return Section(
        "rewards",
        "Do the rewards rank held-out pairs as they should?",
        says,
        (
            _scores("Rewards by checkpoint", history, ("reward_accuracy", "reward_margin", "gold_accuracy")),
            *_parts(best),
        ),
        lambda width: banded(drawn, width=width, title=title, band=band, lines=lines),
        "Reward accuracy of each checkpoint with its interval, on the band of the one to be beaten.",
    )


def head_to_head(history: History) -> Section | None:
    """The last contest, in all and by category."""
    found = newest(history.of("win_rate"), history.cycle)
    if found is None:
        return None
    corrected = [score for score in history.of("win_rate_corrected") if _same(score, found)]
    categories = _categories(found)
    drawn = [
        _whisker(score, name)
        for score, name in [(found, "judges alone"), *((s, "corrected by people") for s in corrected)]
    ]
    drawn += [_of_part(each) for each in categories]
    says = [
        f"{found.checkpoint} against {found.baseline or 'its baseline'} on the same held-out prompts; ties count half. Right of "
        "50 % the new one wins more often.",
    ]
    if corrected:
        says.append(
            "People answered a sample of these pairs, which corrects what judges get wrong together; trust that row."
        )
    else:
        says.append(
            "Only judges were asked. Where they share a bias for the new checkpoint, such an interval covers the truth almost "
            "never (0 to 2 % in simulation): people's answers on a sample correct it."
        )
    if categories:
        says.append("Intervals of categories are wider, so that all of them together hold.")
    return Section(
        "head-to-head",
        "Does the new checkpoint win?",
        tuple(says),
        (
            _scores("Win rates by checkpoint", history, ("win_rate", "win_rate_corrected"), compared=True),
            *_parts(found),
        ),
        lambda width: banded(drawn, width=width, title="win rate, %", band=None, lines=[50.0]),
        "Win rate in all and by category with intervals, and a line at one half.",
    )


def production(history: History) -> Section | None:
    """Whether offline scores tell what production says."""
    found = history.production
    if not found.rates:
        return None
    share = {rate.metric: rate.share for rate in found.rates}
    rows: list[Row] = [
        [r.checkpoint, _words(r.metric), cell(r.figure, _unit(r.share)), r.basis, counted(r.figure.n)]
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


def cycle_costs(history: History) -> Section | None:
    """Dollars by cycle."""
    if len(history.cycles) < 2 or not any(past.spent for past in history.cycles):
        return None
    rows: list[Row] = [
        [p.cycle, counted(p.pairs), counted(p.kept), Cell(bare(p.spent, "dollars")), Cell(_each(p.spent, p.kept))]
        for p in history.cycles
    ]
    drawn = [Bar(p.cycle, p.spent, bare(p.spent, "dollars"), GOOD) for p in history.cycles]
    return Section(
        "cycle-costs",
        "What each cycle cost",
        ("US dollars of every call whose price is known: completions, votes, audits, evaluations.",),
        (table("Dollars by cycle", ("cycle", "pairs", "kept", "in all", "per kept pair"), rows),),
        lambda width: bars(drawn, width=width, title="US dollars"),
        "Bars of dollars by cycle.",
    )


def trend(history: History) -> Section | None:
    """How cycles follow each other."""
    places = {past.cycle: k for k, past in enumerate(history.cycles, 1)}
    if len(places) < 2:
        return None
    panels = _trends(history, places)
    rows: list[Row] = [
        [f"{k} {past.cycle}", Cell(_of(past.kept, past.pairs)), cell(past.gold, "share") if past.gold else Cell(DASH)]
        for k, past in enumerate(history.cycles, 1)
    ]
    return Section(
        "trend",
        "How it goes over the cycles",
        (
            "Cycles in the order in which they were begun, numbered as in the table. A rise of one dot within its line is noise.",
        ),
        (table("Cycle by cycle", ("cycle", "kept", "labels agree with people"), rows),),
        (lambda width: trends(panels, width=width)) if panels else None,
        "Shares over the cycles, each with its interval.",
        "Nothing was measured in two cycles yet.",
    )


def _trends(history: History, places: Mapping[str, int]) -> list[Panel]:
    kept = [Dot(p.cycle, places[p.cycle], 100 * p.kept / p.pairs) for p in history.cycles if p.pairs]
    gold = [_over(places[p.cycle], p.gold) for p in history.cycles if p.gold]
    panels = [("pairs kept, %", kept), ("labels agree with people, %", gold)]
    for metric in ("reward_accuracy", "win_rate", "win_rate_corrected"):
        scores = {score.cycle: score for score in history.of(metric) if score.cycle in places}
        panels.append((f"{_words(metric)}, %", [_over(places[name], figure(score)) for name, score in scores.items()]))
    made = {score.checkpoint: score.cycle for score in history.scores}
    for metric in dict.fromkeys(rate.metric for rate in history.production.rates if rate.share):
        rates = [rate for rate in history.production.rates if rate.metric == metric]
        at = {places.get(made.get(rate.checkpoint, rate.checkpoint)): rate for rate in rates}
        panels.append(
            (
                f"production: {_words(metric)}, %",
                [_over(k, rate.figure) for k, rate in sorted(at.items(), key=str) if k],
            )
        )
    return [Panel(title, sorted(dots, key=lambda dot: dot.x), "cycle", "") for title, dots in panels if len(dots) > 1]


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
                f"{_upper(each.title)} {way} {_words(outcome)}: Spearman {_between(each.correlation)} over {each.correlation.n} "
                f"checkpoints (p {bare(each.p_holm, 'p')} for all metrics tried); without any single one it is "
                f"{bare(low, 'number')} to {bare(high, 'number')}."
            )
        if not told:
            n = max(each.correlation.n for each in those)
            why = f"{n} checkpoints are too few: it takes {CLAIM}" if n < CLAIM else f"{n} checkpoints do not show it"
            says.append(f"No offline score is known to tell {_words(outcome)}: {why}.")
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
            _words(each.outcome),
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
            _words(e.outcome),
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
        [p.checkpoint, p.cycle, cell(p.offline, _metric_unit(p.offline)), cell(p.production, _unit(share[of.outcome]))]
        for p in of.points
    ]
    return table(
        f"Points: {of.title} and {_words(of.outcome)}", ("checkpoint", "cycle", of.title, _words(of.outcome)), rows
    )


def _strongest(predictions: Sequence[Prediction]) -> list[Prediction]:
    defined = [each for each in predictions if each.correlation.defined]
    return sorted(defined, key=lambda each: -abs(each.correlation.value))[:MOST_PANELS] or list(predictions[:1])


def _panel(of: Prediction, share: bool) -> Panel:
    offline = 100 if _metric_unit(of.points[0].offline) == "share" else 1
    scale = 100 if share else 1
    dots = [_dot(point, offline, scale) for point in of.points]
    title = f"Spearman {bare(of.correlation.value, 'number')}, n = {of.correlation.n}"
    return Panel(
        title, dots, of.title + (", %" if offline == 100 else ""), _words(of.outcome) + (", %" if share else "")
    )


def _dot(point: Point, x: int, y: int) -> Dot:
    one, other = point.offline, point.production
    return Dot(point.checkpoint, x * one.value, y * other.value, _bounds(one, x), _bounds(other, y))


def _over(place: int, of: Figure) -> Dot:
    return Dot(str(place), place, 100 * of.value, None, _bounds(of, 100))


def _bounds(of: Figure, scale: int) -> tuple[float, float] | None:
    return (scale * of.low, scale * of.high) if of.bounded else None


def _scores(caption: str, history: History, metrics: Sequence[str], *, compared: bool = False) -> Table:
    """The scores of these metrics by checkpoint; a column for each metric that was ever measured."""
    of = {metric: {(s.checkpoint, s.baseline): s for s in history.of(metric)} for metric in metrics}
    known = [metric for metric in metrics if of[metric]]
    keys = list(dict.fromkeys(key for metric in known for key in of[metric]))
    rows: list[Row] = []
    for key in keys:
        found = [of[metric].get(key) for metric in known]
        cells = [cell(figure(s), _metric_unit(figure(s))) if s else Cell(DASH) for s in found]
        first = next(s for s in found if s)
        rows.append(
            [first.checkpoint, *([first.baseline or DASH] if compared else []), first.cycle, *cells, counted(first.n)]
        )
    columns = ["checkpoint", *(["against"] if compared else []), "cycle", *(map(_words, known)), "n"]
    return table(caption, columns, rows)


def _parts(score: Score) -> list[Table]:
    rows: list[Row] = [
        [str(each["category"]), cell(_part(each), "share"), counted(each["n"])] for each in _categories(score)
    ]
    return [table(f"{score.checkpoint} by category", ("category", _words(score.metric), "n"), rows)] if rows else []


def _categories(score: Score) -> list[Mapping[str, Any]]:
    return list(score.details.get("categories") or ())


def _part(each: Mapping[str, Any]) -> Figure:
    low, high = (float("nan") if each[name] is None else each[name] for name in ("low", "high"))
    return Figure(str(each["category"]), each["value"], low, high, each["n"])


def _of_part(each: Mapping[str, Any]) -> Whisker:
    part = _part(each)
    low, high = _bounds(part, 100) or (None, None)
    return Whisker(part.name, 100 * part.value, low, high)


def _whisker(score: Score, name: str = "") -> Whisker:
    low, high = _bounds(figure(score), 100) or (None, None)
    return Whisker(name or score.checkpoint, 100 * score.value, low, high)


def _references(score: Score) -> dict[str, float]:
    found = score.details.get("references") or {}
    return {str(name): float(value) for name, value in found.items() if isinstance(value, (int, float))}


def _to_beat(history: History, found: Sequence[Score]) -> Score | None:
    """The baseline of the last contest, if it has the metric; else the checkpoint before the last."""
    contest = newest(history.of("win_rate"), history.cycle)
    named = [score for score in found[:-1] if contest and score.checkpoint == contest.baseline] or list(found[:-1])
    return named[-1] if named else None


def _same(one: Score, other: Score) -> bool:
    return (one.checkpoint, one.baseline, one.cycle) == (other.checkpoint, other.baseline, other.cycle)


def _range(each: Prediction) -> str:
    low, high = each.range_without
    return f"{bare(low, 'number')} to {bare(high, 'number')}" if low == low else DASH


def _between(of: Figure) -> str:
    bounds = f" ({bare(of.low, 'number')} to {bare(of.high, 'number')})" if of.bounded else ""
    return f"{bare(of.value, 'number')}{bounds}"


def _no_p(each: Prediction) -> str:
    return f"no test below {CLAIM} checkpoints" if each.found == "too few" else each.correlation.reason


def _metric_unit(of: Figure) -> Unit:
    shares = ("accuracy", "rate", "corrected", "share")
    return "share" if of.name.endswith(shares) or of.name.rpartition("_")[2] in shares else "number"


def _unit(share: bool) -> Unit:
    return "share" if share else "number"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _each(dollars: float, kept: int) -> str:
    return bare(dollars / kept, "dollars") if kept else DASH


def _of(n: int, whole: int) -> str:
    return f"{100 * n / whole:.1f} %" if whole else DASH


_NOISE = "not known: a point has no interval, or the noise of measuring explains all differences between checkpoints"
_LEGEND = {
    "Spearman": "do checkpoints stand in the same order on both sides: 1 the same, 0 no relation, -1 the opposite",
    "p": "chance of so strong an order if there were no relation, after allowing for every score that was tried (Holm)",
    "without one": "the correlation when any single checkpoint is left out, lowest and highest",
    "without noise": "what it would be if both sides were measured without noise; beyond 1 it is not known well",
    "step by step": "the correlation of changes from one checkpoint to the next: things that both rise over time correlate anyway",
}
