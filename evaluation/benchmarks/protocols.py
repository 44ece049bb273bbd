"""The protocols that ask about whole rows: what each asks, and what the replies score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evaluation.benchmarks import best_of, ratings
from evaluation.benchmarks.best_of import Convention
from evaluation.benchmarks.ratings import TIES, Ratings
from evaluation.benchmarks.rows import Row, prompts_of
from evaluation.benchmarks.scores import Scores, rating_scores, scores
from labeling.rubric import Messages

Name = Literal["best-of-four", "ratings"]
Replies = Mapping[tuple[str, int], str]
"""A judge's replies by row and place."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to ask about rows.

    Attributes:
        takes: whether a row can be asked about.
        places: how many questions a row makes.
        messages: the question of a row at a place, for a judge.
        shown: what is stored beside a reply, so that it can be read without drawing again.
        score: rows and a judge's replies to scores; rows with a missing reply are left out.
    """

    takes: Callable[[Row], bool]
    places: Callable[[Row], int]
    messages: Callable[[Row, int, str, int], Messages]
    shown: Callable[[Row, int], dict[str, Any]]
    score: Callable[[Sequence[Row], Replies, Convention, int], Scores]


def _best_of_scores(rows: Sequence[Row], replies: Replies, convention: Convention, seed: int) -> Scores:
    answered = [row for row in rows if (row.id, 0) in replies]
    lines = [best_of.lineup(row, seed=seed) for row in answered]
    said = [best_of.parse(replies[row.id, 0], len(line.rejected)) for row, line in zip(answered, lines, strict=True)]
    gained, unread = best_of.credits_of(said, lines, convention)
    return scores(gained, [row.subset for row in answered], prompts_of(answered), unread=unread, seed=seed)


def _rating_scores(rows: Sequence[Row], replies: Replies, convention: Convention, seed: int) -> Scores:
    answered = [row for row in rows if all((row.id, place) in replies for place in range(_answers(row)))]
    found = []
    for row, cluster in zip(answered, prompts_of(answered), strict=True):
        read = [ratings.parse(replies[row.id, place]) for place in range(_answers(row))]
        n = len(row.chosen)
        found.append(Ratings(row.id, row.subset, cluster, tuple(read[:n]), tuple(read[n:])))
    return rating_scores(found, convention, seed=seed)


def _answers(row: Row) -> int:
    return len(row.chosen) + len(row.rejected)


PROTOCOLS: dict[Name, Protocol] = {
    "best-of-four": Protocol(
        takes=lambda row: len(row.chosen) == 1 and row.subset != TIES,
        places=lambda _: 1,
        messages=lambda row, _, judge, seed: best_of.messages(
            row, best_of.lineup(row, seed=seed), judge=judge, seed=seed
        ),
        shown=lambda row, seed: best_of.lineup(row, seed=seed).as_dict(),
        score=_best_of_scores,
    ),
    "ratings": Protocol(
        takes=lambda _: True,
        places=_answers,
        messages=lambda row, place, judge, seed: ratings.messages(row, place, judge=judge, seed=seed),
        shown=lambda *_: {},
        score=_rating_scores,
    ),
}
