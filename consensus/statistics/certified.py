"""How many of the best-supported labels can be kept with a promised precision, proven on gold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, nan

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, ndtri

SHARES = tuple(k / 20 for k in range(10, 21))


@dataclass(frozen=True, slots=True)
class Certified:
    """What can be kept.

    Attributes:
        share: of the labels, in [0, 1]; 0 if the promise holds for none.
        threshold: the least score of a kept label; nan if none is kept.
        kept, right: labels with gold at or above the threshold, and those of them that are right.
        p_value: of the last test that was passed; nan if none was.
    """

    share: float
    threshold: float
    kept: int
    right: int
    p_value: float


def certified_share(
    scores: ArrayLike, right: ArrayLike, *, target: float, alpha: float = 0.05, shares: Sequence[float] = SHARES
) -> Certified:
    """The largest share of labels, the surest first, whose precision is above `target`: wrong in at most `alpha` of the cycles.

    Shares are tested from the smallest up, each at `alpha`, and testing ends with the first that fails, so that nothing has to be
    divided. Choosing the threshold at which the sample's own precision is high enough breaks the promise in 41 to 50 % of cycles.

    Args:
        scores: how sure each label is, higher is surer, shape [n]; of a random sample of labels with gold, and by a model that was
            fitted on other labels.
        right: whether each label is what people say, shape [n].
        target: precision, in (0, 1).
        shares: growing, in (0, 1].
    Source: Bauer 1991, Stat. Med. 10 (fixed sequence); Jung, Brahman & Choi 2024, arXiv 2407.18370.
    """
    score, correct = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    found = Certified(0.0, nan, 0, 0, nan)
    if not len(score):
        return found
    for share in shares:
        threshold = float(np.quantile(score, 1 - share, method="higher"))
        kept = score >= threshold
        n, good = int(kept.sum()), int(correct[kept].sum())
        p = precision_p(good, n, target)
        if p > alpha:
            break
        found = Certified(share, threshold, n, good, p)
    return found


def precision_p(right: int, kept: int, target: float) -> float:
    """The chance of so many right labels or more of those kept, if each is right with the chance `target`."""
    return float(bdtrc(right - 1, kept, target)) if right > 0 else 1.0


def labels_to_certify(precision: float, *, margin: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Labels with gold needed to prove with this power that a precision is not `margin` lower than it is.

    Args:
        precision: in (0, 1).
        margin: above 0.
    """
    z = float(ndtri(1 - alpha) + ndtri(power))
    return ceil(z * z * precision * (1 - precision) / margin**2)
