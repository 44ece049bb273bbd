"""What a panel can be worth: the theory of majorities, for judges of known accuracy and correlation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, gammaln

from consensus.statistics.clusters import Floats
from consensus.statistics.estimate import ratio


def chance_of_counts(chances: ArrayLike) -> Floats:
    """Distribution of how many of independent events happen (Poisson binomial).

    Args:
        chances: shape [..., k].
    Returns:
        Shape [..., k + 1].
    """
    chances = np.asarray(chances, dtype=float)
    found = np.ones((*chances.shape[:-1], 1))
    for p in np.moveaxis(chances, -1, 0):
        found = np.concatenate([found * (1 - p)[..., None], np.zeros((*p.shape, 1))], axis=-1) + np.concatenate(
            [np.zeros((*p.shape, 1)), found * p[..., None]], axis=-1
        )
    return found


def majority_accuracy(accuracies: ArrayLike, needed: int | None = None) -> Floats:
    """Chance that at least `needed` of independent judges are right; more than half of them unless given.

    Args:
        accuracies: shape [..., n_judges].
    Source: Condorcet 1785.
    """
    accuracies = np.asarray(accuracies, dtype=float)
    least = accuracies.shape[-1] // 2 + 1 if needed is None else needed
    return np.asarray(chance_of_counts(accuracies)[..., least:].sum(axis=-1))


def correlated_majority_accuracy(
    accuracy: float, correlation: float, judges: int = 3, needed: int | None = None
) -> float:
    """Chance that at least `needed` of exchangeable judges are right, whose errors have this correlation (beta-binomial).

    Args:
        accuracy: of each judge, in (0, 1).
        correlation: between the errors of any two, in [0, 1).
    """
    least = judges // 2 + 1 if needed is None else needed
    if correlation == 0:
        return float(majority_accuracy([accuracy] * judges, least))
    if not (0 < correlation < 1 and 0 < accuracy < 1):
        raise ValueError(f"accuracy {accuracy} must be in (0, 1), correlation {correlation} in [0, 1)")
    size = 1 / correlation - 1
    a, b = accuracy * size, (1 - accuracy) * size
    k = np.arange(least, judges + 1)
    ways = gammaln(judges + 1) - gammaln(k + 1) - gammaln(judges - k + 1)
    return float(np.exp(ways + betaln(a + k, b + judges - k) - betaln(a, b)).sum())


def effective_judges(judges: int, correlation: ArrayLike) -> Floats:
    """Independent judges that would know as much as these: k / (1 + (k - 1) correlation), above 0; nan where that is not.

    Source: Kish 1965, Survey Sampling.
    """
    spread = 1 + (judges - 1) * np.asarray(correlation, dtype=float)
    return ratio(np.full(np.shape(spread), float(judges)), spread)


def dictator(weights: Sequence[float]) -> int | None:
    """The judge whose weight exceeds all others' together, so that it alone decides; None if there is none."""
    sizes = np.abs(np.asarray(weights, dtype=float))
    top = int(sizes.argmax())
    return top if sizes[top] > sizes.sum() - sizes[top] else None


def log_odds(accuracy: ArrayLike) -> Floats:
    """The weight of an independent judge's vote: log p/(1-p). Source: Nitzan & Paroush 1982, Int. Econ. Rev. 23."""
    p = np.asarray(accuracy, dtype=float)
    return np.asarray(np.log(p / (1 - p)))


def expected_lazy_calls(first: float, second: float) -> float:
    """Calls on a pair when the third judge is asked only if the first two, of these accuracies and independent, differ."""
    return 2 + first * (1 - second) + second * (1 - first)


def cheapest_line(costs: Sequence[float], differ: ArrayLike) -> tuple[tuple[int, int, int], float]:
    """In which order to ask three judges, the third only where the first two differ, and what a pair then costs.

    Args:
        costs: per call, shape [3].
        differ: chance that two judges differ, shape [3, 3].
    """
    chance = np.asarray(differ, dtype=float)
    line = min(permutations(range(3)), key=lambda o: costs[o[0]] + costs[o[1]] + costs[o[2]] * chance[o[0], o[1]])
    a, b, c = line
    return (a, b, c), costs[a] + costs[b] + costs[c] * float(chance[a, b])
