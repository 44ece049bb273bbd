"""What a look at the held-out pairs says: how often the policy's implicit reward sides with the label, and with people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from consensus.statistics.clusters import Ints, cluster_codes
from consensus.statistics.intervals import Interval, mean_interval, wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from training.rewards import Rewards


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What is known of the held-out pairs, in their order.

    Attributes:
        prompt: the prompt of each, 0..k-1, shape [n].
        gold: what a person said: 1 the chosen side, -1 the rejected one, 0 a tie or nothing, shape [n].
    """

    prompt: Ints
    gold: Ints

    @classmethod
    def of(cls, prompt_ids: Sequence[str], gold: Sequence[str | None]) -> HeldOut:
        """From the columns of the rows."""
        said = np.array([{"chosen": 1, "rejected": -1}.get(one or "", 0) for one in gold], dtype=np.int64)
        return cls(cluster_codes(list(prompt_ids)), said)


@dataclass(frozen=True, slots=True)
class Look:
    """How the policy does on the held-out pairs.

    Attributes:
        accuracy: share of pairs whose chosen side has the larger reward, a tie counting half, with bounds by prompt.
        margin: mean of reward chosen minus rejected, in units of beta nats, with bounds by prompt.
        gold: the same share by people's verdicts, among the pairs that have one; n is 0 where none has.
    """

    accuracy: Interval
    margin: Interval
    gold: Interval

    def figures(self) -> dict[str, Any]:
        """As JSON; what is undefined is None."""
        named = {"accuracy": self.accuracy, "margin": self.margin, "gold_accuracy": self.gold}
        return {
            name: {
                "value": _known(one.value),
                "low": _known(one.low),
                "high": _known(one.high),
                "n": one.n,
            }
            for name, one in named.items()
        }

    def metrics(self) -> dict[str, float]:
        """By flat names, `held_out/accuracy`, `held_out/accuracy_low`, ...; what is undefined is left out."""
        return {
            f"held_out/{name}" + ("" if end == "value" else f"_{end}"): found[end]
            for name, found in self.figures().items()
            for end in ("value", "low", "high")
            if found[end] is not None
        }


def look(rewards: Rewards, held_out: HeldOut) -> Look:
    """Work out a look; the rewards are those of the same pairs."""
    margins = np.asarray(rewards.margins, dtype=float)
    spoken = held_out.gold != 0
    return Look(
        share_won(margins, held_out.prompt),
        mean_interval(margins, held_out.prompt),
        share_won((margins * held_out.gold)[spoken], held_out.prompt[spoken]),
    )


def share_won(margins: ArrayLike, clusters: ArrayLike) -> Interval:
    """Share of margins above 0, those of 0 counting half, with bounds by cluster; without any other than 0 it has none.

    Args:
        margins: shape [n].
        clusters: the prompt of each, shape [n].
    """
    values = np.asarray(margins, dtype=float)
    if len(values) and not values.any():
        return Interval(0.5, nan, nan, len(values))
    return wilson((np.sign(values) + 1) / 2, clusters)


class EarlyStop:
    """Stops when the held-out accuracy's lower bound has been below its best for so many looks in a row.

    Attributes:
        best: the highest lower bound so far; nan before the first.
        best_step: where that was.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience, self._below = patience, 0
        self.best, self.best_step = nan, 0

    def __call__(self, step: int, low: float) -> bool:
        """Hear of a look; whether to stop."""
        if not isfinite(low):
            return False
        if not low < self.best:  # the first one is not below nan
            self.best, self.best_step, self._below = low, step, 0
        else:
            self._below += 1
        return self._patience is not None and self._below >= self._patience


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
