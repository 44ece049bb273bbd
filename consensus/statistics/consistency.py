"""How often the *label* comes out the same when the same pairs are labeled again.

Repeat r of all judges' ballots is one labeling run. Of a pair with several runs every two are compared, so the numbers of its runs
that end in a, in b, or with the pair dropped say everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consensus.nouns import Shown
from consensus.rule import Rule, seats, shown
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Bools, Estimate, ratio, share_of
from consensus.statistics.votes import TIE, A, B, Votes

DROPPED = 0
_MISSING, _UNSTABLE = 8, 9


@dataclass(frozen=True, slots=True, eq=False)
class Relabels:
    """How the labeling runs of each pair ended; pairs with fewer than two complete runs are left out.

    Attributes:
        a, b, dropped: runs that ended so, shape [n_pairs].
        pair, cluster: indices, shape [n_pairs].
        weight: inverse chance of having two runs, shape [n_pairs].
    """

    a: Floats
    b: Floats
    dropped: Floats
    pair: Ints
    cluster: Ints
    weight: Floats

    @classmethod
    def of_votes(cls, votes: Votes, rule: Rule, *, redrawn: bool = False) -> Relabels:
        """Runs made of stored repeats: run r takes repeat r of the ballots that make the label.

        Args:
            votes: with `pair_ids`, and `judges` in the panel's order, for these decide who is asked in which order.
            redrawn: every other run swaps the order of all its ballots, as if the rotation had been drawn again; of no effect
                under a rule that asks in both.
        """
        if not votes.pair_ids:
            raise ValueError("the names of the pairs decide which order makes the label: pass pair_ids")
        pairs = np.unique(votes.pair[votes.repeat > 0])
        seated, a_first = _plan(votes, pairs, rule)
        choice, weight = _tables(votes, pairs)
        if rule.both_orders:
            same = choice[..., 0] == choice[..., 1]
            verdict = np.where((choice == _MISSING).any(axis=-1), _MISSING, np.where(same, choice[..., 0], _UNSTABLE))
            needed = weight.max(axis=-1)
        else:
            flipped = redrawn & (np.arange(choice.shape[1]) % 2 == 1)
            order = np.where(a_first[:, None, :] ^ flipped[None, :, None], 0, 1)[..., None]
            verdict = np.take_along_axis(choice, order, axis=-1)[..., 0]
            needed = np.take_along_axis(weight, order, axis=-1)[..., 0]
        asked = seated[:, None, :]
        complete = ((verdict != _MISSING) | ~asked).all(axis=-1)
        a, b, tie = (((verdict == kind) & asked).sum(axis=-1) for kind in (A, B, TIE))
        label = majority(a, b, tie, rule)
        run_weight = np.where(complete, np.where(asked, needed, 0.0).max(axis=-1, initial=0.0), np.inf)
        return cls._counted(label, complete, pairs, votes.cluster[pairs], run_weight)

    @classmethod
    def of_labels(cls, labels: Ints, cluster: Ints, weight: Floats | None = None) -> Relabels:
        """Runs whose labels are known.

        Args:
            labels: A, B or DROPPED, shape [n_pairs, n_runs].
            cluster: the prompt of each pair, shape [n_pairs].
            weight: inverse chance of each pair to be relabeled, shape [n_pairs].
        """
        each = np.ones(len(labels)) if weight is None else weight
        weights = np.repeat(each[:, None], labels.shape[1], axis=1)
        return cls._counted(labels, np.ones(labels.shape, np.bool_), np.arange(len(labels)), cluster, weights)

    @classmethod
    def _counted(cls, label: Ints, complete: Bools, pair: Ints, cluster: Ints, weight: Floats) -> Relabels:
        enough = complete.sum(axis=1) > 1
        label, complete, weight = label[enough], complete[enough], weight[enough]
        a, b, dropped = (((label == kind) & complete).sum(axis=1).astype(float) for kind in (A, B, DROPPED))
        second = np.sort(weight, axis=1)[:, 1] if len(weight) else np.zeros(0)
        return cls(a, b, dropped, pair[enough], cluster[enough], second)

    @property
    def runs(self) -> Floats:
        """Complete runs of each pair, shape [n_pairs]."""
        return self.a + self.b + self.dropped

    @property
    def same_side(self) -> Floats:
        """Chance that two runs of a pair both end on the same completion, shape [n_pairs]."""
        return _two(self.a, self.runs) + _two(self.b, self.runs)

    @property
    def both_kept(self) -> Floats:
        """Chance that two runs both keep the pair, shape [n_pairs]."""
        return _two(self.a + self.b, self.runs)

    @property
    def both_dropped(self) -> Floats:
        """Chance that two runs both drop the pair, shape [n_pairs]."""
        return _two(self.dropped, self.runs)

    @property
    def kept(self) -> Floats:
        """Share of runs that keep the pair, shape [n_pairs]."""
        return ratio(self.a + self.b, self.runs)


def same_outcome(runs: Relabels) -> Estimate:
    """S_all: chance that two runs end alike: the same label, or dropped twice.

    Under a rule that drops nothing (`min_agree` 1, `drop_if_split` off) it is the plain re-label agreement.
    """
    alike = runs.same_side + runs.both_dropped
    return share_of(runs.cluster, runs.weight * alike, runs.weight, reason=_ONCE)


def same_label_if_kept_twice(runs: Relabels) -> Estimate:
    """S_both: chance of the same label, given that both runs keep the pair."""
    return share_of(runs.cluster, runs.weight * runs.same_side, runs.weight * runs.both_kept, reason=_ONCE)


def same_label_if_kept_once(runs: Relabels) -> Estimate:
    """S_1: chance that a second run keeps a pair with the same label, given that the first keeps it."""
    return share_of(runs.cluster, runs.weight * runs.same_side, runs.weight * runs.kept, reason=_ONCE)


def churn(runs: Relabels) -> Estimate:
    """Share of the pairs kept by either of two runs that only one of them keeps."""
    either = 1 - runs.both_dropped
    return share_of(runs.cluster, runs.weight * (either - runs.both_kept), runs.weight * either, reason=_ONCE)


def retention(runs: Relabels) -> Estimate:
    """Share of pairs that a run keeps."""
    return share_of(runs.cluster, runs.weight * runs.kept, runs.weight, reason=_ONCE)


def majority(a: Ints, b: Ints, tie: Ints, rule: Rule) -> Ints:
    """Labels of many pairs at once, A, B or DROPPED: `consensus.rule.majority` where no judge is missing.

    Args:
        a, b, tie: how many judges gave each verdict, shape [...].
    """
    most = np.maximum(a, b)
    agreed = most >= rule.min_agree
    if rule.drop_if_split:
        return np.where(agreed, np.sign(a - b), DROPPED)
    on_tie = (tie >= rule.min_agree) & (tie > most)
    return np.where(agreed | ((a + b + tie >= rule.min_agree) & ~on_tie), np.sign(a - b), DROPPED)


_ONCE = "no pair was labeled twice, or none was kept"


def _two(k: Floats, n: Floats) -> Floats:
    """Chance that two of n runs, drawn without return, are both among k."""
    return ratio(k * (k - 1), n * (n - 1))


def _plan(votes: Votes, pairs: Ints, rule: Rule) -> tuple[Bools, Bools]:
    """Which judges are asked about each pair, and which of them see completion a first; shapes [n_pairs, n_judges]."""
    judges = len(votes.judges)
    seated = np.zeros((len(pairs), judges), np.bool_)
    a_first = np.zeros((len(pairs), judges), np.bool_)
    for row, pair in enumerate(pairs):
        name = votes.pair_ids[pair]
        for seat in seats(name, judges, rule.per_pair):
            seated[row, seat] = True
            a_first[row, seat] = shown(name, seat, rotate=rule.rotate) is Shown.AB
    return seated, a_first


def _tables(votes: Votes, pairs: Ints) -> tuple[NDArray[np.int8], Floats]:
    """What was chosen and with which weight, by pair, repeat, judge and order; shapes [n_pairs, n_repeats, n_judges, 2]."""
    row = np.full(votes.n_pairs, -1)
    row[pairs] = np.arange(len(pairs))
    used = row[votes.pair] >= 0
    shape = (len(pairs), int(votes.repeat.max(initial=0)) + 1, len(votes.judges), 2)
    place = (row[votes.pair[used]], votes.repeat[used], votes.judge[used], np.where(votes.first[used], 0, 1))
    choice, weight = np.full(shape, _MISSING, np.int8), np.zeros(shape)
    choice[place], weight[place] = votes.choice[used], votes.weight[used]
    return choice, weight
