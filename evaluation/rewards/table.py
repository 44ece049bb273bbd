"""Held-out pairs with what a checkpoint thinks of their completions, and which of the two is the better one, by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Bools
from consensus.statistics.votes import NO_GOLD, TIE


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Held-out pairs, one row each; build it with `HeldOut.of`, which checks it.

    Attributes:
        pair_ids, prompt_ids: of each pair.
        category: of each pair; None where the input names none.
        chosen, rejected: implicit rewards of the two completions, beta (log pi - log ref) in nats, shape [n].
        chosen_tokens, rejected_tokens: their lengths, shape [n].
        label: what the panel says: +1 the chosen one is better, -1 the rejected one, 0 no label is kept, shape [n].
        gold: what people say: A (+1) the chosen one is better, B (-1) the rejected one, TIE, or NO_GOLD, shape [n].
    """

    pair_ids: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    category: tuple[str | None, ...]
    chosen: Floats
    rejected: Floats
    chosen_tokens: Ints
    rejected_tokens: Ints
    label: Ints
    gold: Ints

    @classmethod
    def of(
        cls,
        *,
        pair_ids: Sequence[str],
        prompt_ids: Sequence[str],
        chosen: ArrayLike,
        rejected: ArrayLike,
        chosen_tokens: ArrayLike,
        rejected_tokens: ArrayLike,
        category: Sequence[str | None] | None = None,
        label: ArrayLike | None = None,
        gold: ArrayLike | None = None,
    ) -> HeldOut:
        """A table from whatever numpy can read; labels for the chosen one, no category and no gold unless given.

        Raises:
            ValueError: columns of different lengths, a reward that is not finite, an unknown code of gold.
        """
        n = len(pair_ids)
        table = cls(
            pair_ids=tuple(pair_ids),
            prompt_ids=tuple(prompt_ids),
            category=tuple(category) if category is not None else (None,) * n,
            chosen=np.asarray(chosen, dtype=float),
            rejected=np.asarray(rejected, dtype=float),
            chosen_tokens=np.asarray(chosen_tokens, dtype=np.int64),
            rejected_tokens=np.asarray(rejected_tokens, dtype=np.int64),
            label=np.ones(n, np.int64) if label is None else np.asarray(label, dtype=np.int64),
            gold=np.full(n, NO_GOLD) if gold is None else np.asarray(gold, dtype=np.int64),
        )
        lengths = {name: len(getattr(table, name)) for name in cls.__dataclass_fields__}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns differ in length: {lengths}")
        bad = ~(np.isfinite(table.chosen) & np.isfinite(table.rejected))
        if bad.any():
            raise ValueError(
                f"{int(bad.sum())} pairs have rewards that are no numbers, e.g. {pair_ids[int(bad.argmax())]}"
            )
        if n and not (table.gold.min() >= -1 and table.gold.max() <= NO_GOLD and abs(table.label).max() <= 1):
            raise ValueError(
                "gold and label must be 1 (the chosen one), -1 (the rejected one), 0, or for gold 2 (none)"
            )
        return table

    def where(self, rows: Bools) -> HeldOut:
        """The pairs for which `rows` is true."""
        places = np.flatnonzero(rows)
        columns: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, column in columns.items():
            columns[name] = tuple(column[k] for k in places) if isinstance(column, tuple) else column[places]
        return HeldOut(**columns)

    @property
    def by_people(self) -> Bools:
        """Whether people say which one is better."""
        found: Bools = (self.gold != NO_GOLD) & (self.gold != TIE)
        return found

    @property
    def side(self) -> Ints:
        """+1 where the chosen completion is the better one, -1 where the rejected one is, shape [n].

        By gold where there is gold, else by the label; 0 where nobody says: people call it a tie, or there is neither.
        """
        return np.where(self.by_people, self.gold, np.where(self.gold == TIE, 0, self.label))
