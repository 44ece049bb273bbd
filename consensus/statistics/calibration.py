"""From a model's log-odds to probabilities that people's gold bears out."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats, cluster_sums
from consensus.statistics.intervals import Interval

_NOTHING = 1e-9  # log-odds of this size are 0 but for rounding


def platt(llr: ArrayLike, gold: ArrayLike, *, clusters: ArrayLike | None = None, level: float = 0.95) -> Interval:
    """The factor s >= 0 with which P(a better) = 1 / (1 + exp(-s llr)) fits people's gold.

    No intercept: a and b are names. Below 1 where judges share errors. Targets are Platt's (n+1)/(n+2) in place of 1, so that
    gold which never contradicts the model gives no infinite factor.

    Args:
        llr: log-odds of the model, shape [n_pairs].
        gold: +1 a, -1 b, 0 unknown, shape [n_pairs].
        clusters: the prompt of each pair, for the bounds; None takes the pairs to be independent.
    Returns:
        The factor with cluster-robust bounds; `n` counts the pairs it rests on, those with gold and log-odds other than 0. Without
        such pairs it is nan, and the bounds are with fewer than two clusters.
    Source: Platt 1999, Advances in Large Margin Classifiers, ch. 5.
    """
    from scipy.special import stdtrit

    x, y = np.asarray(llr, dtype=float), np.asarray(gold, dtype=float)
    rows = (y != 0) & (np.abs(x) > _NOTHING)
    n = int(rows.sum())
    if n == 0:
        return Interval(nan, nan, nan, 0)
    toward, target = x[rows] * y[rows], (n + 1) / (n + 2)
    s = slope(toward, np.full(n, target))
    fitted = expit(s * toward)
    names = np.arange(n) if clusters is None else np.asarray(clusters)[rows]
    scores = cluster_sums(toward * (fitted - target), names)
    if len(scores) < 2:
        return Interval(s, nan, nan, n)
    bend = float((toward**2) @ (fitted * (1 - fitted)))
    se = sqrt(len(scores) / (len(scores) - 1) * float(scores @ scores)) / bend
    half = float(stdtrit(len(scores) - 1, 0.5 + level / 2)) * se
    return Interval(s, max(0.0, s - half), s + half, n)


def slope(score: Floats, target: Floats) -> float:
    """The s >= 0 with which the logistic function of s·score is most likely, given targets in (0, 1), both of shape [n].

    It is nan where all scores are 0.
    """
    from scipy.optimize import brentq

    unit = float(np.abs(score).max(initial=0.0))
    if unit <= _NOTHING:
        return nan
    x = score / unit

    def gradient(s: float) -> float:  # of the negative log-likelihood; it grows with s
        return float(x @ (expit(s * x) - target))

    if gradient(0.0) >= 0:
        return 0.0
    high = 1.0
    while gradient(high) < 0:
        high *= 2
    return float(brentq(gradient, 0.0, high, xtol=1e-12)) / unit


def p_chosen(llr: ArrayLike, verdict: ArrayLike, factor: float) -> Floats:
    """Chance that the label's completion is the better one, shape [n_pairs].

    Args:
        llr: log-odds that a is the better.
        verdict: the labels, +1 a, -1 b, 0 none; the majority may be on the model's weaker side, which gives less than 1/2.
        factor: of `platt`. Without gold it is nan, and so are the chances: an uncalibrated posterior is none.
    """
    side = np.asarray(verdict, dtype=float)
    return np.where(side == 0, nan, expit(factor * np.asarray(llr, dtype=float) * side))


def expit(x: ArrayLike) -> Floats:
    """The logistic function 1 / (1 + exp(-x))."""
    from scipy.special import expit as logistic

    return np.asarray(logistic(x), dtype=float)
