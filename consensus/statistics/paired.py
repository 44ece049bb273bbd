"""Is one checkpoint better than another on the same items? The t-test that knows of prompts, and the sign flips beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isnan, nan

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtr

from consensus.statistics.bootstrap import sign_flip_p
from consensus.statistics.intervals import Interval, Mean, cluster_mean

FLIPS = 9_999


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two checkpoints, and whether it is beyond a margin.

    Attributes:
        mean: of the differences.
        effect: the same with its interval.
        critical: standard errors from the margin to the interval's bound, before the t quantile: 1.96 at a level of .95.
        p: of the cluster-robust t-test that the true difference is the margin, two-sided; nan without an error.
        sign_flip_p: of the test by flipping the signs of whole prompts, two-sided; nan where no prompt differs from the margin.
    """

    mean: Mean
    effect: Interval
    critical: float
    p: float
    sign_flip_p: float

    @property
    def design_effect(self) -> float:
        """How many times the variance of items of different prompts; nan without an error."""
        return (self.mean.error / self.mean.alone) ** 2 if self.mean.alone > 0 else nan


class Verdict(StrEnum):
    """What follows for a checkpoint."""

    PROMOTE = "promote"  # the difference is surely above the margin
    REJECT = "reject"  # it is surely below
    INCONCLUSIVE = "inconclusive"  # it may be either


def paired(
    differences: ArrayLike,
    prompts: ArrayLike,
    *,
    margin: float = 0.0,
    critical: float = 1.959963984540054,
    rng: Generator,
) -> Paired:
    """Compare two checkpoints by their differences on the same items.

    Args:
        differences: new minus old, one per item, shape [n].
        prompts: of each item, shape [n].
        margin: the difference that is to be surpassed.
        critical: z-value of the interval's bounds, e.g. of `sequential.next_look`; its t quantile is used.
        rng: decides the sign flips, above 13 prompts.
    """
    values = np.asarray(differences, dtype=float)
    mean = cluster_mean(values, prompts)
    distance = (mean.value - margin) / mean.error
    p = 2 * float(stdtr(mean.clusters - 1, -abs(distance))) if mean.clusters > 1 else nan
    flips = sign_flip_p(values - margin, prompts, rng=rng, flips=FLIPS)
    return Paired(mean, mean.interval(level_of(critical)), critical, p, flips)


def level_of(critical: float) -> float:
    """The level of a two-sided interval with this z-value."""
    return 1 - 2 * float(ndtr(-critical))


def verdict(found: Paired, *, margin: float = 0.0) -> Verdict:
    """Promote or reject only where both tests say so.

    The t-test alone promotes up to 2.9 % of checkpoints without an effect where 2.5 % are promised. The test by sign
    flips is exact if differences are as likely to go one way as the other, however they are distributed; but it draws its patterns,
    so that at levels below 20 in the number of patterns (early looks) the t-test decides alone.
    """
    low, high, alpha = found.effect.low, found.effect.high, 2 * float(ndtr(-found.critical))
    if isnan(low) or isnan(high):
        return Verdict.INCONCLUSIVE
    if alpha >= 20 / FLIPS and not found.sign_flip_p <= alpha:
        return Verdict.INCONCLUSIVE
    if low > margin:
        return Verdict.PROMOTE
    return Verdict.REJECT if high < margin else Verdict.INCONCLUSIVE
