"""Intervals and tests by resampling whole clusters, fast for any number of them."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats, cluster_sums, dealt
from consensus.statistics.intervals import Interval

MOST_UNDEFINED = 0.05
_DRAW = 8  # the count of a kind in a multinomial costs as much as drawing so many clusters
_EXACT = 13  # up to so many clusters all 2^13 sign patterns are cheaper than drawing


def bca(
    sums: ArrayLike,
    statistic: Callable[[Floats], Floats],
    *,
    rng: Generator,
    level: float = 0.95,
    resamples: int = 2000,
    n: int | None = None,
    groups: int = 1000,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval for a function of totals, resampling whole clusters.

    Where the clusters are of few kinds (as with wins and losses), a resample is one multinomial draw of the kinds. Else, above
    `groups` clusters, they are dealt at random into so many groups, which are then resampled (see `clusters.dealt`).

    Args:
        sums: what each cluster adds to the totals, shape [n_clusters, k], e.g. of `cluster_sums`.
        statistic: from totals [..., k] to values [...], nan where undefined. It must not change when all totals are
            multiplied by one number (a ratio of totals, a kappa, ...): the jackknife's totals are of one cluster less.
        rng: decides the resamples.
        level: in (0, 1).
        n: what to report as the interval's n; by default the number of clusters.
        groups: more make the interval's width steadier (4.5 % relative standard error of the variance at 1,000), and take longer.
    Returns:
        The statistic of all clusters and its bounds. Where it is undefined, all is nan. The bounds are nan with fewer than two
        clusters; where leaving out one cluster, or more than 5 % of the resamples, leaves it undefined (fewer such resamples
        are left out); where it has the same value in all resamples, or lies outside of them all, or is too skewed for the
        formula: then the data do not show how it varies.
    Source: Efron 1987, J. Am. Stat. Assoc. 82; clusters by Field & Welsh 2007, J. R. Stat. Soc. B 69(3).
    """
    from scipy.special import ndtr, ndtri

    rows = np.asarray(sums, dtype=float)
    if rows.ndim != 2:
        raise ValueError(f"sums has {rows.ndim} dimensions; its shape is [n_clusters, k]")
    told = len(rows) if n is None else n
    if not len(rows):
        return Interval(nan, nan, nan, told)
    rows, times = _kinds(rows, min(len(rows), groups) // _DRAW) or _singly(dealt(rows, rng, groups))
    total = times @ rows
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(total))
        without = statistic(total - rows)
        drawn = statistic(_resampled(rows, times, resamples, rng)) if times.sum() > 1 else np.empty(0)
    nothing = Interval(value, nan, nan, told)
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or np.isnan(without).any() or len(defined) < max(1.0, (1 - MOST_UNDEFINED) * resamples):
        return nothing
    # Totals are floating-point sums: values that differ by rounding alone are equal.
    slack = 1e-12 * max(1.0, abs(value))
    below = float(np.mean(defined < value - slack) + np.mean(np.abs(defined - value) <= slack) / 2)
    if np.ptp(defined) <= slack or not 0 < below < 1:
        return nothing
    d = times @ without / times.sum() - without
    spread = float((times @ d**2) ** 1.5)
    acceleration = float(times @ d**3) / (6 * spread) if spread > 0 else 0.0
    bias, z = ndtri(below), ndtri(np.array([1 - level, 1 + level]) / 2)
    shrunk = 1 - acceleration * (bias + z)
    if shrunk.min() <= 0:
        return nothing
    at = ndtr(bias + (bias + z) / shrunk)
    low, high = np.quantile(defined, at)
    return Interval(value, float(low), float(high), told)


def _kinds(rows: Floats, most: int) -> tuple[Floats, Floats] | None:
    """The distinct rows, and how often each is there; None where they are more than `most`."""
    shadow = rows @ np.sqrt(np.arange(2, 2 + rows.shape[1]))  # sorts faster than rows; checked below
    _, first, kind = np.unique(shadow, return_index=True, return_inverse=True)
    if len(first) > most or not np.array_equal(rows[first][kind], rows):
        return None
    return rows[first], np.bincount(kind).astype(float)


def _singly(rows: Floats) -> tuple[Floats, Floats]:
    return rows, np.ones(len(rows))


def _resampled(rows: Floats, times: Floats, resamples: int, rng: Generator) -> Floats:
    """Totals of resamples of as many clusters as there are, shape [resamples, k]; row i stands for `times[i]` clusters."""
    n, kinds, totals = int(times.sum()), len(rows), np.empty((resamples, rows.shape[1]))
    some = max(1, 32_768 // kinds)  # as many at once as stay in the processor's cache: twice as fast as all together
    for start in range(0, resamples, some):
        size = min(some, resamples - start)
        if kinds < n:
            counts = rng.multinomial(n, times / n, size=size)
        else:  # the same, ten times as fast where every chance is 1/n
            drawn = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=n * size).reshape(size, n)
        totals[start : start + size] = counts @ rows
    return totals


def sign_flip_p(values: ArrayLike, clusters: ArrayLike, *, rng: Generator, flips: int = 9_999) -> float:
    """Two-sided p-value that paired differences have no direction: each cluster's sum might as well have the other sign.

    Exact for up to 13 clusters whose sum is not 0; else by `flips` random patterns, and above 1,000 clusters on groups of them
    (see `clusters.dealt`; groups are as symmetric as clusters).

    Args:
        values: one difference per row, shape [n].
        clusters: the prompt of each row, shape [n].
    Returns:
        In (0, 1]; nan where no cluster has a sum other than 0. With G clusters it is never below 2^(1-G).
    Source: Canay, Romano & Shaikh 2017, Econometrica 85(3); the observed pattern counts as one (Phipson & Smyth 2010).
    """
    sums = cluster_sums(values, clusters) if len(np.asarray(values)) else np.empty(0)
    sums = dealt(sums[sums != 0], rng)
    if not len(sums):
        return nan
    if len(sums) <= _EXACT:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(_as_far(patterns, sums)))
    hits = 0
    for start in range(0, flips, 1000):
        patterns = rng.integers(0, 2, size=(min(1000, flips - start), len(sums)), dtype=np.int8)
        hits += int(_as_far(patterns, sums).sum())
    return (1 + hits) / (1 + flips)


def _as_far(patterns: ArrayLike, sums: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    flipped = np.abs((1.0 - 2.0 * np.asarray(patterns)) @ sums)
    return np.asarray(flipped >= abs(sums.sum()) - 1e-9 * np.abs(sums).sum())
