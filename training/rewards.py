"""Implicit rewards: what the adapter's policy thinks of a completion, against its base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consensus.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from training.model import Loaded


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
        margins: np.ndarray = self.chosen - self.rejected
        return margins


def rewards(loaded: Loaded, rows: Sequence[Mapping[str, Any]], *, beta: float, cache: Path | None = None) -> Rewards:
    """Implicit rewards of preference rows under an adapter, against its base.

    The base's log-probabilities are kept under the folder of caches, so that a second adapter costs one pass and not two.

    Args:
        loaded: a model with an adapter, as `load(name, adapter=...)` gives it.
        rows: with `prompt`, `chosen`, `rejected` (chat messages) and, where they had them, `tools` (JSON).
        beta: of the training: the weight of the KL penalty, > 0.
        cache: by default `cache_folder()`.

    Raises:
        UsageError: no adapter is loaded, or a row has an empty completion.
    """
    import contextlib

    from training.likelihood import Kept, log_probs, sharing, why_not_share
    from training.model import cache_folder
    from training.tokens import tokenize

    if loaded.adapter is None:
        raise UsageError(
            f"implicit rewards compare an adapter with its base, and {loaded.name!r} was loaded without one"
        )
    pairs = tokenize(rows, loaded.tokenizer)
    if not pairs:
        nothing = np.empty(0)
        return Rewards(nothing, nothing, nothing.astype(np.int64), nothing.astype(np.int64))
    share = why_not_share(loaded.model, pairs) is None
    with sharing(loaded.model) if share else contextlib.nullcontext():
        policy = log_probs(loaded.model, pairs, share=share)
        reference = Kept(cache or cache_folder(), f"{loaded.base}-{precision(loaded)}")
        with loaded.model.disable_adapter():
            reference.complete(pairs, lambda some: log_probs(loaded.model, some, share=share))
    gained = beta * (policy.astype(np.float64) - reference.of(pairs))
    return Rewards(gained[:, 0], gained[:, 1], *token_counts(pairs))


def precision(loaded: Loaded) -> str:
    """In which numbers the model computes; part of what its log-probabilities are kept under."""
    return loaded.numbers


def token_counts(pairs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of each chosen and each rejected completion."""
    sides = np.array([(len(pair.chosen), len(pair.rejected)) for pair in pairs], dtype=np.int64).reshape(-1, 2)
    return sides[:, 0], sides[:, 1]
