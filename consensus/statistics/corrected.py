"""A mean over everything from a prediction of everything and people's word on a sample: prediction-powered inference."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats, cluster_sums
from consensus.statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class Corrected:
    """The estimate.

    Attributes:
        weight: in [0, 1], that the predictions got; 0 is the sample's own mean.
        values: of every item, a number that stands for it: their mean is the estimate, and their spread over the prompts its
            error (the item's influence, Hampel 1974), so that the estimate may be tested as any mean is. Shape [N]; none where
            there is no estimate, or where the sample's items are not among all items.
    """

    mean: Interval
    weight: float
    values: Floats = field(default_factory=lambda: np.empty(0), compare=False, repr=False)


def corrected_mean(
    everything: ArrayLike,
    predicted: ArrayLike,
    outcome: ArrayLike,
    *,
    clusters: ArrayLike,
    sample_clusters: ArrayLike,
    level: float = 0.95,
) -> Corrected:
    """The mean outcome of all items: the predictions' mean, corrected by how wrong they are on a random sample (PPI++).

    Args:
        everything: the prediction for every item (or for those outside the sample), shape [N].
        predicted, outcome: prediction and truth on the sample, shape [n]; a random one, of items and not of easy ones.
        clusters, sample_clusters: the prompt of each, shapes [N] and [n]; an item in both has the same one.
    Returns:
        Bounds by the cluster-robust variance with a t quantile on the sample's clusters; nan with fewer than two of those, and the
        value too without a sample.
    Raises:
        ValueError: predictions and outcomes of different numbers.
    Source: Angelopoulos, Duchi & Zrnic 2023, arXiv 2311.01453.
    """
    from scipy.special import stdtrit

    f_all, f, y = (np.asarray(x, dtype=float) for x in (everything, predicted, outcome))
    if f.shape != y.shape:
        raise ValueError(f"{len(f)} predictions for {len(y)} outcomes")
    n, total = len(y), len(f_all)
    if n == 0 or total == 0:
        return Corrected(Interval(nan, nan, nan, n), 0.0)
    spread = float(np.var(np.concatenate([f_all, f]), ddof=1))
    together = float(np.mean((y - y.mean()) * (f - f.mean())))
    weight = min(1.0, max(0.0, together / ((1 + n / total) * spread))) if spread > 0 else 0.0
    error = y - weight * f
    value = weight * float(f_all.mean()) + float(error.mean())
    influence = np.concatenate([weight * (f_all - f_all.mean()) / total, (error - error.mean()) / n])
    sums = cluster_sums(influence, np.concatenate([np.asarray(clusters), np.asarray(sample_clusters)]))
    own = len(np.unique(np.asarray(sample_clusters)))
    if own < 2:
        return Corrected(Interval(value, nan, nan, n), weight)
    variance = len(sums) / (len(sums) - 1) * float(sums @ sums)
    half = float(stdtrit(own - 1, 0.5 + level / 2)) * sqrt(variance)
    return Corrected(Interval(value, value - half, value + half, n), weight)
