"""Splits of a benchmark that stand up: stratified by category, by whole prompts and groups, seeded, and checked for leaks.

What hangs together is never parted: the same prompt, the same group, the same answers (LLMBar's negations ask for the opposite of
its normal cases, with the same two answers and the other gold), and prompts that say nearly the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson

from consensus.errors import UsageError
from consensus.near import groups
from consensus.nouns import Pair
from evaluation.benchmarks.rows import Row, answers_of, id_of, keys_of, subset_of, toss
from training.split import spoken

Item = TypeVar("Item", Row, Pair)
NEAR = 0.9
"""The similarity from which prompts hang together, as `consensus.near.groups` has it; the default of `training.near`, too."""


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


def split(
    items: Sequence[Item], sizes: Mapping[str, int | None], *, seed: int, near: float | None = NEAR
) -> Split[Item]:
    """Parts of a benchmark with the same mix of categories, none of which shares a prompt, a group or answers with another.

    What hangs together goes to one part as a whole: a part may fall short of its allotment, never exceed it.

    Args:
        sizes: by part, about how many rows or pairs; None takes all that no other part takes.
        seed: decides who goes where, whatever order they come in.
        near: the similarity from which prompts hang together, in (0, 1); None: only the same ones.
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
    for clump in sorted(_clumps(items, near), key=lambda clump: toss(seed, min(id_of(items[at]) for at in clump))):
        needed = Counter(subset_of(items[at]) for at in clump)
        part = next((name for name, open_ in named.items() if all(n <= open_[k] for k, n in needed.items())), rest)
        if part is None:
            continue
        place |= dict.fromkeys(clump, part)
        if part in named:
            for subset, n in needed.items():
                named[part][subset] -= n
    parts = {part: tuple(item for at, item in enumerate(items) if place.get(at) == part) for part in sizes}
    refuse_leaks(parts, near=near)
    return Split(parts, len(items) - len(place))


def refuse_leaks(parts: Mapping[str, Sequence[Row] | Sequence[Pair]], *, near: float | None = NEAR) -> None:
    """Nothing that hangs together may stand in two parts: what was trained on is no test.

    Args:
        near: as for `split`.
    Raises:
        UsageError: something does.
    """
    items = [item for some in parts.values() for item in some]
    part = [name for name, some in parts.items() for _ in some]
    leaks = [clump for clump in _clumps(items, near) if len({part[at] for at in clump}) > 1]
    if leaks:
        one = leaks[0][0]
        other = next(at for at in leaks[0] if part[at] != part[one])
        raise UsageError(
            f"{len(leaks):,} prompts, groups or sets of answers stand in more than one part, e.g. that of {id_of(items[one])!r} in "
            f"{part[one]!r} and {id_of(items[other])!r} in {part[other]!r}: what a judge was trained on does not test it; split by "
            "prompt"
        )


def together(items: Sequence[Row] | Sequence[Pair], *, near: float | None = NEAR) -> dict[str, str]:
    """By the id of each row or pair the first id of those it may not be parted from; its own where it stands alone."""
    names = [id_of(item) for item in items]
    return {names[at]: min(names[k] for k in clump) for clump in _clumps(items, near) for at in clump}


def _clumps(items: Sequence[Row | Pair], near: float | None) -> list[list[int]]:
    """Places of the items that share a bond, directly or over others."""
    leader = list(range(len(items)))

    def find(at: int) -> int:
        while leader[at] != at:
            leader[at] = at = leader[leader[at]]
        return at

    first: dict[str, int] = {}
    for at, bonds in enumerate(_bonds(items, near)):
        for bond in bonds:
            leader[find(at)] = find(first.setdefault(bond, at))
    found: dict[int, list[int]] = defaultdict(list)
    for at in range(len(items)):
        found[find(at)].append(at)
    return list(found.values())


def _bonds(items: Sequence[Row | Pair], near: float | None) -> Iterator[list[str]]:
    """What each item may share with others, and then hangs together with them."""
    alike = groups((spoken(orjson.dumps(item.prompt).decode()) for item in items), near) if near else range(len(items))
    for item, group in zip(items, alike, strict=True):
        yield [*keys_of(item), *answers_of(item), f"near {group}"]
