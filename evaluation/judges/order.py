"""What single verdicts say of a judge, whoever is right: what the order does, ties, and what cannot be read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.votes import ABSTAIN, TIE
from evaluation.judges.judged import MISSING

Shares = tuple[Floats, Floats]
"""What counts for a share, and what it is a share of: of each judge and pair, shape [n_judges, n]."""
COMPARED = ("consistency", "first_share")
"""Those in which two judges are compared."""


def shares(choice: Ints) -> Mapping[str, Shares]:
    """The shares by name.

    consistency: pairs with two readable verdicts on which the orders agree. first_share: decided verdicts for the completion shown
    first. tie_share: readable verdicts that call it a tie. unread_share: answers that could not be read.

    Args:
        choice: as in `Judged`, shape [n_judges, n, 2].
    """
    asked, decided = choice != MISSING, np.abs(choice) == 1
    readable = asked & (choice != ABSTAIN)
    both = readable.all(axis=2)
    first = choice == np.array([1, -1])  # a when a was shown first, b when b was
    return {
        "consistency": _floats(both & (choice[..., 0] == choice[..., 1]), both),
        "first_share": _floats(first.sum(axis=2), decided.sum(axis=2)),
        "tie_share": _floats((choice == TIE).sum(axis=2), readable.sum(axis=2)),
        "unread_share": _floats((choice == ABSTAIN).sum(axis=2), asked.sum(axis=2)),
    }


def _floats(part: np.typing.NDArray[np.generic], whole: np.typing.NDArray[np.generic]) -> Shares:
    return part.astype(float), whole.astype(float)
