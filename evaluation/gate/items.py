"""A checkpoint and its baseline on the same items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consensus.errors import UsageError
from consensus.nouns import digest
from consensus.results import Names, Results
from consensus.statistics.clusters import Floats

EQUAL = 0.5
"""The value of a direct comparison that favours neither."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """One metric on the items that both were measured on, each of shape [n].

    Attributes:
        value: the checkpoint's.
        reference: the baseline's; `EQUAL` where the two were compared directly.
        prompt: items that share it are not independent.
        category: None where there is none.
        direct: whether they were compared directly.
        unpaired: items on which only one of the two was measured.
    """

    value: Floats
    reference: Floats
    item: Names
    prompt: Names
    category: Names
    direct: bool
    unpaired: int = 0

    def __len__(self) -> int:
        return len(self.value)

    @property
    def differences(self) -> Floats:
        """The checkpoint's gain."""
        return self.value - self.reference

    @property
    def bounded(self) -> bool:
        """Whether all values lie in [0, 1]."""
        return bool(((self.value >= 0) & (self.value <= 1) & (self.reference >= 0) & (self.reference <= 1)).all())

    @property
    def shares(self) -> bool:
        """Whether the mean is a share: of what is bounded, and of every direct comparison (`win_corrected` stands for wins)."""
        return self.direct or self.bounded

    @property
    def content(self) -> str:
        """A hash of what is compared, whatever the order of the items."""
        order = np.argsort(self.item.astype(str))
        rows = zip(self.item[order], self.prompt[order], self.value[order], self.reference[order], strict=True)
        return digest([[str(item), str(prompt), float(one), float(other)] for item, prompt, one, other in rows])

    def where(self, rows: NDArray[np.bool_]) -> Items:
        """The items where a mask is true."""
        return Items(
            self.value[rows],
            self.reference[rows],
            self.item[rows],
            self.prompt[rows],
            self.category[rows],
            direct=self.direct,
        )


def contestants(
    found: Results, metric: str, *, checkpoint: str | None = None, baseline: str | None = None
) -> tuple[str, str]:
    """The checkpoint and its baseline: those named, else the checkpoint that was measured last, and what it was measured against.

    Args:
        found: a cycle's results.
    Raises:
        UsageError: nothing of the metric was measured, of a checkpoint that is named, or it is not clear what is the baseline.
    """
    rows = found.where(found.metric == metric)
    if not len(rows):
        there = ", ".join(sorted(set(found.metric))) or "none; 'consensus evaluate' measures them"
        raise UsageError(f"gate.metric: there are no results of {metric!r} in this cycle; there are: {there}")
    names = list(dict.fromkeys(rows.checkpoint))
    if checkpoint is None:
        if names == [baseline]:
            raise UsageError(
                f"gate.baseline: only the baseline {baseline!r} has results of {metric!r}, no other checkpoint"
            )
        checkpoint = str(rows.checkpoint[rows.checkpoint != baseline][-1])
    elif checkpoint not in names:
        raise UsageError(f"checkpoint {checkpoint!r} has no results of {metric!r}; there are: {', '.join(names)}")
    if baseline is None:
        against = {name for name in rows.baseline[rows.checkpoint == checkpoint] if name is not None}
        others = against or set(names) - {checkpoint}
        if len(others) != 1:
            among = ", ".join(sorted(others)) or "no other checkpoint"
            raise UsageError(f"gate.baseline: say what {checkpoint!r} has to beat in {metric!r}; there is {among}")
        (baseline,) = others
    if checkpoint == baseline:
        raise UsageError(f"gate.baseline: {checkpoint!r} cannot be promoted over itself")
    return checkpoint, baseline


def paired(found: Results, metric: str, checkpoint: str, baseline: str) -> Items:
    """The items of a metric on which the two can be compared: directly, or else both on the same item.

    Raises:
        UsageError: there are none.
    """
    rows = found.where((found.metric == metric) & (found.checkpoint == checkpoint))
    direct = rows.where(rows.baseline == baseline)
    if len(direct):
        half = np.full(len(direct), EQUAL)
        return Items(direct.value, half, direct.item, direct.prompt_id, direct.category, direct=True)
    other = found.where((found.metric == metric) & (found.checkpoint == baseline))
    place = {key: k for k, key in enumerate(zip(other.item, other.baseline, strict=True))}
    at = np.array([place.get(key, -1) for key in zip(rows.item, rows.baseline, strict=True)], dtype=int)
    both = at >= 0
    if not both.any():
        raise UsageError(
            f"gate.metric: {checkpoint!r} and {baseline!r} have no common item with results of {metric!r} ({len(rows)} and "
            f"{len(other)} items); 'consensus evaluate' measures both on the held-out prompts"
        )
    ours, theirs = rows.where(both), other.value[at[both]]
    alone = len(rows) + len(other) - 2 * int(both.sum())
    return Items(ours.value, theirs, ours.item, ours.prompt_id, ours.category, direct=False, unpaired=alone)


def own(found: Results, metric: str, checkpoint: str, baseline: str) -> Items:
    """What was measured of the checkpoint, whether or not the baseline was measured too: only the value means something.

    Raises:
        UsageError: nothing was.
    """
    rows = found.where((found.metric == metric) & (found.checkpoint == checkpoint))
    if not len(rows):
        raise UsageError(f"gate.guard: {checkpoint!r} has no results of {metric!r}")
    against = baseline if (rows.baseline == baseline).any() else rows.baseline[-1]
    rows = rows.where(rows.baseline == against)
    return Items(rows.value, rows.value, rows.item, rows.prompt_id, rows.category, direct=against == baseline)
