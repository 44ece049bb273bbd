"""A benchmark's scores from the credits of its rows: by subset, their unweighted mean, and the mean of all rows, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consensus.statistics.clusters import Floats, Ints, cluster_codes
from consensus.statistics.estimate import Estimate, estimate, first_of_second, share_of
from evaluation.audit.figures import absent, figure
from evaluation.audit.result import Figure
from evaluation.benchmarks.best_of import Convention
from evaluation.benchmarks.ratings import TIES, Ratings, credit, rated
from evaluation.benchmarks.ties import tie_columns, ties_score

Part = tuple[list[Floats], Callable[[Floats], Floats]]
"""Columns that are summed, and what makes a score of their sums."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a judge scores on a benchmark; intervals by whole prompts and groups.

    Attributes:
        subsets: by category, in the order in which they come.
        mean: their unweighted mean, which is official for RewardBench 2: a row of a small subset weighs more.
        micro: the mean credit of all rows alike.
        unread: replies that could not be read.
    """

    subsets: Mapping[str, Figure]
    mean: Figure
    micro: Figure
    unread: int


def scores(
    credits_: Sequence[float],
    subsets: Sequence[str],
    clusters: Sequence[str],
    *,
    unread: int = 0,
    apart: Mapping[str, Floats] | None = None,
    seed: int = 0,
) -> Scores:
    """Scores of rows.

    Args:
        credits_: in [0, 1], of n rows.
        subsets, clusters: of each row its category, and what it shares with rows that are not independent of it.
        apart: subsets with the Ties score in place of the mean credit: what each of the n rows adds to it, shape [n, 8], as from
            `tie_columns`; rows of other subsets add nothing. In `micro` they count with their credit.
    Raises:
        ValueError: the arguments differ in length.
    """
    if not len(credits_) == len(subsets) == len(clusters):
        raise ValueError(f"{len(credits_)} credits, {len(subsets)} subsets, {len(clusters)} clusters: one per row each")
    gained, names = np.asarray(credits_, dtype=float), np.asarray(subsets)
    codes, rng = cluster_codes(list(clusters)), np.random.default_rng(seed)
    parts: dict[str, Part] = {}
    found: dict[str, Estimate] = {}
    for name in dict.fromkeys(subsets):
        inside = (names == name).astype(float)
        if apart and name in apart:
            columns = list(np.asarray(apart[name], dtype=float).T)
            parts[name] = columns, ties_score
            found[name] = estimate(
                codes, columns, ties_score, n=int(inside.sum()), reason="no twins of ref and tied rows"
            )
        else:
            parts[name] = [gained * inside, inside], first_of_second
            found[name] = share_of(codes, gained * inside, inside, reason="no rows")
    if not parts:
        return Scores({}, absent("mean_of_subsets", "no rows"), absent("mean_of_rows", "no rows"), unread)
    everybody = share_of(codes, gained, np.ones(len(gained)), reason="no rows")
    return Scores(
        subsets={name: figure("score", each, rng) for name, each in found.items()},
        mean=figure("mean_of_subsets", mean_of(codes, list(parts.values()), len(gained)), rng),
        micro=figure("mean_of_rows", everybody, rng),
        unread=unread,
    )


def rating_scores(rows: Sequence[Ratings], convention: Convention = "strict", *, seed: int = 0) -> Scores:
    """Scores of rated rows, with the Ties score for the subset of that name."""
    each = [credit(row, convention) for row in rows]
    ties = [at for at, row in enumerate(rows) if row.subset == TIES]
    columns = np.zeros((len(rows), 8))
    if ties:
        columns[ties] = tie_columns(rated([rows[at] for at in ties], convention))
    return scores(
        each,
        [row.subset for row in rows],
        [row.cluster for row in rows],
        unread=sum(row.unread for row in rows),
        apart={TIES: columns} if ties else None,
        seed=seed,
    )


def mean_of(codes: Ints, parts: Sequence[Part], n: int) -> Estimate:
    """The unweighted mean of several scores of the same rows."""
    ends = np.cumsum([len(columns) for columns, _ in parts])

    def mean(sums: Floats) -> Floats:
        each = [score(sums[..., end - len(columns) : end]) for end, (columns, score) in zip(ends, parts, strict=True)]
        return np.asarray(np.mean(each, axis=0))

    columns = [column for each, _ in parts for column in each]
    return estimate(codes, columns, mean, n=n, reason="a subset has no score")
