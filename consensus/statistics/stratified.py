"""People's word on a sample that was drawn by strata, such as the number of judges' votes for one side."""

from __future__ import annotations

from math import log, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.calibration import expit
from consensus.statistics.clusters import Floats, Ints, cluster_codes, cluster_sums
from consensus.statistics.corrected import Corrected
from consensus.statistics.intervals import Interval

FLOOR = 0.2
"""Share of a sample that is drawn in proportion whatever the strata's spread, since the spread is only guessed."""


def allocation(sizes: ArrayLike, spread: ArrayLike, n: int, *, floor: float = FLOOR) -> Ints:
    """How many items of each stratum to ask people about: Neyman's allocation, with a part in proportion.

    Args:
        sizes: items in each stratum, shape [k].
        spread: the guessed standard deviation of the outcome in each, shape [k], >= 0.
        n: the sample; no more than there are items are drawn.
        floor: share of `n` that is drawn in proportion to the sizes, in [0, 1].
    Returns:
        Shape [k], of sum min(n, sum(sizes)): two of each stratum where there are so many, and the rest by size times spread.
    Source: Neyman 1934, J. R. Stat. Soc. 97.
    """
    there, wide = np.asarray(sizes, dtype=np.int64), np.asarray(spread, dtype=float)
    share = there / max(1, there.sum())
    keen = share * wide / (share @ wide) if share @ wide > 0 else share
    target = n * (floor * share + (1 - floor) * keen)
    drawn, left = np.zeros(len(there), np.int64), min(n, int(there.sum()))
    for place in [*np.flatnonzero(there > 0), *np.flatnonzero(there > 1)][:left]:
        drawn[place] += 1
    for _ in range(left - int(drawn.sum())):
        drawn[np.argmax(np.where(drawn < there, target - drawn, -np.inf))] += 1
    return drawn


def likely(log_odds: ArrayLike, *, steps: int = 100) -> Floats:
    """Chances of outcomes of which more than half may be of one kind: what `allocation` guesses the strata's spread from.

    Args:
        log_odds: of each item, were both outcomes as likely beforehand, shape [n].
        steps: of expectation-maximisation, from a half.
    Returns:
        The chances given the share of outcomes that makes their mean equal to it, shape [n]; the share stays half an item away
        from 0 and 1.
    Source: Saerens, Latinne & Decaestecker 2002, Neural Computation 14.
    """
    odds, share = np.asarray(log_odds, dtype=float), 0.5
    chance = expit(odds)
    for _ in range(steps if len(odds) else 0):
        share = float(np.clip(chance.mean(), 0.5 / len(odds), 1 - 0.5 / len(odds)))
        chance = expit(odds + log(share / (1 - share)))
    return chance


def stratified_mean(
    stratum: ArrayLike,
    sample: ArrayLike,
    outcome: ArrayLike,
    *,
    clusters: ArrayLike,
    predicted: ArrayLike | None = None,
    level: float = 0.95,
) -> Corrected:
    """The mean outcome of all items, from people's word on some of each stratum, and predictions of all within the strata (PPI++).

    Args:
        stratum: of every item, integers whose neighbours are alike, shape [N].
        sample: the items that people were asked about, places in 0..N-1, shape [n]: random ones within each stratum, at whatever
            rate. A stratum of which fewer than two were asked joins its neighbour.
        outcome: what they said, shape [n].
        clusters: the prompt of every item, shape [N].
        predicted: of every item, shape [N]; None predicts nothing, and each stratum's mean is its sample's own.
    Returns:
        Bounds by the cluster-robust variance, the sizes of the strata taken as drawn like the items, with a t quantile on the
        sample's prompts less the strata; nan where there are no more prompts than strata. Everything is nan without a sample.
        `weight` is that of the predictions, the same in all strata.
    Raises:
        ValueError: an item was asked twice, is none of them, or columns differ in length.
    Source: Holt & Smith 1979, J. R. Stat. Soc. A 142; Fisch et al. 2024, arXiv 2406.04291.
    """
    from scipy.special import stdtrit

    rows, y = np.asarray(sample, dtype=np.int64), np.asarray(outcome, dtype=float)
    total, n = len(np.asarray(stratum)), len(rows)
    f = np.zeros(total) if predicted is None else np.asarray(predicted, dtype=float)
    prompts = cluster_codes(clusters)
    if not (len(f) == len(prompts) == total and len(y) == n):
        raise ValueError(
            f"{total} strata, {len(f)} predictions, {len(prompts)} prompts; {n} items asked, {len(y)} answers"
        )
    if len(np.unique(rows)) < n or (n and not (rows.min() >= 0 and rows.max() < total)):
        raise ValueError("an item of the sample stands in it twice, or is none of the items")
    if n == 0:
        return Corrected(Interval(nan, nan, nan, 0), 0.0)
    of = _joined(np.asarray(stratum, dtype=np.int64), rows)
    size, asked = np.bincount(of).astype(float), np.bincount(of[rows]).astype(float)
    weight = _weight(of, rows, y, f, size, asked)
    error = y - weight * f[rows]
    mean_f, mean_error = np.bincount(of, f) / size, np.bincount(of[rows], error) / asked
    each = weight * mean_f + mean_error
    value = float(size @ each) / total
    small = np.sqrt(asked / np.maximum(asked - 1, 1))
    influence = (each[of] - value + weight * (f - mean_f[of])) / total
    influence[rows] += (size / total * small / asked)[of[rows]] * (error - mean_error[of[rows]])
    values = value + total * influence
    sums, free = cluster_sums(influence, prompts), len(np.unique(prompts[rows])) - len(size)
    if free < 1:
        return Corrected(Interval(value, nan, nan, n), weight, values)
    half = float(stdtrit(free, 0.5 + level / 2)) * sqrt(len(sums) / (len(sums) - 1) * float(sums @ sums))
    return Corrected(Interval(value, value - half, value + half, n), weight, values)


def _joined(stratum: Ints, rows: Ints) -> Ints:
    """The strata as 0..k-1, one with fewer than two asked items together with its smaller neighbour."""
    _, of = np.unique(stratum, return_inverse=True)
    while (asked := np.bincount(of[rows], minlength=of.max() + 1)).min() < 2 and len(asked) > 1:
        lone = int(asked.argmin())
        beside = [k for k in (lone - 1, lone + 1) if 0 <= k < len(asked)]
        other = min(beside, key=lambda k: asked[k])
        of = np.where(of >= max(lone, other), of - 1, of)
    return np.asarray(of, dtype=np.int64)


def _weight(of: Ints, rows: Ints, y: Floats, f: Floats, size: Floats, asked: Floats) -> float:
    """The weight of the predictions that makes the variance within the strata least, in [0, 1]."""
    at = of[rows]
    mean_y, mean_f = np.bincount(at, y) / asked, np.bincount(at, f[rows]) / asked
    per_stratum = (size**2 / asked / np.maximum(asked - 1, 1))[at]
    together = float(per_stratum @ ((y - mean_y[at]) * (f[rows] - mean_f[at])))
    spread = np.bincount(of, (f - (np.bincount(of, f) / size)[of]) ** 2) / np.maximum(size - 1, 1)
    alone = float((size**2 / asked * (1 + asked / size)) @ spread)
    return min(1.0, max(0.0, together / alone)) if alone > 0 else 0.0
