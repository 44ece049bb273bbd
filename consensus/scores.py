"""Scores: what was measured of a checkpoint offline, kept over all cycles. Facts are only ever added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from consensus.store import Store
from consensus.tables import utc_now


@dataclass(frozen=True, slots=True)
class Score:
    """An offline metric of a checkpoint.

    Attributes:
        cycle: in which it was measured.
        metric: `reward_accuracy`, `reward_margin`, `win_rate`, `win_rate_corrected`, `gold_accuracy`, `mean_length`, ...
        value: in the metric's unit, finite.
        low, high: bounds of the 95 % interval; nan where no interval exists.
        n: the units (pairs, prompts) that it rests on.
        clusters: the prompts among which these are correlated.
        baseline: the checkpoint that it is compared with; None where the score is the checkpoint's own.
        details: whatever else was found. Reports know `categories`: a list of `{category, value, low, high, n}`, and
            `references`: the same numbers by name for what a score must beat (`length`, `random`, the baseline's own).
    """

    checkpoint: str
    cycle: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    clusters: int
    baseline: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def add_scores(store: Store, scores: Iterable[Score]) -> None:
    """Append scores in one transaction.

    Raises:
        ValueError: a value is not finite; what is not known is no score.
    """
    at = utc_now()
    rows = [_row(score) | {"created_at": at} for score in scores]
    if rows:
        with store.transaction():
            store.append("scores", rows)


def scores(store: Store, *, cycle: str | None = None, checkpoint: str | None = None) -> list[Score]:
    """The scores of a cycle, of a checkpoint, or all, in the order in which they were first measured.

    Of the same checkpoint, cycle, metric and baseline the last one counts.
    """
    rows = store.db.execute(
        """
        SELECT checkpoint, cycle, metric, value, coalesce(low, 'nan'), coalesce(high, 'nan'), n, clusters, baseline, details
        FROM (SELECT *, rowid AS place, min(rowid) OVER same AS first, max(rowid) OVER same AS last FROM scores
              WINDOW same AS (PARTITION BY checkpoint, cycle, metric, baseline))
        WHERE place = last AND ($cycle IS NULL OR cycle = $cycle) AND ($checkpoint IS NULL OR checkpoint = $checkpoint)
        ORDER BY first
        """,
        {"cycle": cycle, "checkpoint": checkpoint},
    ).fetchall()
    return [Score(*(*row, json.loads(details))) for *row, details in rows]


def _row(score: Score) -> dict[str, Any]:
    if not isfinite(score.value):
        raise ValueError(f"the {score.metric} of {score.checkpoint} is {score.value}: what is not known is no score")
    row = {name: getattr(score, name) for name in score.__dataclass_fields__}
    bounds = {name: bound if isfinite(bound := row[name]) else None for name in ("low", "high")}
    return row | bounds | {"details": json.dumps(_finite(dict(score.details)), ensure_ascii=False)}


def _finite(value: Any) -> Any:
    """JSON knows no nan."""
    match value:
        case Mapping():
            return {str(key): _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float() if not isfinite(value):
            return None
    return value
