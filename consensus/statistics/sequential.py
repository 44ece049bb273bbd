"""Looking more than once as data come in, without promising more than one look would.

Whoever looks five times at a 2.5 % bound finds something that is not there in 7 % of the cases. Here each look spends a part of the
2.5 %: almost nothing at first, as O'Brien and Fleming did, so that the last look's bound is hardly wider than a single look's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import inf, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, roots_legendre

from consensus.statistics.clusters import Floats

_NODES, _EDGE = 512, 9.0  # of the integration, over so many standard deviations to each side
_CLOSE = (
    0.01  # looks that add less than this share of the data: the nodes are too far apart, and there is little to gain
)


@dataclass(frozen=True, slots=True)
class Look:
    """A look that was taken.

    Attributes:
        information: what it rested on, above 0, in any unit that grows as the variance falls: prompts.
        critical: standard errors that the effect had to surpass; infinite where nothing was left.
        spent: chance of a false alarm spent up to and with this look.
    """

    information: float
    critical: float
    spent: float


def spending(share: float, alpha: float) -> float:
    """The part of `alpha` that may be spent when this share of the looks is done, in the manner of O'Brien and Fleming.

    Args:
        share: in (0, 1]; 1 and more spends all.
        alpha: one-sided, in (0, .5).
    Source: Lan & DeMets 1983, Biometrika 70; a share of looks, not of data, as Lan & DeMets 1989, Stat. Med. 8: any clock will do.
    """
    if share >= 1:
        return alpha
    return 2 * float(ndtr(ndtri(alpha / 2) / sqrt(share)))


def next_look(past: Sequence[Look], information: float, *, looks: int, alpha: float) -> Look:
    """What the effect must surpass at this look.

    Args:
        past: the looks before this one, the first one first.
        information: as `Look`'s.
        looks: how many were planned in all. Beyond them nothing is left to spend.
        alpha: one-sided chance of surpassing any of the bounds without an effect, in (0, .5).
    Returns:
        Where this look's data contain those of all before it, the exact bound; where they do not (fewer prompts, or hardly
        more), one that holds however the looks depend on each other.
    """
    before = past[-1].spent if past else 0.0
    spent = max(before, spending((len(past) + 1) / looks, alpha))
    budget = spent - before
    if budget <= 0:
        return Look(information, inf, before)
    times = [look.information for look in past] + [information]
    if not past or not _growing(times):
        return Look(information, -float(ndtri(budget)), spent)
    places, density = _path([look.critical for look in past], times[:-1])

    def too_often(critical: float) -> float:
        return _last(critical, times, places, density) - budget

    critical = float(brentq(too_often, -2.0, -float(ndtri(budget)) + 1e-6, xtol=1e-9))
    return Look(information, critical, spent)


def crossing(bounds: Sequence[float], information: Sequence[float]) -> list[float]:
    """The chance of first surpassing a bound at each look, if there is no effect.

    Args:
        bounds: in standard errors, one per look.
        information: growing, one per look.
    Source: Armitage, McPherson & Rowe 1969, J. R. Stat. Soc. A 132, by Gaussian quadrature.
    """
    found = [float(ndtr(-bounds[0]))]
    for k in range(1, len(bounds)):
        places, density = _path(bounds[:k], information[:k])
        found.append(_last(bounds[k], information[: k + 1], places, density))
    return found


def planned(looks: int, alpha: float) -> list[float]:
    """The bounds of so many looks at equal distances, in standard errors."""
    taken: list[Look] = []
    for k in range(looks):
        taken.append(next_look(taken, k + 1.0, looks=looks, alpha=alpha))
    return [look.critical for look in taken]


def _growing(times: Sequence[float]) -> bool:
    return all(later - earlier > _CLOSE * later for earlier, later in pairwise(times))


def _path(bounds: Sequence[float], times: Sequence[float]) -> tuple[Floats, Floats]:
    """Where the sum stands after these looks if it surpassed no bound: places, and the chance at each, shapes [nodes].

    The sum of independent parts has the variance `times` and increments that do not depend on the past.
    """
    node, weight = _quadrature()
    places, chance = np.zeros(1), np.ones(1)
    passed = 0.0
    for bound, time in zip(bounds, times, strict=True):
        low, high = -_EDGE * sqrt(time), min(bound, _EDGE) * sqrt(time)
        there = (low + high) / 2 + (high - low) / 2 * node
        step = sqrt(time - passed)
        arrives = np.exp(-(((there[:, None] - places) / step) ** 2) / 2) / (step * sqrt(2 * np.pi))
        chance = (arrives @ chance) * weight * (high - low) / 2
        places, passed = there, time
    return places, chance


@cache
def _quadrature() -> tuple[Floats, Floats]:
    node, weight = roots_legendre(_NODES)
    return node, weight


def _last(critical: float, times: Sequence[float], places: Floats, chance: Floats) -> float:
    step = sqrt(times[-1] - times[-2])
    return float(ndtr((places - critical * sqrt(times[-1])) / step) @ chance)
