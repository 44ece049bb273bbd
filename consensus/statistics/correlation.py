"""Rank correlation of few points, with an interval and an exact test that hold for few points.

With five points no correlation is significant; with eight, .78 is compatible with .04.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations
from math import atanh, nan, sqrt, tanh

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.intervals import Interval

FEWEST = 6
"""Points below which there is no interval worth its name."""
_ENUMERATED = 8  # 8! = 40,320 orders


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation (mean ranks for ties), in [-1, 1]; nan below two points or where all are equal."""
    one, other = _centred_ranks(x), _centred_ranks(y)
    if len(one) != len(other):
        raise ValueError(f"{len(one)} and {len(other)} values: one of each per point")
    spread = float(one @ one) * float(other @ other)
    return float(one @ other) / sqrt(spread) if spread > 0 else nan


def spearman_interval(x: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Interval:
    """Spearman's correlation with the interval of Bonett and Wright; no bounds below six points or for a perfect order.

    Covers .94 to .97 for .95 from eight points on. Source: Bonett & Wright 2000, Psychometrika 65.
    """
    n = len(np.asarray(x))
    r = spearman(x, y)
    if n < FEWEST or not abs(r) < 1:
        return Interval(r, nan, nan, n)
    half = float(ndtri((1 + level) / 2)) * sqrt((1 + r * r / 2) / (n - 3))
    return Interval(r, tanh(atanh(r) - half), tanh(atanh(r) + half), n)


def spearman_p_value(
    x: ArrayLike, y: ArrayLike, *, rng: np.random.Generator | None = None, draws: int = 100_000
) -> float:
    """Two-sided permutation p of Spearman's correlation: exact up to eight points, by random orders above.

    The usual t-approximation is wrong for few points (.0020 for an exact .0046 at eight).

    Args:
        rng: needed above eight points.
    Returns:
        nan where the correlation is undefined; by random orders at least 1/(draws + 1).
    """
    one, other = _centred_ranks(x), _centred_ranks(y)
    seen = spearman(x, y)
    if np.isnan(seen):
        return nan
    reached = abs(float(one @ other)) - 1e-9
    if len(one) <= _ENUMERATED:
        return float((np.abs(other[_orders(len(one))] @ one) >= reached).mean())
    if rng is None:
        raise ValueError(f"more than {_ENUMERATED} points are permuted at random: pass rng")
    hits = 0
    for start in range(0, draws, 10_000):
        shuffled = rng.permuted(np.tile(other, (min(10_000, draws - start), 1)), axis=1)
        hits += int((np.abs(shuffled @ one) >= reached).sum())
    return (hits + 1) / (draws + 1)


@cache
def _orders(n: int) -> Ints:
    """Every order of n <= 8 points, shape [n!, n]."""
    return np.array(list(permutations(range(n))))


def leave_one_out(x: ArrayLike, y: ArrayLike) -> Floats:
    """Spearman's correlation without each point in turn, shape [n]: far apart where a single point carries it."""
    one, other = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    return np.array([spearman(np.delete(one, k), np.delete(other, k)) for k in range(len(one))])


def reliability(values: ArrayLike, errors: ArrayLike) -> float:
    """Share of the variance between points that is not noise of measuring them, at most 1.

    Args:
        values: one measurement a point, shape [n].
        errors: their standard errors, shape [n].
    Returns:
        0 or below where the noise explains all; nan below two points, where all values are equal, or an error is not known.
    Source: Lord & Novick 1968, the true-score variance as that observed less that of the errors.
    """
    seen, noise = np.asarray(values, dtype=float), np.asarray(errors, dtype=float)
    if len(seen) < 2 or np.ptp(seen) == 0:
        return nan
    return 1 - float(np.mean(noise**2)) / float(seen.var(ddof=1))


def disattenuated(r: float, one: float, other: float) -> float:
    """A correlation as it would be without noise, from the reliabilities of both sides; nan where one is not above 0.

    Nearly unbiased, but with few points often beyond 1 (15 to 33 % of samples), which says that it is not known well: it is not
    cut off at 1. Source: Spearman 1904, Am. J. Psychol. 15.
    """
    return r / sqrt(one * other) if one > 0 and other > 0 else nan


def difference_interval(x: ArrayLike, other: ArrayLike, y: ArrayLike, *, level: float = 0.95) -> Interval:
    """How much better `x` goes with `y` than `other` does: the difference of their Spearman correlations, in [-2, 2].

    Both rest on the same points, so they are not independent; the interval allows for that.

    Returns:
        No bounds where one of the two correlations has none.
    Source: Zou 2007, Psychol. Methods 12(4), for correlations that share a variable, from Bonett and Wright's intervals.
    """
    one, two = spearman_interval(x, y, level=level), spearman_interval(other, y, level=level)
    difference, between = one.value - two.value, spearman(x, other)
    if np.isnan([one.low, two.low, between]).any():
        return Interval(difference, nan, nan, one.n)
    joint = _overlap(one.value, two.value, between)
    low = _apart(one.value - one.low, two.high - two.value, joint)
    high = _apart(one.high - one.value, two.value - two.low, joint)
    return Interval(difference, difference - low, difference + high, one.n)


def _overlap(r: float, s: float, between: float) -> float:
    """Correlation of two estimated correlations r and s with the same variable, from the correlation between the others."""
    squares = r * r + s * s + between * between
    joint = (between - r * s / 2) * (1 - squares) + between**3
    return max(-1.0, min(1.0, joint / ((1 - r * r) * (1 - s * s))))


def _apart(one: float, two: float, joint: float) -> float:
    return sqrt(max(0.0, one * one + two * two - 2 * joint * one * two))


def _centred_ranks(values: ArrayLike) -> Floats:
    ranks = np.asarray(rankdata(values), dtype=float)
    return ranks - ranks.mean() if len(ranks) else ranks
