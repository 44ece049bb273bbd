"""What a look at the held-out pairs says: how often the policy's implicit reward sides with the label, and with people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Stops when so many looks in a row were worse than the best one, or worse than no training.

    A look is worse than the best if its lower bound is below the best's, and worse than no training if its upper bound is below
    one half.

    Attributes:
        best: the highest lower bound so far; nan before the first.
        best_step: where that was; 0 before the first.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience, self._worse = patience, 0
        self.best, self.best_step = nan, 0

    def __call__(self, step: int, found: Mapping[str, float | None]) -> bool:
        """Hear of the bounds `low` and `high` of a look, which may be unknown; whether to stop."""
        low, high = found.get("low"), found.get("high")
        if low is None or high is None:
            return False
        if low < self.best or high < 0.5:  # the first one is not below nan
            self._worse += 1
        else:
            self.best, self.best_step, self._worse = low, step, 0
        return self._patience is not None and self._worse >= self._patience


def figures_of(metrics: Mapping[str, float], held_out: HeldOut) -> dict[str, Any]:
    """The figures of a look again, from its metrics."""
    counts = {
        "accuracy": len(held_out.gold),
        "margin": len(held_out.gold),
        "gold_accuracy": int((held_out.gold != 0).sum()),
    }
    return {
        name: {
            end: metrics.get(f"held_out/{name}" + ("" if end == "value" else f"_{end}"))
            for end in ("value", "low", "high")
        }
        | {"n": n}
        for name, n in counts.items()
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
