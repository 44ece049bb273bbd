"""What the order does to a judge: which slot it favours, and how often the order changes its mind.

*Position bias* is the mean push towards the first slot; pushes in opposite directions on different pairs cancel in it. *Order
sensitivity* does not cancel: of real judges with a bias of 3 to 5 points, the order changes the mind on 8 to 17 % of pairs more
than repetition alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import bdtr

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Estimate, estimate, first_of_second, ratio, share_of
from consensus.statistics.flips import disagreement
from consensus.statistics.votes import Cells

ONE_ORDER = "no pair was shown in both orders: what the slot does cannot be told from what the completions are"


def position_bias(cells: Cells) -> Estimate:
    """Chance that a decided vote is for the completion shown first, minus one half, in [-.5, .5]; + favours the first slot.

    Half of P(a | a first) - P(a | b first), which is right also when one order was shown more often: with 70 % of one order the
    raw share of first choices gave .091 for a true .070. Which order a pair is shown in must not depend on its completions.

    Of a judge that always takes the same slot no prompt shows how it varies; its bounds are those of its share for that slot.
    """
    a, b = cells.share[:, 0], cells.share[:, 1]
    columns = [
        cells.once * mask * part for mask in (cells.first, ~cells.first) for part in (a, a + b)
    ]  # a and decided, when a was first; the same, when b was
    found = estimate(cells.cluster, columns, _half_difference, n=int((a + b > 0).sum()), reason=ONE_ORDER)
    if abs(found.value) > 0.5 - 1e-12:
        return replace(first_share(cells), offset=-0.5)
    return found


def _half_difference(sums: Floats) -> Floats:
    return (ratio(sums[..., 0], sums[..., 1]) - ratio(sums[..., 2], sums[..., 3])) / 2


def first_share(cells: Cells) -> Estimate:
    """Raw share of decided votes for the completion shown first: what was seen, biased where orders are unbalanced."""
    a, b = cells.share[:, 0], cells.share[:, 1]
    first = np.where(cells.first, a, b)
    return share_of(cells.cluster, cells.once * first, cells.once * (a + b), reason="no decided votes")


@dataclass(frozen=True, slots=True, eq=False)
class Swaps:
    """A judge's pairs that were judged in both orders, as chances over one call in each order.

    Attributes:
        pair, cluster: shape [n].
        consistent, primacy, recency: chance that both calls name the same winner (or both a tie), lean to the first slot (it
            wins both times, or once with a tie), lean to the second; they add up to 1; nan where an order has only abstentions.
        retest: mean over the orders of the chance that two calls in the same order agree; nan where one has fewer than two.
        weight, weight_repeated: inverse chance of having what `consistent` needs, and what `retest` needs.
    """

    pair: Ints
    cluster: Ints
    consistent: Floats
    primacy: Floats
    recency: Floats
    retest: Floats
    weight: Floats
    weight_repeated: Floats

    @classmethod
    def of(cls, cells: Cells) -> Swaps:
        """From one judge's cells. Every call in one order is compared with every call in the other."""
        ab, ba = cells.in_both_orders()
        x, y = ab.opinion, ba.opinion
        primacy = x[:, 0] * y[:, 1] + x[:, 0] * y[:, 2] + x[:, 2] * y[:, 1]
        recency = x[:, 1] * y[:, 0] + x[:, 1] * y[:, 2] + x[:, 2] * y[:, 0]
        retest = 1 - (disagreement(ab.count[:, :3]) + disagreement(ba.count[:, :3])) / 2
        weight, repeated = np.maximum(ab.once, ba.once), np.maximum(ab.twice, ba.twice)
        return cls(ab.pair, ab.cluster, (x * y).sum(axis=1), primacy, recency, retest, weight, repeated)


def position_consistency(swaps: Swaps) -> Estimate:
    """Chance that the two orders name the same winner (both a tie counts as the same)."""
    return _mean(swaps, swaps.consistent)


def order_flip_rate(swaps: Swaps) -> Estimate:
    """Chance that the verdicts in the two orders differ: 1 - position consistency."""
    return _mean(swaps, 1 - swaps.consistent)


def primacy_rate(swaps: Swaps) -> Estimate:
    """Share of pairs on which the judge leans to whatever is shown first."""
    return _mean(swaps, swaps.primacy)


def recency_rate(swaps: Swaps) -> Estimate:
    """Share of pairs on which the judge leans to whatever is shown second."""
    return _mean(swaps, swaps.recency)


def order_sensitivity(swaps: Swaps) -> Estimate:
    """Retest agreement minus position consistency: order flips in excess of repeat flips.

    Half the mean squared distance between the verdict's distributions in the two orders: not below 0 but for sampling error,
    and 0 only if order does nothing on any pair. From pairs with two valid votes in each order.
    """
    known = ~np.isnan(swaps.retest)
    weight = swaps.weight_repeated[known]
    excess = (swaps.retest - swaps.consistent)[known]
    return estimate(
        swaps.cluster[known],
        [weight * excess, weight],
        first_of_second,
        n=int(known.sum()),
        reason="no pair was asked twice in each of the two orders",
    )


def preference_fairness(swaps: Swaps) -> Estimate:
    """Preference fairness of Shi et al., in [-1, 1]: below 0 the judge leans to the first slot, above 0 to the second.

    Their raw score R*R/(P+R) - P*P/(P+R) is R - P, and their rescaling to its extremes divides it by the number of pairs; pairs
    with an unreadable verdict are among those. Their average over tasks and models equals this where these are of equal size.

    Source: arXiv 2406.07791 and github.com/Slimshilin/Position-Bias-Analyzer.
    """
    lean = np.nan_to_num(swaps.recency - swaps.primacy)
    return estimate(
        swaps.cluster,
        [swaps.weight * lean, swaps.weight],
        first_of_second,
        n=len(lean),
        reason=ONE_ORDER,
    )


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test of whether a judge leans to a slot.

    Attributes:
        primacy, recency: pairs that lean to the first slot, to the second.
        p_value: two-sided; nan if no pair leans.
    """

    primacy: int
    recency: int
    p_value: float


def mcnemar(swaps: Swaps) -> McNemar:
    """McNemar's exact test on the pairs whose verdict moves with the order.

    A pair with repeats counts once, for the side it leans to. If order did nothing, every pair would lean either way equally
    often and independently of all others, those of its prompt included.

    Source: McNemar 1947, Psychometrika 12; exact by the binomial tail.
    """
    lean = np.nan_to_num(swaps.primacy - swaps.recency)
    lean[np.abs(lean) < 1e-9] = 0.0  # equal chances that differ by rounding
    primacy, recency = int((lean > 0).sum()), int((lean < 0).sum())
    return McNemar(primacy, recency, sign_test(primacy, recency))


def sign_test(one: int, other: int) -> float:
    """Two-sided exact p of a fair coin's falling this unevenly; nan without a throw."""
    if one + other == 0:
        return float("nan")
    return min(1.0, 2 * float(bdtr(min(one, other), one + other, 0.5)))


def _mean(swaps: Swaps, value: Floats) -> Estimate:
    known = ~np.isnan(value)
    weight = swaps.weight[known]
    return share_of(swaps.cluster[known], weight * value[known], weight, reason=ONE_ORDER)
