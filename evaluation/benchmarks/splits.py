"""Splits of a benchmark that stand up: stratified by category, by whole prompts and groups, seeded, and checked for leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from consensus.errors import UsageError
from consensus.nouns import Pair
from evaluation.benchmarks.rows import Row, id_of, keys_of, subset_of, toss

Item = TypeVar("Item", Row, Pair)


@dataclass(frozen=True, slots=True)
class Split(Generic[Item]):
    """The parts of a benchmark.

    Attributes:
        parts: by name, rows or pairs in the order they came.
        left: how many are in no part.
    """

    parts: Mapping[str, tuple[Item, ...]]
    left: int


def allotment(counts: Mapping[str, int], size: int) -> dict[str, int]:
    """How many of each category a part of about `size` gets: its share, rounded down.

    Of RewardBench 2's 1,865 rows parts of 1,500 and 300 are 1,498 and 297 rows then.

    Raises:
        ValueError: there are fewer than `size`.
    """
    total = sum(counts.values())
    if not 0 <= size <= total:
        raise ValueError(f"a part of {size:,} cannot be taken from {total:,}")
    return {name: size * n // total if total else 0 for name, n in counts.items()}


def split(items: Sequence[Item], sizes: Mapping[str, int | None], *, seed: int) -> Split[Item]:
    """Parts of a benchmark with the same mix of categories, none of which shares a prompt or a group with another.

    What hangs together goes to one part as a whole: a part may fall short of its allotment, never exceed it.

    Args:
        sizes: by part, about how many rows or pairs; None takes all that no other part takes.
        seed: decides who goes where, whatever order they come in.
    Raises:
        UsageError: the parts are larger than the benchmark.
    """
    if twice := [name for name, n in Counter(map(id_of, items)).items() if n > 1]:
        raise UsageError(
            f"the id {twice[0]!r} stands on {Counter(map(id_of, items))[twice[0]]} rows; every row needs its own"
        )
    wanted = sum(size or 0 for size in sizes.values())
    if wanted > len(items):
        raise UsageError(f"the parts have {wanted:,} rows together, and the benchmark has {len(items):,}")
    counts = Counter(map(subset_of, items))
    named = {part: allotment(counts, size) for part, size in sizes.items() if size is not None}
    rest = next((part for part, size in sizes.items() if size is None), None)
    place: dict[int, str] = {}
    for subset, clumps in _by_subset(items, seed).items():
        need = {part: allotted[subset] for part, allotted in named.items()}
        for clump in clumps:
            part = next((name for name, open_ in need.items() if len(clump) <= open_), rest)
            if part is not None:
                place |= dict.fromkeys(clump, part)
                if part in need:
                    need[part] -= len(clump)
    parts = {part: tuple(item for at, item in enumerate(items) if place.get(at) == part) for part in sizes}
    refuse_leaks(parts)
    return Split(parts, len(items) - len(place))


def refuse_leaks(parts: Mapping[str, Sequence[Row] | Sequence[Pair]]) -> None:
    """No prompt and no group may stand in two parts: what was trained on is no test.

    Prompts are compared but for case and blanks.

    Raises:
        UsageError: one does.
    """
    where: dict[str, dict[str, str]] = defaultdict(dict)
    for part, items in parts.items():
        for item in items:
            for key in keys_of(item):
                where[key].setdefault(part, id_of(item))
    leaks = [found for found in where.values() if len(found) > 1]
    if leaks:
        (one, first), (other, second), *_ = leaks[0].items()
        raise UsageError(
            f"{len(leaks):,} prompts or groups stand in more than one part, e.g. that of {first!r} in {one!r} and {second!r} in "
            f"{other!r}: what a judge was trained on does not test it; split by prompt"
        )


def _by_subset(items: Sequence[Item], seed: int) -> dict[str, list[list[int]]]:
    """What hangs together, by the category of most of it (the first by name of several), in a seeded order."""
    found: dict[str, list[list[int]]] = defaultdict(list)
    for clump in _clumps(items):
        count = Counter(subset_of(items[at]) for at in clump)
        found[min(count, key=lambda name: (-count[name], name))].append(clump)
    for clumps in found.values():
        clumps.sort(key=lambda clump: toss(seed, min(id_of(items[at]) for at in clump)))
    return found


def _clumps(items: Sequence[Item]) -> list[list[int]]:
    """Places of the items that share a key, directly or over others."""
    leader = list(range(len(items)))

    def find(at: int) -> int:
        while leader[at] != at:
            leader[at] = at = leader[leader[at]]
        return at

    first: dict[str, int] = {}
    for at, item in enumerate(items):
        for key in keys_of(item):
            leader[find(at)] = find(first.setdefault(key, at))
    found: dict[int, list[int]] = defaultdict(list)
    for at in range(len(items)):
        found[find(at)].append(at)
    return list(found.values())
