"""The parts of the report that look beyond one cycle's votes; each is there only where the store has its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from consensus.scores import Score
from evaluation.audit.result import Figure
from evaluation.production.history import History, newest
from evaluation.production.points import figure
from evaluation.report.cells import DASH, Cell, Row, Table, bare, cell, counted, table
from evaluation.report.charts import Dot, Panel, banded, trends
from evaluation.report.foretold import bounds, metric_unit, production, words
from evaluation.report.palette import GOOD
from evaluation.report.sections import Section
from evaluation.report.specs import Bar, Whisker, bars

_LONG = 6


def progress(history: History) -> list[Section]:
    """The parts there are facts for, in their order."""
    made = [
        rewards(history),
        head_to_head(history),
        gates(history),
        production(history),
        cycle_costs(history),
        trend(history),
    ]
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


def gates(history: History) -> Section | None:
    """What the gate decided."""
    if not history.gates:
        return None
    rows: list[Row] = []
    for said in history.gates:
        contest = said.contest
        value, low, high = (
            float("nan") if (x := said.effect[name]) is None else x for name in ("value", "low", "high")
        )
        gain = Figure("gain", value, low, high, said.prompts)
        about: Row = [contest.checkpoint, contest.baseline, words(contest.metric), said.verdict]
        size: Row = [counted(said.prompts), f"{said.look}", f"{said.at:%Y-%m-%d}"]
        rows.append([*about, cell(gain, "points" if said.shares else "number"), *size])
    columns = ("checkpoint", "against", "metric", "verdict", "gain", "prompts", "look", "on")
    return Section(
        "gate",
        "What did the gate say?",
        (
            "Promote: the gain is surely above what was asked and no guard is broken; reject: surely below, or a guard is; "
            "inconclusive: so few prompts cannot tell. Of every contest the last look.",
        ),
        (table("Decisions of the gate", columns, rows),),
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
        panels.append((f"{words(metric)}, %", [_over(places[name], figure(score)) for name, score in scores.items()]))
    made = {score.checkpoint: score.cycle for score in history.scores}
    for metric in dict.fromkeys(rate.metric for rate in history.production.rates if rate.share):
        rates = [rate for rate in history.production.rates if rate.metric == metric]
        at = {places.get(made.get(rate.checkpoint, rate.checkpoint)): rate for rate in rates}
        panels.append(
            (
                f"production: {words(metric)}, %",
                [_over(k, rate.figure) for k, rate in sorted(at.items(), key=str) if k],
            )
        )
    return [Panel(title, sorted(dots, key=lambda dot: dot.x), "cycle", "") for title, dots in panels if len(dots) > 1]


def _over(place: int, of: Figure) -> Dot:
    return Dot(str(place), place, 100 * of.value, None, bounds(of, 100))


def _scores(caption: str, history: History, metrics: Sequence[str], *, compared: bool = False) -> Table:
    """The scores of these metrics by checkpoint; a column for each metric that was ever measured."""
    of = {metric: {(s.checkpoint, s.baseline): s for s in history.of(metric)} for metric in metrics}
    known = [metric for metric in metrics if of[metric]]
    keys = list(dict.fromkeys(key for metric in known for key in of[metric]))
    rows: list[Row] = []
    for key in keys:
        found = [of[metric].get(key) for metric in known]
        cells = [cell(figure(s), metric_unit(figure(s))) if s else Cell(DASH) for s in found]
        first = next(s for s in found if s)
        rows.append(
            [first.checkpoint, *([first.baseline or DASH] if compared else []), first.cycle, *cells, counted(first.n)]
        )
    columns = ["checkpoint", *(["against"] if compared else []), "cycle", *(map(words, known)), "n"]
    return table(caption, columns, rows)


def _parts(score: Score) -> list[Table]:
    rows: list[Row] = [
        [str(each["category"]), cell(_part(each), "share"), counted(each["n"])] for each in _categories(score)
    ]
    return [table(f"{score.checkpoint} by category", ("category", words(score.metric), "n"), rows)] if rows else []


def _categories(score: Score) -> list[Mapping[str, Any]]:
    return list(score.details.get("categories") or ())


def _part(each: Mapping[str, Any]) -> Figure:
    low, high = (float("nan") if each[name] is None else each[name] for name in ("low", "high"))
    return Figure(str(each["category"]), each["value"], low, high, each["n"])


def _of_part(each: Mapping[str, Any]) -> Whisker:
    part = _part(each)
    low, high = bounds(part, 100) or (None, None)
    return Whisker(part.name, 100 * part.value, low, high)


def _whisker(score: Score, name: str = "") -> Whisker:
    low, high = bounds(figure(score), 100) or (None, None)
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


def _each(dollars: float, kept: int) -> str:
    return bare(dollars / kept, "dollars") if kept else DASH


def _of(n: int, whole: int) -> str:
    return f"{100 * n / whole:.1f} %" if whole else DASH
