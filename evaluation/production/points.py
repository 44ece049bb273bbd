"""Offline scores beside what production said: one point a checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, nan

from consensus.scores import Score
from evaluation.audit.result import Figure
from evaluation.production.rates import Rate

OWN = 3
"""Checkpoints from which on a baseline they share makes a series of its own."""
Z = 1.959964


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint.

    Attributes:
        offline, production: the score and the rate; where every checkpoint has a baseline of its own, the rate less that of the
            baseline.
    """

    checkpoint: str
    cycle: str
    offline: Figure
    production: Figure


@dataclass(frozen=True, slots=True)
class Series:
    """An offline metric of several checkpoints, at most one score each, in the order in which they were first measured.

    Attributes:
        baseline: with which all are compared; None where the metric is a checkpoint's own.
        own_baselines: whether each is compared with another checkpoint; `baseline` is then None.
    """

    metric: str
    scores: tuple[Score, ...]
    baseline: str | None = None
    own_baselines: bool = False

    @property
    def title(self) -> str:
        """What it is called in tables."""
        name = self.metric.replace("_", " ")
        return f"{name} against {self.baseline or 'its baseline'}" if self.baseline or self.own_baselines else name


def series(scores: Sequence[Score]) -> list[Series]:
    """The series among the scores, by metric in the order of their first score.

    Of a checkpoint that several cycles measured the last cycle counts. Comparisons with a baseline that three checkpoints
    share make a series; the others are compared each with its own baseline.
    """
    by: dict[tuple[str, str | None], dict[str, Score]] = defaultdict(dict)
    for score in scores:
        of = by[score.metric, score.baseline]
        of[score.checkpoint] = score
    found: list[Series] = []
    rest: dict[str, dict[str, Score]] = defaultdict(dict)
    for (metric, baseline), of in by.items():
        if baseline is None or len(of) >= OWN:
            found.append(Series(metric, tuple(of.values()), baseline))
        else:
            rest[metric] |= of
    found += [Series(metric, tuple(of.values()), own_baselines=True) for metric, of in rest.items()]
    order = list(dict.fromkeys(score.metric for score in scores))
    return sorted(found, key=lambda each: order.index(each.metric))


def points(of: Series, rates: Mapping[str, Rate]) -> list[Point]:
    """The checkpoints of a series that production knows.

    Args:
        rates: of one production metric, by checkpoint.
    """
    found = []
    for score in of.scores:
        rate = rates.get(score.checkpoint)
        if rate and of.own_baselines:
            rate = _beyond(rate, rates.get(score.baseline or ""))
        if rate:
            found.append(Point(score.checkpoint, score.cycle, figure(score), rate.figure))
    return found


def figure(score: Score) -> Figure:
    """A score as a figure."""
    return Figure(score.metric, score.value, score.low, score.high, score.n)


def by_checkpoint(rates: Sequence[Rate], scores: Sequence[Score]) -> dict[str, dict[str, Rate]]:
    """By metric and checkpoint; an outcome that names a cycle is that of the checkpoint which the cycle scored last."""
    checkpoints = {score.checkpoint for score in scores} | {score.baseline for score in scores}
    made = {score.cycle: score.checkpoint for score in scores}
    found: dict[str, dict[str, Rate]] = defaultdict(dict)
    for rate in rates:
        known = rate.checkpoint in checkpoints
        name = rate.checkpoint if known else made.get(rate.checkpoint, rate.checkpoint)
        if known or name not in found[rate.metric]:
            found[rate.metric][name] = replace(rate, checkpoint=name)
    return dict(found)


def error(of: Figure) -> float:
    """The standard error behind a 95 % interval; nan without one."""
    return (of.high - of.low) / (2 * Z) if of.bounded else nan


def _beyond(rate: Rate, baseline: Rate | None) -> Rate | None:
    """A rate less that of its baseline, their requests being different ones."""
    if baseline is None:
        return None
    one, other = rate.figure, baseline.figure
    half, value = Z * hypot(error(one), error(other)), one.value - other.value
    return replace(rate, figure=Figure(one.name, value, value - half, value + half, one.n, one.reason or other.reason))
