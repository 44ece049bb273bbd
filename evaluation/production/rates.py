"""What production measured of each checkpoint, with an interval: from its single requests, else from means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consensus.statistics.clusters import Floats
from consensus.statistics.intervals import Interval, mean_interval, wilson, wilson_of_mean
from evaluation.audit.figures import NO_SPREAD
from evaluation.audit.result import Figure

UNKNOWN_N = "no interval: nobody says how many requests the mean is of (n)"
NO_SHARE = "no interval: the mean of something that is no share has one only from its single requests"


@dataclass(frozen=True, slots=True)
class Rate:
    """A production metric of a checkpoint.

    Attributes:
        checkpoint: or the cycle that made it, as the outcomes call it.
        figure: the mean; `n` counts requests, 0 where their number is not known.
        share: whether every value of the metric, of whatever checkpoint, is in [0, 1].
        basis: what it rests on, in words.
    """

    checkpoint: str
    metric: str
    figure: Figure
    share: bool
    basis: str


def rates(outcomes: pa.Table) -> list[Rate]:
    """A rate for each checkpoint and metric, in the order of the metric's name, then of the first outcome's time.

    Where there are single requests, means beside them are left out: they may be of the same requests. A share of requests has
    Wilson's interval by whole conversations, any other mean of requests the cluster-robust t; those of sampled traces weigh
    as the sample was drawn. A mean with n has Wilson's for n independent requests if it is a share, else none.

    Args:
        outcomes: as `consensus.outcomes.outcomes` has them.
    """
    shares = _shares(outcomes)
    found = [_rate(metric, rows, share=shares[metric]) for metric, rows in _groups(outcomes)]
    return [rate for rate in found if rate is not None]


def _shares(outcomes: pa.Table) -> dict[str, bool]:
    range_of = outcomes.group_by("metric").aggregate([("value", "min"), ("value", "max")])
    return {row["metric"]: row["value_min"] >= 0 and row["value_max"] <= 1 for row in range_of.to_pylist()}


def _groups(outcomes: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each metric and checkpoint."""
    keys = outcomes.group_by(["metric", "checkpoint"]).aggregate([("measured_at", "min")])
    order = pc.sort_indices(
        keys, [("metric", "ascending"), ("measured_at_min", "ascending"), ("checkpoint", "ascending")]
    )
    for key in keys.take(order).to_pylist():
        mine = pc.and_(pc.equal(outcomes["metric"], key["metric"]), pc.equal(outcomes["checkpoint"], key["checkpoint"]))
        yield key["metric"], outcomes.filter(mine)


def _rate(metric: str, rows: pa.Table, *, share: bool) -> Rate | None:
    checkpoint = rows["checkpoint"][0].as_py()
    single = rows.filter(pc.is_valid(rows["request_id"]))
    if len(single):
        found, basis = _of_requests(single, share=share)
        reason = "" if found.low == found.low else NO_SPREAD
    else:
        found, reason = _of_means(rows, share=share)
        basis = "a mean" if len(rows) == 1 else f"{len(rows):,} means of different times"
    return Rate(checkpoint, metric, Figure(metric, found.value, found.low, found.high, found.n, reason), share, basis)


def _of_requests(rows: pa.Table, *, share: bool) -> tuple[Interval, str]:
    values, clusters = _floats(rows["value"]), rows["cluster"].to_pylist()
    weights = None if rows["weight"].null_count else _floats(rows["weight"])
    talks = len(set(clusters))
    basis = f"{len(values):,} requests" + (f" in {talks:,} conversations" if talks < len(values) else "")
    interval = wilson if share else mean_interval
    return interval(values, clusters, weights=weights), basis + (
        ", weighed as they were sampled" if weights is not None else ""
    )


def _of_means(rows: pa.Table, *, share: bool) -> tuple[Interval, str]:
    values = _floats(rows["value"])
    if rows["n"].null_count:
        return Interval(float(values.mean()), nan, nan, 0), UNKNOWN_N
    counts = _floats(rows["n"])
    n, mean = int(counts.sum()), float(counts @ values / counts.sum())
    if share:
        return wilson_of_mean(min(1.0, max(0.0, mean)), n), ""
    return Interval(mean, nan, nan, n), NO_SHARE


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), dtype=float)
