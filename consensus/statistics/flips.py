"""How often a judge contradicts itself on identical calls: repeat flips.

In a cell (judge, pair, order) with n votes that are no abstentions, the *repeat flip rate* is 1 - (commonest verdict's votes)/n.
It is easily understood, and too low for small n (.154 for a true .19 at n = 3), so means use the *disagreement*: the chance that
two calls differ, without bias at any n >= 2. A tie is a verdict like a and b; the distribution of flip rates over cells
(`consensus/statistics/flipfit.py`) is fitted to decided votes only, because its model has two sides.
"""

from __future__ import annotations

from math import nan, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, ndtri

from consensus.statistics.clusters import Floats
from consensus.statistics.estimate import Estimate, ratio, share_of
from consensus.statistics.intervals import Interval, clopper_pearson
from consensus.statistics.votes import Cells


def repeat_flip_rate(count: ArrayLike) -> Floats:
    """1 - share of the commonest verdict, in [0, 1 - 1/k]; nan without votes.

    Args:
        count: votes per verdict, shape [..., k].
    """
    count = np.asarray(count, dtype=float)
    total = count.sum(axis=-1)
    return ratio(total - count.max(axis=-1), total)


def disagreement(count: ArrayLike) -> Floats:
    """Unbiased estimate of the chance that two calls give different verdicts, in [0, 1]; nan below two votes.

    1 - sum n_c (n_c - 1) / (n (n - 1)), which is 2k(n-k)/(n(n-1)) for two verdicts: Simpson 1949, Nature 163.

    Args:
        count: votes per verdict, shape [..., k].
    """
    count = np.asarray(count, dtype=float)
    total = count.sum(axis=-1)
    return 1 - ratio((count * (count - 1)).sum(axis=-1), total * (total - 1))


def expected_repeat_flip_rate(rate: float, n: int) -> float:
    """What the repeat flip rate of a cell with two verdicts is on average at n votes, if the minority's share is `rate`."""
    k = np.arange(n + 1)
    cumulative = bdtr(k, n, rate)
    return float(np.diff(cumulative, prepend=0.0) @ np.minimum(k, n - k) / n)


def rate_of_disagreement(chance: ArrayLike) -> Floats:
    """The minority's share q in [0, .5] at which two calls differ with this chance, 2q(1-q); nan above .5."""
    chance = np.asarray(chance, dtype=float)
    return np.where(chance <= 0.5, (1 - np.sqrt(np.maximum(0.0, 1 - 2 * chance))) / 2, np.nan)


def flip_interval(count: ArrayLike, *, level: float = 0.95, method: Literal["exact", "wilson"] = "exact") -> Interval:
    """Repeat flip rate of one cell, with its binomial interval.

    Which verdict is the minority is not known beforehand: with two verdicts the bounds are folded at one half. Below ten votes
    no method says much (the interval is .4 to .5 wide).

    Args:
        count: votes for a, for b and ties; abstentions left out.
        method: Clopper-Pearson (never covers less than the level) or Wilson (8 % narrower, covers .91 to .98 for .95).
    Returns:
        Value and bounds in [0, 1); nan without votes.
    """
    count = np.asarray(count, dtype=float)
    n, k = int(count.sum()), int(count.sum() - count.max(initial=0))
    if n == 0:
        return Interval(nan, nan, nan, 0)
    if method == "exact":
        exact = clopper_pearson(k, n, level=level)
        low, high = exact.low, exact.high
    else:
        low, high = wilson_bounds(k, n, level=level)
    if np.count_nonzero(count) <= 2:
        low, high = fold(low, high)
    return Interval(k / n, low, high, n)


def wilson_bounds(k: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Bounds for a probability from k of n independent trials. Source: Wilson 1927, J. Am. Stat. Assoc. 22."""
    z, p = float(ndtri((1 + level) / 2)), k / n
    middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def fold(low: float, high: float) -> tuple[float, float]:
    """Bounds for min(p, 1-p) from bounds for p."""
    top = 0.5 if low <= 0.5 <= high else max(min(low, 1 - low), min(high, 1 - high))
    return min(low, 1 - high), top


def repeat_disagreement(cells: Cells) -> Estimate:
    """Mean chance that two identical calls differ, over the cells with two or more valid votes, each cell counted once."""
    repeated = cells.where(cells.valid > 1)
    chance = disagreement(repeated.count[:, :3])
    return share_of(repeated.cluster, repeated.twice * chance, repeated.twice, reason=NO_REPEATS)


def retest_agreement(cells: Cells) -> Estimate:
    """Mean chance that two identical calls agree: 1 - disagreement."""
    repeated = cells.where(cells.valid > 1)
    chance = 1 - disagreement(repeated.count[:, :3])
    return share_of(repeated.cluster, repeated.twice * chance, repeated.twice, reason=NO_REPEATS)


def mean_repeat_flip_rate(cells: Cells) -> Estimate:
    """Mean repeat flip rate, to be shown beside n and not compared between different n; 1 - it is Shi et al.'s stability."""
    repeated = cells.where(cells.valid > 1)
    rate = repeat_flip_rate(repeated.count[:, :3])
    return share_of(repeated.cluster, repeated.twice * rate, repeated.twice, reason=NO_REPEATS)


def typical_repeats(cells: Cells) -> float:
    """Median number of decided votes in the cells with two or more of them; nan if there are none."""
    decided = cells.count[:, :2].sum(axis=1)
    decided = decided[decided > 1]
    return float(np.median(decided)) if len(decided) else nan


NO_REPEATS = "no request was asked twice"
