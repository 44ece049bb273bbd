"""Has a judge changed? A bet against "no", whose wealth may be read after every vote.

If nothing changed, the wealth of a gambler at fair odds exceeds 1/alpha ever with a chance of at most alpha, however often one
looks. A z-test after every 50 votes raises a false alarm in a third of the cases.

Source: Waudby-Smith & Ramdas 2024, J. R. Stat. Soc. B 86 (betting); Ville 1939.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats
from consensus.statistics.estimate import ratio

BETS = (-0.5, -0.25, -0.1, -0.05, 0.05, 0.1, 0.25, 0.5)
"""Shares of the largest admissible bet; below 0 the gambler bets on fewer hits."""


def factor(hit: ArrayLike, null: ArrayLike, bet: ArrayLike) -> Floats:
    """What one vote does to the wealth: 1 + bet (hit - null); its mean is 1 if hits have the chance `null`.

    Args:
        hit: 1 or 0.
        null: chance of a hit if nothing changed, in [0, 1].
        bet: strictly between -1/(1 - null) and 1/null: outside, wealth could fall below 0 and nothing is proven.
    Raises:
        ValueError: a bet that is not admissible, a hit or chance out of range.
    """
    hit, null, bet = (np.asarray(x, dtype=float) for x in (hit, null, bet))
    if not ((hit == 0) | (hit == 1)).all() or not ((null >= 0) & (null <= 1)).all():
        raise ValueError("a hit is 0 or 1, its chance lies in [0, 1]")
    if not ((bet * null < 1) & (bet * (1 - null) > -1)).all():
        raise ValueError(f"a bet must lie strictly between -1/(1 - p0) and 1/p0; {bet} does not for p0 = {null}")
    found: Floats = 1 + bet * (hit - null)
    return found


def wealth(hits: ArrayLike, null: ArrayLike, *, bets: Sequence[float] = BETS) -> Floats:
    """The e-process: mean wealth of gamblers with different bets, after each vote.

    Args:
        hits: 1 where the vote is the expected one, else 0, shape [n], in the order of asking.
        null: chance of a hit of each vote if nothing changed, shape [n] or one number. It must be known, or true given what
            was seen before; an estimated one makes false alarms (see `anchor_hits`).
        bets: shares of the largest admissible bet, each strictly between -1 and 1.
    Returns:
        Shape [n], at least 0; 1/alpha or more is an alarm at level alpha.
    Raises:
        ValueError: a share outside (-1, 1).
    """
    if not all(-1 < share < 1 for share in bets):
        raise ValueError(f"bets are shares of the largest admissible one, strictly between -1 and 1, not {list(bets)}")
    hits = np.asarray(hits, dtype=float)
    null = np.broadcast_to(np.asarray(null, dtype=float), hits.shape)
    uncertain = (null > 0) & (null < 1)  # a hit that is certain either way tells nothing by these bets
    logs = np.zeros((len(bets), len(hits)))
    for row, share in enumerate(bets):
        limit = null[uncertain] if share > 0 else 1 - null[uncertain]
        logs[row, uncertain] = np.log(factor(hits[uncertain], null[uncertain], share / limit))
    with np.errstate(over="ignore"):
        found: Floats = np.exp(np.cumsum(logs, axis=1)).mean(axis=0)
    return found


def first_alarm(process: Floats, *, alpha: float = 0.01) -> int | None:
    """The vote (from 0) at which the wealth first reached 1/alpha; None if it never did."""
    over = np.flatnonzero(process >= 1 / alpha)
    return int(over[0]) if len(over) else None


def over_looks(values: ArrayLike) -> Floats:
    """Evidence so far, after each of several looks, each with the final wealth of its own.

    The stake is split beforehand: 1/2 on the first look, 1/6 on the second, 1/(k(k+1)) on the k-th, which is 1 in all. If nothing
    changed the sum is expected to stay below 1 for ever, however the looks depend on each other, and it never falls: it reaches
    1/alpha ever with a chance of at most alpha (Markov).

    Args:
        values: e-values of the looks, at least 0, shape [n_looks], in the order of looking.
    Returns:
        Shape [n_looks].
    """
    values = np.asarray(values, dtype=float)
    look = np.arange(1, len(values) + 1)
    found: Floats = np.cumsum(values / (look * (look + 1)))
    return found


def anchor_hits(stored: ArrayLike, new: ArrayLike) -> tuple[Floats, Floats]:
    """New votes on anchors, as hits with their exact chances under "the judge is what it was".

    A hit is a vote for the verdict that is commonest among the anchor's stored votes *and the new one*. If nothing changed, the
    new vote is as likely to be any of them, so that the chance is that verdict's share, exactly, without an estimate. Comparing
    with the stored majority at its stored share instead promises too much (it was the maximum of a few) and calls every judge
    drifted. Ties for the commonest count together.

    Args:
        stored: earlier votes of each kind (a, b, tie, abstain), shape [n_anchors, k].
        new: kind of the new vote, 0..k-1, shape [n_anchors]. One per anchor: a second vote's chance is fair, but not independent.
    Returns:
        Hits and chances, each of shape [n_anchors].
    """
    count = np.array(stored, dtype=float)
    kind = np.asarray(new, dtype=np.int64)
    rows = np.arange(len(count))
    count[rows, kind] += 1
    commonest = count == count.max(axis=1, keepdims=True)
    chance = ratio(np.where(commonest, count, 0.0).sum(axis=1), count.sum(axis=1))
    return commonest[rows, kind].astype(float), chance
