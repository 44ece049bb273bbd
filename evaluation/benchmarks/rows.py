"""The one form of a benchmark: rows of right and wrong answers to a prompt, and the pairs with gold that follow from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from consensus.nouns import Pair, Text, Verdict, digest
from labeling.rows import BadRow
from labeling.rubric import render

GROUP = "benchmark_group"
"""The field of a pair that names the group of its row."""
TELLING = 40
"""Characters that the answers of a row or pair have together, from which on the same answers are no chance."""


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt with answers that people, or the way they were made, call right or wrong.

    Attributes:
        chosen: the right answers, all equally good, at least one.
        rejected: the wrong ones.
        subset: the benchmark's category.
        group: names what belongs together beyond the prompt, and must never stand on two sides of a split; None without.
        extra: further fields of the file.
    """

    id: str
    prompt: Text
    chosen: tuple[Text, ...]
    rejected: tuple[Text, ...]
    subset: str
    group: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark that was read.

    Attributes:
        rows: of a benchmark of rows, e.g. RewardBench 2; empty for one of pairs.
        pairs: of a benchmark of pairs, e.g. LLMBar; empty for one of rows, where `pairs_of` forms them.
        refused: rows that are left out, and why.
    """

    name: str
    rows: tuple[Row, ...] = ()
    pairs: tuple[Pair, ...] = ()
    refused: tuple[BadRow, ...] = ()

    @property
    def items(self) -> tuple[Row, ...] | tuple[Pair, ...]:
        """What is split: its rows, or its pairs."""
        return self.rows or self.pairs


def pairs_of(row: Row, *, most: int | None = 1, ties: bool = False, seed: int = 0) -> list[Pair]:
    """The pairs with gold of a row: a right answer with a wrong one, or two right ones, of which neither is better.

    Equal texts make no pair. Which completion is a is decided by a hash, so that gold is a as often as b. The first decided pair is
    that of the first right and the first wrong answer, which is judged where a row stands for one judgment; others are drawn.

    Args:
        most: decided pairs at most, and tied pairs at most; None takes all. Without it a row with twenty answers outweighs
            twenty rows.
        ties: whether two right answers make a pair with gold tie.
        seed: decides the draw.
    """
    decided = [
        (i, j) for i, j in product(range(len(row.chosen)), range(len(row.rejected))) if row.chosen[i] != row.rejected[j]
    ]
    found = [(f"{row.id}/c{i}-r{j}", row.chosen[i], row.rejected[j], False) for i, j in _some(row, decided, most, seed)]
    if ties:
        tied = [(i, j) for i, j in combinations(range(len(row.chosen)), 2) if row.chosen[i] != row.chosen[j]]
        found += [(f"{row.id}/c{i}-c{j}", row.chosen[i], row.chosen[j], True) for i, j in _some(row, tied, most, seed)]
    return [_pair(row, *each) for each in found]


def _some(row: Row, places: list[tuple[int, int]], most: int | None, seed: int) -> list[tuple[int, int]]:
    """The first place and a draw of the others, in their order."""
    if most is None or len(places) <= most:
        return places
    drawn = sorted(places[1:], key=lambda place: toss(seed, row.id, *place))
    return sorted([places[0], *drawn[: most - 1]])


def _pair(row: Row, pair_id: str, one: Text, other: Text, tied: bool) -> Pair:
    swapped = toss(0, "side", pair_id) & 1  # whatever the seed: a pair's id says which completion is a
    a, b = (other, one) if swapped else (one, other)
    gold = Verdict.TIE if tied else Verdict.B if swapped else Verdict.A
    extra = {"row": row.id} | ({GROUP: row.group} if row.group else {})
    return Pair(pair_id, row.prompt, a, b, row.subset, gold, extra)


def subset_of(item: Row | Pair) -> str:
    """The category of a row or pair; `all` where it has none."""
    return item.subset if isinstance(item, Row) else item.category or "all"


def id_of(item: Row | Pair) -> str:
    """The id of a row or pair."""
    return item.id if isinstance(item, Row) else item.pair_id


def keys_of(item: Row | Pair) -> Iterator[str]:
    """What a row or pair shares with those that may not be parted from it: its prompt, but for case and blanks, and its group."""
    yield f"prompt {digest(_folded(item.prompt))}"
    group = item.group if isinstance(item, Row) else item.extra.get(GROUP)
    if group:
        yield f"group {group}"


def answers_of(item: Row | Pair) -> Iterator[str]:
    """What a row or pair shares with those that have the same answers, in whatever order, but for case and blanks.

    Answers of a few words, as `yes` and `no`, are shared by chance, and say nothing.
    """
    answers = [*item.chosen, *item.rejected] if isinstance(item, Row) else [item.completion_a, item.completion_b]
    folded = sorted({digest(_folded(answer)) for answer in answers})
    if sum(len(render(answer)) for answer in answers) >= TELLING:
        yield f"answers {digest(folded)}"


def prompts_of(items: Iterable[Row | Pair]) -> list[str]:
    """For each row or pair the name of its cluster in intervals: its group, else its prompt."""
    return [list(keys_of(item))[-1] for item in items]


def _folded(value: Any) -> Any:
    match value:
        case str():
            return " ".join(value.casefold().split())
        case list():
            return [_folded(inner) for inner in value]
        case dict():
            return {key: _folded(inner) for key, inner in value.items()}
    return value


def toss(seed: int, *what: object) -> int:
    """A number of 64 bits that looks random and depends on nothing but the arguments."""
    text = "\0".join([str(seed), *map(str, what)])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")
