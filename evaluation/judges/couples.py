"""Two judges on the same pairs: how far they differ, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import nan

import numpy as np

from consensus.statistics.bootstrap import sign_flip_p
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import estimate, ratio
from consensus.statistics.intervals import mean_interval
from consensus.statistics.multiple import holm
from consensus.statistics.position import sign_test
from evaluation.audit.figures import NO_SPREAD, figure
from evaluation.audit.result import Figure
from evaluation.judges.order import Shares

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
        order: by name (consistency, first_share) the share of `one` minus that of `other`, on all their pairs, by whole prompts.
    """

    one: str
    other: str
    difference: Figure
    one_only: int
    other_only: int
    mcnemar_p: float
    p: float
    p_holm: float = nan
    order: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance, among all couples that were looked at."""
        return self.p_holm < LEVEL


def couples(
    judges: Sequence[str], credits_: Floats, cluster: Ints, *, shares: Mapping[str, Shares] | None = None, seed: int = 0
) -> list[Couple]:
    """Every two judges once.

    Args:
        credits_: as from `judged.credit`, shape [n_judges, n].
        cluster: the prompt of each pair, shape [n].
        shares: by name further shares that are compared.
        seed: decides the sign patterns, where there are too many for all.
    """
    found = [
        _couple(judges[i], judges[k], credits_[i], credits_[k], cluster, np.random.default_rng([seed, i, k]))
        for i, k in combinations(range(len(judges)), 2)
    ]
    adjusted = holm([each.p for each in found])
    order = [
        {name: _gap(name, part, whole, i, k, cluster, seed) for name, (part, whole) in (shares or {}).items()}
        for i, k in combinations(range(len(judges)), 2)
    ]
    return [replace(each, p_holm=float(p), order=gaps) for each, p, gaps in zip(found, adjusted, order, strict=True)]


def _gap(name: str, part: Floats, whole: Floats, i: int, k: int, cluster: Ints, seed: int) -> Figure:
    """The share of judge i minus that of judge k; the jackknife by prompts knows that they judged the same pairs."""
    columns = [part[i], whole[i], part[k], whole[k]]
    n = int(((whole[i] > 0) & (whole[k] > 0)).sum())
    found = estimate(cluster, columns, _difference_of_shares, n=n, reason="one of the two has no such answers")
    return figure(name, found, np.random.default_rng([seed, i, k]))


def _difference_of_shares(sums: Floats) -> Floats:
    return ratio(sums[..., 0], sums[..., 1]) - ratio(sums[..., 2], sums[..., 3])


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
