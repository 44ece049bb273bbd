"""Pairs of a contest for people to answer, and their answers back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from consensus.errors import UsageError
from consensus.nouns import Pair, Verdict, digest
from consensus.statistics.clusters import Ints
from consensus.statistics.stratified import allocation, likely
from evaluation.head_to_head.analysis import Answers
from evaluation.head_to_head.judged import STEPS, Judged
from labeling.rows import BadRow, read_rows

BY_VOTES = "by votes"
SHARED = 0.5
"""By what the log-odds of votes are multiplied before anybody answered: judges share errors, so that taken as they are they would
have unanimous pairs asked too rarely (a half-width of .80 in place of .71, tests/benchmarks/corrected.py)."""
SAID = (Verdict.A, Verdict.B, Verdict.TIE)


def draw(found: Judged, n: int, *, seed: int, orders: int = 1) -> list[str]:
    """Pairs to ask people about, by how the panel's votes stand: more where the outcome is less certain, none left out.

    Unanimous pairs are among them: an error that all judges share hides there. The pairs come in an order that says nothing, and
    for the same pairs, seed and number the same ones come.

    Args:
        n: how many; fewer if there are no more.
        orders: in which each judge saw a pair; its second vote says little that the first one did not.
    Source: Neyman's allocation with a floor, see `stratified.allocation`.
    """
    there = ~found.same
    chance = np.full(len(there), 0.5)
    chance[there] = likely(SHARED / orders * found.log_odds[there])
    strata = [np.flatnonzero(there & (found.leaning == k)) for k in range(STEPS + 1)]
    spread = [float(np.sqrt(np.mean(chance[rows] * (1 - chance[rows])))) if len(rows) else 0.0 for rows in strata]
    asked = allocation([len(rows) for rows in strata], spread, n)
    rank = {row: digest(["review", seed, found.pair_ids[row]]) for row in np.flatnonzero(there).tolist()}
    chosen = [row for rows, k in zip(strata, asked.tolist(), strict=True) for row in _first(rows, k, rank)]
    return [str(found.pair_ids[row]) for row in sorted(chosen, key=lambda row: rank[row])]


def write(pairs: Iterator[Pair], file: Path) -> int:
    """Write pairs for people, one JSON object a line; how many. Which checkpoint wrote what, and what judges said, is not in it."""
    lines = [json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in pairs]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read(file: Path) -> Answers:
    """People's answers: `pair_id` and `gold` (a, b, tie, or null where nobody answered yet), and what else stands there.

    Raises:
        UsageError: the file cannot be read, a row has no pair_id or another gold, or a pair is answered twice and differently.
    """
    said: dict[str, Verdict] = {}
    drawn: set[Any] = set()
    for row in read_rows(file):
        if isinstance(row, BadRow):
            raise UsageError(f"{file}, row {row.row}: {row.reason}")
        number, fields = row
        pair_id, gold = fields.get("pair_id"), fields.get("gold")
        if gold in (None, ""):
            continue
        if not pair_id or gold not in tuple(SAID):
            raise UsageError(f"{file}, row {number}: 'pair_id' names a pair, 'gold' is a, b, tie or null, not {gold!r}")
        if said.setdefault(str(pair_id), Verdict(gold)) != gold:
            raise UsageError(
                f"{file}, row {number}: pair {pair_id} was answered {said[str(pair_id)].value!r} before; keep one answer"
            )
        drawn.add(fields.get("drawn"))
    if len(drawn) > 1 and BY_VOTES in drawn:
        raise UsageError(
            f"{file}: some answers are of pairs drawn {BY_VOTES!r}, others are not; a mean of the two has no meaning: keep one kind"
        )
    return Answers(said, by_votes=BY_VOTES in drawn)


def _first(rows: Ints, k: int, rank: dict[int, str]) -> list[int]:
    return sorted(rows.tolist(), key=lambda row: rank[row])[:k]


def _row(pair: Pair) -> dict[str, Any]:
    shown = {"pair_id": pair.pair_id, "prompt": pair.prompt}
    shown |= {"completion_a": pair.completion_a, "completion_b": pair.completion_b}
    return shown | {"gold": None, "drawn": BY_VOTES}
