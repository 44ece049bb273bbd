"""What the rewards of held-out pairs say of a checkpoint: accuracy, margin and means, with intervals by whole prompts.

A reward accuracy means nothing by itself: it stands beside that of a scorer that knows nothing but length, and beside a coin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

import numpy as np

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.intervals import Interval, mean_interval, wilson
from consensus.statistics.multiple import share_p
from evaluation.audit.figures import of_interval
from evaluation.parts import LEVEL, NO_CATEGORY, Part, parts
from evaluation.rewards.table import HeldOut

LENGTHS = ("half as long or less", "shorter", "about as long", "longer", "twice as long or more")
"""Buckets by how long the better completion is beside the worse one, in tokens; `EDGES` are the ratios between them."""
EDGES = (0.5, 0.8, 1.25, 2.0)
SAYS = {
    "reward_accuracy": "pairs whose better completion has the higher reward; equal rewards count half",
    "length_only": "the same for a scorer that prefers the longer completion",
    "coin": "the same for a coin, with the range of 95 % of such coins",
    "beyond_length": "reward accuracy less that of length alone, on the same pairs",
    "reward_margin": "mean reward of the better completion less that of the worse one",
    "reward_better": "mean reward of the better completion",
    "reward_worse": "mean reward of the worse completion",
}


@dataclass(frozen=True, slots=True)
class Rewards:
    """Rewards of a checkpoint against its base on held-out pairs.

    Attributes:
        checkpoint: whose.
        all: every pair, judged by people's gold where there is gold and by the panel's label elsewhere; its figures are `SAYS`.
        gold: the pairs with gold alone; None without.
        labels: every pair with a label, judged by it alone; None without.
        categories, lengths: the parts of `all`.
        by_people, by_panel: the pairs of `all` by whose word is taken.
        undecided: pairs that were left out: nobody says which completion is better.
    """

    checkpoint: str
    all: Part
    gold: Part | None
    labels: Part | None
    categories: tuple[Part, ...]
    lengths: tuple[Part, ...]
    by_people: int
    by_panel: int
    undecided: int

    @property
    def judged_by(self) -> str:
        """By whose word the accuracy is one."""
        if not self.by_panel:
            return f"people's gold on all {self.by_people:,} pairs"
        if not self.by_people:
            return f"the panel's labels on all {self.by_panel:,} pairs; there is no gold"
        return f"people's gold on {self.by_people:,} pairs, the panel's labels on the other {self.by_panel:,}"

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self) | {"judged_by": self.judged_by}


def analyse(table: HeldOut, checkpoint: str) -> Rewards:
    """All figures of a checkpoint's rewards; pure arithmetic."""
    known = table.where(table.side != 0)
    side, people, labelled = known.side, known.by_people, table.where(table.label != 0)
    return Rewards(
        checkpoint=checkpoint,
        all=part("all", known, side),
        gold=part("gold", known.where(people), side[people]) if people.any() else None,
        labels=part("labels", labelled, labelled.label) if len(labelled.label) else None,
        categories=parts(
            [name or NO_CATEGORY for name in known.category],
            lambda name, rows, level: part(name, known.where(rows), side[rows], level=level),
        ),
        lengths=parts(
            _length_names(known, side),
            lambda name, rows, level: part(name, known.where(rows), side[rows], level=level),
            order=lambda names: [name for name in LENGTHS if name in names],
        ),
        by_people=int(people.sum()),
        by_panel=int((~people).sum()),
        undecided=len(table.label) - len(side),
    )


def correct(table: HeldOut, side: Ints) -> Floats:
    """1 where the better completion has the higher reward, 0 where it has the lower, half where both are equal, shape [n]."""
    return (1 + np.sign((table.chosen - table.rejected) * side)) / 2


def part(name: str, table: HeldOut, side: Ints, *, level: float = LEVEL) -> Part:
    """The figures of these pairs.

    Args:
        side: +1 where the chosen completion is the better one, -1 where the rejected one is, shape [n].
        level: of the intervals.
    """
    clusters = np.asarray(table.prompt_ids, dtype=object)
    right, margin = correct(table, side), (table.chosen - table.rejected) * side
    longer = (1 + np.sign((table.chosen_tokens - table.rejected_tokens) * side)) / 2
    better, worse = (np.where(side == sign, table.chosen, table.rejected) for sign in (1, -1))
    found: dict[str, Interval] = {
        "reward_accuracy": wilson(right, clusters, level=level),
        "length_only": wilson(longer, clusters, level=level),
        "coin": coin(clusters, level=level),
        "beyond_length": mean_interval(right - longer, clusters, level=level),
        "reward_margin": mean_interval(margin, clusters, level=level),
        "reward_better": mean_interval(better, clusters, level=level),
        "reward_worse": mean_interval(worse, clusters, level=level),
    }
    figures = {key: of_interval(key, each) for key, each in found.items()}
    return Part(name, len(right), len(set(table.prompt_ids)), figures, share_p(right, clusters))


def coin(clusters: Sequence[str] | np.ndarray[Any, Any], *, level: float = LEVEL) -> Interval:
    """The accuracies that this share of coins reaches, one throw a pair: the binomial quantiles around a half."""
    from scipy.stats import binom

    n = len(clusters)
    if not n:
        return Interval(nan, nan, nan, 0)
    low, high = binom.ppf([(1 - level) / 2, (1 + level) / 2], n, 0.5) / n
    return Interval(0.5, float(low), float(high), n)


def _length_names(table: HeldOut, side: Ints) -> list[str]:
    chosen, rejected = np.maximum(table.chosen_tokens, 1), np.maximum(table.rejected_tokens, 1)
    ratio = np.where(side == 1, chosen / rejected, rejected / chosen)
    places = np.searchsorted(EDGES[:2], ratio, side="left") + np.searchsorted(EDGES[2:], ratio, side="right")
    return [LENGTHS[k] for k in places.tolist()]
