"""Implicit rewards: what the adapter's policy thinks of a completion, against its base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Rewards:
    """Implicit rewards of preference rows, in the rows' order.

    Attributes:
        chosen, rejected: beta (log pi - log ref) of each completion, in nats times beta, shape [n].
        chosen_tokens, rejected_tokens: length of each completion, shape [n], >= 1.
    """

    chosen: np.ndarray
    rejected: np.ndarray
    chosen_tokens: np.ndarray
    rejected_tokens: np.ndarray

    @property
    def margins(self) -> np.ndarray:
        """By how much the chosen completion's reward is above the rejected one's, shape [n]."""
        return self.chosen - self.rejected
