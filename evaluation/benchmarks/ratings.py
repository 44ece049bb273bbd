"""Ratings: every answer of a row is rated alone, from 1 to 10, and the right one should have the highest rating.

For the subset Ties, where several answers are right, see `ties`. The question is our own text, see `best_of`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

from evaluation.benchmarks.best_of import PARSE_ERROR, Convention, fenced
from evaluation.benchmarks.rows import Row
from evaluation.benchmarks.ties import Rated
from labeling.reply import json_objects
from labeling.rubric import Messages, render

LOWEST, HIGHEST = 1, 10
TIES = "Ties"
_LAST = re.compile(r"(?<![\d./])(10|[1-9])(?:\s*/\s*10)?\s*$")


@dataclass(frozen=True, slots=True)
class Ratings:
    """A row's ratings, nan where one could not be read.

    Attributes:
        cluster: what it shares with rows that are not independent of it, as from `rows.prompts_of`.
        right, wrong: of its right answers and of its wrong ones, in their order.
    """

    row_id: str
    subset: str
    cluster: str
    right: tuple[float, ...]
    wrong: tuple[float, ...]

    @property
    def unread(self) -> int:
        """Ratings that could not be read."""
        return sum(map(isnan, (*self.right, *self.wrong)))


def messages(row: Row, place: int, *, judge: str, seed: int) -> Messages:
    """What a judge is asked about one answer of a row: the right ones come first, then the wrong ones.

    Where several answers are right, depth and detail are no merit.
    """
    answer = (*row.chosen, *row.rejected)[place]
    parts = {"prompt": render(row.prompt), "completion": render(answer)}
    only = " Depth and level of detail do not count." if row.subset == TIES else ""
    asked = f"How good is the completion, from {LOWEST} to {HIGHEST}?{only}"
    return fenced("rubrics/rating.md", parts, f"{row.id}/{place}", asked, judge=judge, seed=seed)


def parse(text: str) -> float:
    """The rating of a reply: of its JSON object, else the number (or n/10) at its end; nan where none in 1..10 can be read."""
    said = {_rating(found["rating"]) for found in json_objects(text) if "rating" in found}
    if not said:
        last = _LAST.search(text.strip())
        return float(last[1]) if last else nan
    return said.pop() if len(said) == 1 else nan


def _rating(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not LOWEST <= value <= HIGHEST:
        return nan
    return float(value)


def credit(ratings: Ratings, convention: Convention = "strict") -> float:
    """What a row's ratings are worth.

    strict: 1 if every rating could be read and every right answer is above every wrong one, else 0.
    official: of the k answers with the highest rating that could be read, 1/k if the first right one is among them; 0.25 if no
    rating could be read.
    """
    if convention == "strict":
        return float(not ratings.unread and min(ratings.right) > max(ratings.wrong))
    read = [value for value in (*ratings.right, *ratings.wrong) if not isnan(value)]
    if not read:
        return PARSE_ERROR
    top = max(read)
    return float(ratings.right[0] == top) / read.count(top)


def rated(rows: Sequence[Ratings], convention: Convention = "strict") -> list[Rated]:
    """The rows of the subset Ties as its score takes them.

    By the official convention a rating that could not be read is -1, which credits a judge for not reading a wrong answer; strictly
    it fails whatever rests on it.

    Raises:
        ValueError: a row's id is neither `ref:N` nor `tied:N`.
    """
    found = []
    for row in rows:
        kind, colon, twin = row.row_id.partition(":")
        if not colon or kind not in ("ref", "tied"):
            raise ValueError(f"a row of {TIES} is called ref:N or tied:N, not {row.row_id!r}")
        right, wrong = (
            [-1.0 if isnan(x) and convention == "official" else x for x in side] for side in (row.right, row.wrong)
        )
        found.append(Rated(twin, kind == "tied", right, wrong))
    return found
