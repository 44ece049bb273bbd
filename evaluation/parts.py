"""Figures of parts beside each other, such as categories: honest together, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from consensus.statistics.estimate import Bools
from consensus.statistics.multiple import holm
from evaluation.audit.result import Figure

LEVEL = 0.95
NO_CATEGORY = "no category"


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the items.

    Attributes:
        name: `all`, a category, a bucket of length, ...
        items, prompts: how many.
        figures: by name; those of one of several parts hold for all of them together (see `parts`).
        p: that its share is a coin's, by Holm's method over the parts it stands beside; nan where undefined.
    """

    name: str
    items: int
    prompts: int
    figures: Mapping[str, Figure]
    p: float = nan

    def __getitem__(self, name: str) -> Figure:
        return self.figures[name]


def parts(
    names: Sequence[str],
    build: Callable[[str, Bools, float], Part],
    *,
    order: Callable[[set[str]], Sequence[str]] = sorted,
) -> tuple[Part, ...]:
    """A part for each name; none if all have the same.

    The more parts, the likelier one of them strikes by chance. So their intervals are as wide as it takes for all of them together
    to hold the truth at 95 % (Bonferroni), and their p-values are Holm's.

    Args:
        names: of every item, shape [n].
        build: a part from its name, its items (a mask of shape [n]), and the level of its intervals.
        order: in which they stand.
    """
    different = order(set(names))
    if len(different) < 2:
        return ()
    level, of = 1 - (1 - LEVEL) / len(different), np.asarray(names, dtype=object)
    found = [build(name, np.asarray(of == name, dtype=np.bool_), level) for name in different]
    adjusted = holm([each.p for each in found])
    return tuple(replace(each, p=float(p)) for each, p in zip(found, adjusted, strict=True))
