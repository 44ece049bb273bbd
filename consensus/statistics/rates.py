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


def true_share(seen: float, *, specificity: float, sensitivity: float) -> float:
    """The share of wins behind the share that an imperfect judge sees, its two kinds of errors being known exactly.

    Only for comparison with other work: wider than people's word alone, and wrong where the errors differ between the checkpoints
    that are compared. Use `corrected.corrected_mean`.

    Args:
        seen: share that the judge calls wins, in [0, 1].
        specificity, sensitivity: chances that it calls a loss a loss, and a win a win; together above 1.
    Returns:
        Not cut off at 0 or 1, beyond which the errors cannot be as stated.
    Raises:
        ValueError: the judge does no better than chance.
    Source: Rogan & Gladen 1978, Am. J. Epidemiol. 107.
    """
    if not specificity + sensitivity > 1:
        raise ValueError(f"specificity {specificity} and sensitivity {sensitivity} are no better than chance")
    return (seen + specificity - 1) / (specificity + sensitivity - 1)
