"""Two judges on the same pairs: how far they differ, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import nan

import numpy as np

from consensus.statistics.bootstrap import sign_flip_p
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.intervals import mean_interval
from consensus.statistics.multiple import holm
from consensus.statistics.position import sign_test
from evaluation.audit.figures import NO_SPREAD
from evaluation.audit.result import Figure

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Couple:
    """One judge against another.

    Attributes:
        difference: accuracy of `one` minus that of `other`, on the pairs on which both count, by whole prompts.
        one_only, other_only: pairs on which the one gains more than the other.
        mcnemar_p: exact, two-sided, every pair alone; nan where they never differ.
        p: the same with the signs of whole prompts, where a prompt has several pairs; else McNemar's.
        p_holm: p, held against all couples together (Holm); below 0.05 the difference is real.
    """

    one: str
    other: str
    difference: Figure
    one_only: int
    other_only: int
    mcnemar_p: float
    p: float
    p_holm: float = nan

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance, among all couples that were looked at."""
        return self.p_holm < LEVEL


def couples(judges: Sequence[str], credits_: Floats, cluster: Ints, *, seed: int = 0) -> list[Couple]:
    """Every two judges once.

    Args:
        credits_: as from `judged.credit`, shape [n_judges, n].
        cluster: the prompt of each pair, shape [n].
        seed: decides the sign patterns, where there are too many for all.
    """
    found = [
        _couple(judges[i], judges[k], credits_[i], credits_[k], cluster, np.random.default_rng([seed, i, k]))
        for i, k in combinations(range(len(judges)), 2)
    ]
    return [replace(each, p_holm=float(p)) for each, p in zip(found, holm([each.p for each in found]), strict=True)]


def _couple(one: str, other: str, first: Floats, second: Floats, cluster: Ints, rng: np.random.Generator) -> Couple:
    known = ~np.isnan(first) & ~np.isnan(second)
    gap, prompts = (first - second)[known], cluster[known]
    bounds = mean_interval(gap, prompts)
    why = "no pair counts for both" if not len(gap) else "" if bounds.low == bounds.low else NO_SPREAD
    difference = Figure("difference", bounds.value, bounds.low, bounds.high, bounds.n, why)
    ahead, behind = int((gap > 0).sum()), int((gap < 0).sum())
    exact = sign_test(ahead, behind)
    alone = len(np.unique(prompts)) == len(prompts) and set(np.unique(np.abs(gap))) <= {0.0, 1.0}
    return Couple(one, other, difference, ahead, behind, exact, exact if alone else sign_flip_p(gap, prompts, rng=rng))
