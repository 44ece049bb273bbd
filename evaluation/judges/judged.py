"""Verdicts of judges on pairs with gold, in columns, and what they come to under a protocol and a rule for ties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from consensus.nouns import Ballot, Pair, Shown, Verdict
from consensus.rule import shown
from consensus.statistics.clusters import Floats, Ints, cluster_codes
from consensus.statistics.estimate import Bools
from consensus.statistics.votes import ABSTAIN, NO_GOLD, TIE, A, B
from evaluation.benchmarks.rows import prompts_of, subset_of

TieRule = Literal["strict", "decisive", "half"]
"""strict: a tie is not right. decisive: ties are left out. half: a tie is half right."""
RULES: tuple[TieRule, ...] = ("strict", "decisive", "half")
Orders = Literal["both", "one"]
MISSING = 8
"""Not asked, or no answer."""
_CODE = {Verdict.A: A, Verdict.B: B, Verdict.TIE: TIE, Verdict.ABSTAIN: ABSTAIN}


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What judges said of pairs, once in each order.

    Attributes:
        pair_ids: of n pairs.
        category: of each pair.
        cluster: the prompt of each pair as 0, 1, ..., shape [n].
        gold: what people chose: A, B, TIE or NO_GOLD, shape [n].
        choice: A, B, TIE, ABSTAIN or MISSING, with completion a first and with b first, shape [n_judges, n, 2].
    """

    judges: tuple[str, ...]
    pair_ids: tuple[str, ...]
    category: tuple[str, ...]
    cluster: Ints
    gold: Ints
    choice: Ints

    @classmethod
    def of(cls, pairs: Sequence[Pair], judges: Sequence[str], said: Iterable[tuple[Ballot, Verdict]]) -> Judged:
        """From pairs and votes; votes of other judges, on other pairs, and repeats are left out."""
        seat = {judge: place for place, judge in enumerate(judges)}
        place = {pair.pair_id: at for at, pair in enumerate(pairs)}
        choice = np.full((len(judges), len(pairs), 2), MISSING, np.int64)
        for ballot, verdict in said:
            if ballot.repeat == 0 and ballot.judge in seat and ballot.pair_id in place:
                choice[seat[ballot.judge], place[ballot.pair_id], int(ballot.shown is Shown.BA)] = _CODE[verdict]
        return cls(
            tuple(judges),
            tuple(place),
            tuple(map(subset_of, pairs)),
            cluster_codes(prompts_of(pairs)) if pairs else np.zeros(0, np.int64),
            np.array([NO_GOLD if pair.gold is None else _CODE[pair.gold] for pair in pairs], dtype=np.int64),
            choice,
        )

    @property
    def decided(self) -> Bools:
        """Whether people chose one completion of each pair, shape [n]."""
        return np.asarray(np.abs(self.gold) == 1)

    @property
    def both(self) -> Bools:
        """Whether each judge answered on each pair in both orders, shape [n_judges, n]."""
        return np.asarray((self.choice != MISSING).all(axis=2))

    def rulings(self, orders: Orders = "both") -> Ints:
        """What each judge says of each pair: A, B, TIE, ABSTAIN or MISSING, shape [n_judges, n].

        both: its verdict where the two orders agree, TIE where they do not, ABSTAIN where either could not be read.
        one: its verdict in the order in which its place in the panel sees the pair, or in the other one if that is missing.
        """
        ab, ba = self.choice[..., 0], self.choice[..., 1]
        if orders == "one":
            first = np.array(
                [[shown(name, seat) is Shown.AB for name in self.pair_ids] for seat in range(len(self.judges))],
                dtype=bool,
            ).reshape(ab.shape)
            one, other = np.where(first, ab, ba), np.where(first, ba, ab)
            return np.where(one != MISSING, one, other)
        agreed = np.where(ab == ba, ab, TIE)
        agreed = np.where((ab == ABSTAIN) | (ba == ABSTAIN), ABSTAIN, agreed)
        return np.where(self.both, agreed, MISSING)


def credit(rulings: Ints, gold: Ints, rule: TieRule) -> Floats:
    """What rulings are worth: 1 where they name the completion that people chose; nan where they do not count.

    A wrong one is worth nothing, and neither is one that could not be read, under every rule: else a judge would gain by not
    answering where it is weak. Pairs on which people chose neither completion do not count.

    Args:
        rulings: as from `Judged.rulings`, shape [..., n].
        gold: shape [n].
    """
    worth = (rulings == gold).astype(float)
    if rule == "half":
        worth[rulings == TIE] = 0.5
    if rule == "decisive":
        worth[rulings == TIE] = np.nan
    worth[(rulings == MISSING) | (np.abs(gold) != 1)] = np.nan
    return np.asarray(worth)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rulings on the pairs on which people chose a completion.

    Attributes:
        tie: also where the two orders disagree.
        unread: answers that could not be read.
        missing: pairs without an answer, or without one in both orders.
    """

    right: int
    wrong: int
    tie: int
    unread: int
    missing: int

    @classmethod
    def of(cls, rulings: Ints, gold: Ints) -> Counts:
        """From the rulings of one judge, shape [n]."""
        said, right = rulings[np.abs(gold) == 1], gold[np.abs(gold) == 1]
        return cls(
            int((said == right).sum()),
            int((said == -right).sum()),
            int((said == TIE).sum()),
            int((said == ABSTAIN).sum()),
            int((said == MISSING).sum()),
        )

    def accuracy(self, rule: TieRule) -> float:
        """The share that is right under a rule for ties, in [0, 1]; nan where nothing counts."""
        whole = self.right + self.wrong + self.unread + (0 if rule == "decisive" else self.tie)
        gained = self.right + (self.tie / 2 if rule == "half" else 0)
        return gained / whole if whole else float("nan")
