"""Votes in columns, and added up by cell (judge, pair, order shown): the form in which millions of them are audited.

Weights are inverse inclusion probabilities. A lazily labeled pair asks its last judge only while the label is open, and an
audit repeats only a sample of pairs; votes that were asked because something was undecided would distort every mean. Samples are
nested (whoever is in a rarer one is in the commoner ones too), so a statistic that needs k votes of a cell was possible with the
probability of its k-th commonest vote, and one that needs several cells with that of the rarest.

Source: Horvitz & Thompson 1952, J. Am. Stat. Assoc. 47.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Bools

A, B, TIE, ABSTAIN = 1, -1, 0, 2
"""What a vote chose, as a number; a, b and tie are the judge's opinion in {+1, -1, 0}."""
NO_GOLD = 2
"""No person answered."""


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """One row per vote; build it with `Votes.of`, which checks it.

    Attributes:
        pair: index of the pair, 0..n_pairs-1, shape [n_votes].
        judge: index into `judges`, shape [n_votes].
        first: whether completion a was shown first, shape [n_votes].
        repeat: 0 for the label's ballot, 1, 2, ... for the same request asked again, shape [n_votes].
        choice: A, B, TIE or ABSTAIN, shape [n_votes].
        weight: inverse inclusion probability, at least 1 in a probability sample, shape [n_votes].
        cluster: index of each pair's prompt, shape [n_pairs].
        gold: what people chose: A, B, TIE or NO_GOLD, shape [n_pairs].
        judges: names, in the panel's order.
        pair_ids: names of the pairs; empty where nobody needs them.
    """

    pair: Ints
    judge: Ints
    first: Bools
    repeat: Ints
    choice: Ints
    weight: Floats
    cluster: Ints
    gold: Ints
    judges: tuple[str, ...]
    pair_ids: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        *,
        pair: ArrayLike,
        judge: ArrayLike,
        first: ArrayLike,
        choice: ArrayLike,
        judges: Sequence[str],
        repeat: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        cluster: ArrayLike | None = None,
        gold: ArrayLike | None = None,
        pair_ids: Sequence[str] = (),
    ) -> Votes:
        """Votes from whatever numpy can read; one prompt per pair, weight 1, repeat 0 and no gold unless given.

        Raises:
            ValueError: columns of different lengths, an unknown code, an index out of range, a weight that is not positive.
        """
        pairs = np.asarray(pair, dtype=np.int64)
        n = len(pairs)
        known = max(
            len(pair_ids),
            0 if cluster is None else len(np.asarray(cluster)),
            0 if gold is None else len(np.asarray(gold)),
            int(pairs.max(initial=-1)) + 1,
        )
        votes = cls(
            pair=pairs,
            judge=np.asarray(judge, dtype=np.int64),
            first=np.asarray(first, dtype=np.bool_),
            repeat=np.zeros(n, np.int64) if repeat is None else np.asarray(repeat, dtype=np.int64),
            choice=np.asarray(choice, dtype=np.int64),
            weight=np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64),
            cluster=np.arange(known) if cluster is None else np.asarray(cluster, dtype=np.int64),
            gold=np.full(known, NO_GOLD, np.int64) if gold is None else np.asarray(gold, dtype=np.int64),
            judges=tuple(judges),
            pair_ids=pair_ids,
        )
        votes._check()
        return votes

    @property
    def n_pairs(self) -> int:
        """Pairs that have an index, with votes or without."""
        return len(self.cluster)

    def where(self, rows: Bools) -> Votes:
        """The votes for which `rows` is true; pairs and judges keep their indices."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return Votes(**kept | {name: kept[name][rows] for name in _PER_VOTE})

    def _check(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _PER_VOTE}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns differ in length: {lengths}")
        if len(self.gold) != self.n_pairs or (self.pair_ids and len(self.pair_ids) != self.n_pairs):
            raise ValueError(
                f"{self.n_pairs} prompts, {len(self.gold)} gold answers, {len(self.pair_ids)} names: one per pair each"
            )
        for name, values, top in (("pair", self.pair, self.n_pairs), ("judge", self.judge, len(self.judges))):
            if len(values) and not 0 <= int(values.min()) <= int(values.max()) < top:
                raise ValueError(f"{name} must be an index in 0..{top - 1}, not {values.min()} or {values.max()}")
        for name, values in (("choice", self.choice), ("gold", self.gold)):
            if len(values) and not -1 <= int(values.min()) <= int(values.max()) <= 2:
                raise ValueError(f"{name} must be 1 (a), -1 (b), 0 (tie) or 2 (none)")
        if len(self.weight) and not (float(self.weight.min()) > 0 and np.isfinite(self.weight).all()):
            raise ValueError("weights are inverse probabilities: positive and finite")


_PER_VOTE = ("pair", "judge", "first", "repeat", "choice", "weight")


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Votes added up by cell, sorted by judge, pair, and order (completion a first, then b first).

    Attributes:
        judge, pair, cluster: indices, shape [n_cells].
        first: whether completion a was shown first, shape [n_cells].
        count: votes for a, for b, ties, abstentions, shape [n_cells, 4].
        once, twice: weight of what needs one vote of the cell, or two, shape [n_cells]; `twice` is nan in a cell of one vote.
    """

    judge: Ints
    pair: Ints
    cluster: Ints
    first: Bools
    count: Floats
    once: Floats
    twice: Floats

    @classmethod
    def of(cls, votes: Votes) -> Cells:
        """The cells that have votes."""
        key = (votes.judge * votes.n_pairs + votes.pair) * 2 + ~votes.first
        order = np.lexsort((votes.weight, key))
        key, weight = key[order], votes.weight[order]
        start = np.flatnonzero(np.diff(key, prepend=-1))
        size = np.diff(start, append=len(key))
        cell = np.repeat(np.arange(len(start)), size)
        column = np.array([2, 0, 3, 1])[votes.choice[order]]  # TIE, A, ABSTAIN, B = 0, 1, 2, -1
        count = np.bincount(cell * 4 + column, minlength=4 * len(start)).reshape(-1, 4).astype(float)
        twice = np.full(len(start), np.nan)
        twice[size > 1] = weight[start[size > 1] + 1]
        where, asked = key[start] // 2, key[start] % 2
        pair = where % max(votes.n_pairs, 1)
        judge = where // max(votes.n_pairs, 1)
        return cls(judge, pair, votes.cluster[pair], asked == 0, count, weight[start], twice)

    def where(self, rows: Bools) -> Cells:
        """The cells for which `rows` is true."""
        return Cells(*(getattr(self, f.name)[rows] for f in fields(self)))

    def of_judge(self, judge: int) -> Cells:
        """One judge's cells."""
        return self.where(self.judge == judge)

    @property
    def valid(self) -> Floats:
        """Votes that are no abstentions, shape [n_cells]."""
        found: Floats = self.count[:, :3].sum(axis=1)
        return found

    @property
    def share(self) -> Floats:
        """Share of a cell's votes for a, for b, of ties, of abstentions, shape [n_cells, 4]; rows add up to 1."""
        found: Floats = self.count / self.count.sum(axis=1, keepdims=True)
        return found

    @property
    def opinion(self) -> Floats:
        """Share of the votes that are no abstentions for a, for b, of ties, shape [n_cells, 3]; nan without one."""
        with np.errstate(invalid="ignore"):
            found: Floats = self.count[:, :3] / self.valid[:, None]
        return found

    def in_both_orders(self) -> tuple[Cells, Cells]:
        """The cells of judges and pairs seen in both orders, completion a first and b first, row by row the same pair."""
        with_next = np.zeros(len(self.pair), np.bool_)
        with_next[:-1] = (self.pair[:-1] == self.pair[1:]) & (self.judge[:-1] == self.judge[1:])
        with_last = np.roll(with_next, 1)
        return self.where(with_next), self.where(with_last)
