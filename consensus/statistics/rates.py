"""How often a judge abstains, calls a tie, and says what people say."""

from __future__ import annotations

from consensus.statistics.estimate import Estimate, share_of
from consensus.statistics.votes import Cells, Votes


def abstention_rate(cells: Cells) -> Estimate:
    """Share of answers without a verdict, each cell counted once. A failed call is no answer and not counted."""
    return share_of(cells.cluster, cells.once * cells.share[:, 3], cells.once, reason="no votes")


def tie_rate(cells: Cells) -> Estimate:
    """Share of ties among the verdicts (a, b, tie)."""
    tie, valid = cells.share[:, 2], cells.share[:, :3].sum(axis=1)
    return share_of(cells.cluster, cells.once * tie, cells.once * valid, reason="no verdicts")


def accuracy(votes: Votes, cells: Cells) -> Estimate:
    """Share of decided votes that name the completion that people chose, on pairs where they chose one.

    A single call's accuracy: not that of the label, and ties are left out on both sides.
    """
    gold = votes.gold[cells.pair]
    right = cells.share[:, 0] * (gold == 1) + cells.share[:, 1] * (gold == -1)
    decided = cells.share[:, :2].sum(axis=1) * (abs(gold) == 1)
    return share_of(
        cells.cluster, cells.once * right, cells.once * decided, reason="no decided vote on a pair with gold"
    )
