"""Where the variance of verdicts comes from (a generalizability study), and what to buy for it: repeats, swaps, or judges.

A verdict counts +1 for a, -1 for b, 0 for a tie. Every judge sees every pair in both orders, once or more. What judge and order do
on all pairs alike (position bias) is removed; the rest splits into

    pair                what all judges see in it, in either order: the quality that a label should show
    pair x judge        what one judge sees in it and others do not; a re-labeling by the same panel repeats it
    pair x order        what the order does to it for all judges
    pair x judge x order    what the order does to it for one judge
    residual            what differs between identical calls

Source: Brennan 2001, Generalizability Theory; the ANOVA estimates of a balanced design, written as covariances between columns
(judge, order), so that cells may have different numbers of repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Estimate, estimate, ratio, undefined
from consensus.statistics.votes import Cells


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Variance components, each of shape [...]; estimates may fall below 0 by sampling error."""

    pair: Floats
    pair_judge: Floats
    pair_order: Floats
    pair_judge_order: Floats
    residual: Floats


@dataclass(frozen=True, slots=True)
class Design:
    """Calls on one pair: every one of `judges` is asked in `orders` orders, `repeats` times each."""

    judges: int
    orders: int
    repeats: int

    @property
    def calls(self) -> int:
        """Calls per pair."""
        return self.judges * self.orders * self.repeats


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The sums from which components are estimated, over pairs that every judge judged in both orders.

    Attributes:
        columns: each of shape [n_pairs]: weight; 1; then, weighted, the sum of the variances between repeats, the number of cells
            that have one, mean 1/repeats, the four mean products of cell means, and the cell means.
        cluster: prompt of each pair, shape [n_pairs].
        judges: how many, at least 2.
    """

    columns: list[Floats]
    cluster: Ints
    judges: int

    @classmethod
    def of(cls, cells: Cells, judges: Sequence[int]) -> Study:
        """The study of these judges (indices).

        Raises:
            ValueError: fewer than two judges.
        """
        if len(judges) < 2:
            raise ValueError("a variance split needs two judges")
        seen = cells.where((cells.valid > 0) & np.isin(cells.judge, judges))
        pairs, row = np.unique(seen.pair, return_inverse=True)
        place = (row, np.searchsorted(np.sort(judges), seen.judge), np.where(seen.first, 0, 1))
        shape = (len(pairs), len(judges), 2)
        mean, spread, inverse, weight = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape), np.zeros(shape)
        n = seen.valid
        mean[place] = (seen.count[:, 0] - seen.count[:, 1]) / n
        square = (seen.count[:, 0] + seen.count[:, 1]) / n - mean[place] ** 2
        spread[place] = ratio(square * n, n - 1)
        inverse[place], weight[place] = 1 / n, seen.once
        cluster = np.zeros(len(pairs), np.int64)
        cluster[row] = seen.cluster
        whole = ~np.isnan(mean).any(axis=(1, 2))
        return cls(_columns(mean[whole], spread[whole], inverse[whole], weight[whole]), cluster[whole], len(judges))

    def components(self, sums: Floats | None = None) -> Components:
        """The components, from all pairs or from sums of shape [..., k]; nan below two pairs, the last two without repeats."""
        if sums is None:
            sums = np.array([column.sum() for column in self.columns])
        total, pairs, squares, repeated, inverse = (sums[..., k] for k in range(5))
        means = ratio(sums[..., 9:], total[..., None]).reshape(*sums.shape[:-1], self.judges, 2)
        cross, by_judge, by_order, own = (
            (ratio(sums[..., 5 + k], total) - product) * ratio(pairs, pairs - 1)
            for k, product in enumerate(_products(means))
        )  # covariances between columns (judge, order): other judge and order, same judge, same order, variances
        residual = ratio(squares, repeated)
        three_way = own - residual * ratio(inverse, total) - by_judge - by_order + cross
        return Components(cross, by_judge - cross, by_order - cross, three_way, residual)

    def estimate(self, value: Callable[[Components], Floats]) -> Estimate:
        """An estimate of anything that is computed from the components."""
        if not len(self.cluster):
            return undefined("no pair was judged by all judges in both orders")
        return estimate(
            self.cluster,
            self.columns,
            lambda sums: value(self.components(sums)),
            n=len(self.cluster),
            reason="no request was asked twice, or there is but one pair",
        )


def reliability(found: Components, design: Design) -> Floats:
    """Share of the variance of a panel's mean verdict that comes again when the same panel labels the pair again, in [0, 1].

    There are but two orders: asking in both leaves nothing of what they do to chance (a fixed facet), and half of each order
    component counts as seen in the pair. With one, each judge's order is drawn anew. Components below 0 count as 0. Undefined
    where a component is, or all of them are 0.
    """
    pair, judge, order, three_way, residual = (
        np.where(np.isnan(x), np.nan, np.maximum(x, 0.0))
        for x in (found.pair, found.pair_judge, found.pair_order, found.pair_judge_order, found.residual)
    )
    again = pair + order / 2 + (judge + three_way / 2) / design.judges
    drawn = (order + three_way) / 2 / design.judges if design.orders == 1 else 0.0
    return ratio(again, again + drawn + residual / design.calls)


def predicted_consistency(rho: Floats) -> Floats:
    """Chance of the same label from a re-labeling, (1 + reliability)/2; for planning: it is 2 to 4 points off."""
    return (1 + np.asarray(rho)) / 2


def cheapest_design(
    found: Components, target: float, prices: Sequence[float], *, most_repeats: int = 5
) -> tuple[Design, float] | None:
    """The design with the smallest price per pair whose predicted consistency reaches the target, and that price.

    Args:
        found: components that are numbers.
        target: chance of the same label again, in (.5, 1).
        prices: per call of each judge of the panel; a design with k judges takes the first k.
    Returns:
        None if no design within the panel, two orders and `most_repeats` reaches it.
    """
    designs = (Design(*d) for d in product(range(1, len(prices) + 1), (1, 2), range(1, most_repeats + 1)))
    priced = [(sum(prices[: d.judges]) * d.orders * d.repeats, d.calls, d) for d in designs]
    good = [item for item in priced if predicted_consistency(reliability(found, item[2])) >= target]
    if not good:
        return None
    price, _, design = min(good, key=lambda item: item[:2])
    return design, price


def _columns(mean: Floats, spread: Floats, inverse: Floats, weight: Floats) -> list[Floats]:
    """What `Study` sums, from cell means, their variance between repeats, 1/repeats and weights of shape [n_pairs, n_judges, 2]."""
    each = weight.max(axis=(1, 2), initial=0.0)
    repeated = ~np.isnan(spread)
    scalars = [
        np.ones(len(mean)),
        np.where(repeated, spread, 0.0).sum(axis=(1, 2)),
        repeated.sum(axis=(1, 2)).astype(float),
        inverse.mean(axis=(1, 2)),
        *_products(mean),
        *mean.reshape(len(mean), mean.shape[1] * mean.shape[2]).T,
    ]
    first, *rest = scalars
    return [each, first, *(each * column for column in rest)]


def _products(x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean product of two entries of x [..., n_judges, 2]: of other judge and order, same judge, same order, with themselves."""
    judges = x.shape[-2]
    two = judges * (judges - 1)
    swapped = (x[..., 0] * x[..., 1]).sum(axis=-1)
    column = x.sum(axis=-2)
    squares = (x**2).sum(axis=-2)
    cross = (column[..., 0] * column[..., 1] - swapped) / two
    return cross, swapped / judges, ((column**2 - squares) / two).mean(axis=-1), squares.mean(axis=-1) / judges
