"""Which offline metric tells what production will say: rank correlations over checkpoints, and no more than they can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from math import nan
from typing import Any, Literal

import numpy as np

from consensus.scores import Score
from consensus.statistics.clusters import Floats
from consensus.statistics.correlation import (
    FEWEST,
    difference_interval,
    disattenuated,
    leave_one_out,
    reliability,
    spearman_interval,
    spearman_p_value,
)
from consensus.statistics.multiple import holm
from evaluation.audit.result import Figure
from evaluation.production.points import Point, Series, by_checkpoint, error, points, series
from evaluation.production.rates import Rate

CLAIM = 8
"""Checkpoints below which nothing is claimed, however high the correlation."""
ALPHA = 0.05
SHOWN = 3
"""Checkpoints from which on a correlation is worked out at all."""
NO_INTERVAL = f"no interval below {FEWEST} checkpoints"
PERFECT = "no interval: the order is the same at every checkpoint, so how it varies was not seen"
CONSTANT = "undefined: all checkpoints are the same on one side"
Finding = Literal["follows", "opposes", "open", "too few"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """How an offline metric goes with a production metric.

    Attributes:
        correlation: Spearman's over the points, with Bonett and Wright's interval from six points on.
        p: two-sided, by permutation; nan below eight points, where nothing is claimed.
        p_holm: the same after allowing for every metric that was tried.
        found: follows or opposes where p_holm is at most .05; else open, or too few checkpoints.
        without: the correlation without each checkpoint in turn.
        offline_reliability, production_reliability: share of the variance between checkpoints that is not noise; nan where a
            point has no interval.
        corrected: the correlation that a noiseless measurement would have; beyond 1 where it is not known well, and never cut.
        steps: the correlation between the changes from each checkpoint to the next: two things that both rise over time
            correlate without one telling the other.
    """

    metric: str
    title: str
    outcome: str
    points: tuple[Point, ...]
    correlation: Figure
    p: float
    p_holm: float
    found: Finding
    without: Mapping[str, float]
    offline_reliability: float
    production_reliability: float
    corrected: float
    steps: Figure

    @property
    def range_without(self) -> tuple[float, float]:
        """The lowest and the highest correlation that leaving out one checkpoint gives."""
        known = [value for value in self.without.values() if value == value]
        return (min(known), max(known)) if known else (nan, nan)


@dataclass(frozen=True, slots=True)
class Difference:
    """Whether one offline metric goes better with a production metric than another, on the checkpoints that have both.

    Attributes:
        difference: of the two correlations; its interval holds for all comparisons with this production metric together.
        claimed: whether that interval excludes zero, over at least eight checkpoints.
    """

    one: str
    other: str
    outcome: str
    difference: Figure
    claimed: bool


@dataclass(frozen=True, slots=True)
class Production:
    """What production says, and which offline metric told it."""

    rates: tuple[Rate, ...]
    predictions: tuple[Prediction, ...]
    differences: tuple[Difference, ...]

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def production(scores: Sequence[Score], rates: Sequence[Rate], *, seed: int = 0) -> Production:
    """Every offline metric against every production metric.

    Args:
        seed: of the permutations above eight checkpoints.
    """
    found, differences = [], []
    for outcome, of in by_checkpoint(rates, scores).items():
        beside = [(each, points(each, of)) for each in series(scores)]
        beside = [(each, those) for each, those in beside if len(those) >= SHOWN]
        found += [_predict(each, outcome, those, seed) for each, those in beside]
        differences += _differences(outcome, beside)
    adjusted = holm([each.p for each in found]).tolist()
    judged = [_judged(each, p) for each, p in zip(found, adjusted, strict=True)]
    return Production(tuple(rates), tuple(judged), tuple(differences))


def _predict(of: Series, outcome: str, those: Sequence[Point], seed: int) -> Prediction:
    x, y = _values(those)
    claims = len(those) >= CLAIM
    correlation = _correlation(of.metric, x, y)
    noise = [
        reliability([side.value for side in sides], [error(side) for side in sides])
        for sides in ([point.offline for point in those], [point.production for point in those])
    ]
    left_out = leave_one_out(x, y).tolist() if len(those) > SHOWN else []
    return Prediction(
        metric=of.metric,
        title=of.title,
        outcome=outcome,
        points=tuple(those),
        correlation=correlation,
        p=spearman_p_value(x, y, rng=np.random.default_rng(seed)) if claims else nan,
        p_holm=nan,
        found="open" if claims else "too few",
        without=dict(zip([point.checkpoint for point in those], left_out, strict=False)),
        offline_reliability=noise[0],
        production_reliability=noise[1],
        corrected=disattenuated(correlation.value, *noise),
        steps=_correlation(of.metric, np.diff(x), np.diff(y)),
    )


def _judged(each: Prediction, p: float) -> Prediction:
    if not p <= ALPHA:
        return replace(each, p_holm=p)
    return replace(each, p_holm=p, found="follows" if each.correlation.value > 0 else "opposes")


def _differences(outcome: str, beside: Sequence[tuple[Series, Sequence[Point]]]) -> list[Difference]:
    """Every two metrics, by intervals that hold for all of them together (Bonferroni)."""
    couples = [
        (one, other, *_shared(points_of_one, points_of_other))
        for (one, points_of_one), (other, points_of_other) in combinations(beside, 2)
    ]
    couples = [couple for couple in couples if len(couple[-1]) >= SHOWN]
    level = 1 - ALPHA / max(1, len(couples))
    found = []
    for one, other, x, z, y in couples:
        interval = difference_interval(x, z, y, level=level)
        claimed = interval.n >= CLAIM and (interval.low > 0 or interval.high < 0)
        reason = "" if interval.low == interval.low else _why(interval.n, interval.value)
        figure = Figure("difference", interval.value, interval.low, interval.high, interval.n, reason)
        found.append(Difference(one.title, other.title, outcome, figure, claimed))
    return found


def _shared(one: Sequence[Point], other: Sequence[Point]) -> tuple[Floats, Floats, Floats]:
    """Both scores and production's word, of the checkpoints that have all with the same word."""
    of = {point.checkpoint: point for point in other}
    both = [
        (point.offline.value, twin.offline.value, point.production.value)
        for point in one
        if (twin := of.get(point.checkpoint)) and twin.production.value == point.production.value
    ]
    x, z, y = np.array(both, dtype=float).reshape(-1, 3).T
    return x, z, y


def _correlation(name: str, x: Floats, y: Floats) -> Figure:
    found = spearman_interval(x, y)
    reason = "" if found.low == found.low else _why(found.n, found.value)
    return Figure(name, found.value, found.low, found.high, found.n, reason)


def _why(n: int, value: float) -> str:
    """Why a correlation, or the difference of two, has no interval."""
    if value != value:
        return CONSTANT
    return NO_INTERVAL if n < FEWEST else PERFECT


def _values(those: Sequence[Point]) -> tuple[Floats, Floats]:
    return np.array([each.offline.value for each in those]), np.array([each.production.value for each in those])
