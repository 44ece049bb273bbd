"""Several questions at once: p-values that stay honest when the most striking of many answers is the one that is read."""

from __future__ import annotations

from math import exp, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats, cluster_sums


def holm(p: ArrayLike) -> Floats:
    """p-values that hold for all questions together, shape [n]: below x for anything innocent with a chance of at most x.

    Args:
        p: p-values of single questions, dependent or not, shape [n]; nan is a question that was not asked and stays nan.
    Source: Holm 1979, Scand. J. Stat. 6.
    """
    raw = np.asarray(p, dtype=float)
    adjusted = np.full(raw.shape, nan)
    order = np.argsort(raw, kind="stable")  # nan comes last
    order = order[~np.isnan(raw[order])]
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps * raw[order]))
    return adjusted


def share_p(right: ArrayLike, clusters: ArrayLike, *, against: float = 0.5) -> float:
    """Two-sided p-value that a proportion is `against`, by whole clusters: below 1 - level where `intervals.wilson` excludes it.

    Args:
        right: outcomes in [0, 1], shape [n].
        clusters: the prompt of each, shape [n].
        against: in (0, 1).
    Returns:
        In [0, 1]; nan with fewer than two clusters, and where all outcomes are the same half credit.
    Source: the score test that Wilson's interval inverts, at the same effective n and with the same t quantile; the rule of three
        where all outcomes are equal.
    """
    from scipy.special import stdtr

    y = np.asarray(right, dtype=float)
    share = float(y.mean()) if len(y) else nan
    sums = cluster_sums(np.stack([y - share, np.ones(len(y))], axis=1), clusters)
    if len(sums) < 2:
        return nan
    if np.ptp(y) == 0:
        if 0 < y[0] < 1:
            return nan
        kish = float(len(y) ** 2 / (sums[:, 1] @ sums[:, 1]))
        return exp(-abs(round(share) - against) * kish)
    variance = float(sums[:, 0] @ sums[:, 0]) / len(y) ** 2
    n_eff = share * (1 - share) / variance if variance > 0 else float(len(y))
    z = abs(share - against) * sqrt(n_eff / (against * (1 - against)))
    return 2 * float(stdtr(len(sums) - 1, -z))
