"""With what chance each stored vote was asked, for all votes of a cycle at once.

A label that is settled saves the rest of its ballots (`sequence.next_ballots`), a random share of pairs is asked completely all the
same, and an audit asks a random sample of pairs again. Means over votes must weight each by the inverse of its chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from consensus.cycle import Cycle
from consensus.nouns import Ballot, Shown, Verdict
from consensus.sequence import audited, inclusion, line_up
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Bools
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Votes

_VERDICT = {A: Verdict.A, B: Verdict.B, TIE: Verdict.TIE, ABSTAIN: Verdict.ABSTAIN}


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What the hash of each pair's id decides, see `consensus.rule`: the first two bytes of SHA-256, shape [n_pairs]."""

    order_byte: Ints
    seat_byte: Ints

    def seated(self, pair: Ints, judge: Ints, cycle: Cycle) -> Bools:
        """Whether the plan asks the judge about the pair, shape of `pair`."""
        judges = len(cycle.judges)
        found: Bools = (judge - self.seat_byte[pair]) % judges < cycle.asked_per_pair
        return found

    def own_order(self, pair: Ints, judge: Ints, first: Bools, cycle: Cycle) -> Bools:
        """Whether the order is the one that the rotation gives the judge, shape of `pair`."""
        even = (self.order_byte[pair] + judge) % 2 == 0
        found: Bools = first == (even | (not cycle.rule.rotate))
        return found

    def planned(self, votes: Votes, cycle: Cycle) -> Bools:
        """Whether each vote is one of those that make the labels, shape [n_votes]."""
        own = self.own_order(votes.pair, votes.judge, votes.first, cycle) | cycle.rule.both_orders
        found: Bools = own & self.seated(votes.pair, votes.judge, cycle) & (votes.repeat == 0)
        return found


def weights(votes: Votes, draw: Draw, cycle: Cycle, costs: Mapping[str, float] | None) -> Floats:
    """The inverse chance of each vote to be asked, at least 1, shape [n_votes]; 0 for a vote to be left out.

    Recorded votes, and those of a cycle that asks everybody, have weight 1. Repeats and second orders that the plan does not have
    come from an audit's sample: their chance is the share of pairs that have them. Where judging stops when it is sure, only the
    pairs that are asked completely count: they are a random sample, and the chance of any other vote depends on what was said.

    Args:
        votes: with `pair_ids`; their own weights are not read.
        costs: by which the cycle chose whom to try first, see `sequence.line_up`.
    """
    called = np.array([judge.called for judge in cycle.judges])[votes.judge]
    found = np.ones(len(votes.pair))
    if cycle.sampling.stop == "never" or not called.any():
        return found
    planned = draw.planned(votes, cycle)
    extra = called & ~planned
    found[extra] = votes.n_pairs / _pairs_alike(votes.where(extra), draw, cycle)
    sampled = np.zeros(votes.n_pairs, np.bool_)
    sampled[votes.pair[extra]] = True
    share = 1 - (1 - cycle.sampling.audit_share) * (1 - float(sampled.mean()))
    seed = cycle.cycle.seed
    complete = sampled | np.array([audited(name, seed, cycle.sampling.audit_share) for name in votes.pair_ids])
    # Of any other pair nothing was asked but what its label needed.
    unsure = np.flatnonzero(planned & complete[votes.pair])
    if cycle.sampling.stop == "confident":
        found[planned & called] = 0
        by_lot = unsure[called[unsure]]
    else:
        by_lot = unsure[~_needed(votes, unsure, draw, cycle, costs) & called[unsure]]
    if len(by_lot):
        found[by_lot] = 1 / share
    return found


def _pairs_alike(extra: Votes, draw: Draw, cycle: Cycle) -> Floats:
    """How many votes there are of the same judge, repeat and side of the rotation, shape [n_votes]."""
    own = draw.own_order(extra.pair, extra.judge, extra.first, cycle)
    kind = (extra.repeat * len(cycle.judges) + extra.judge) * 2 + own
    _, place, count = np.unique(kind, return_inverse=True, return_counts=True)
    return np.asarray(count[place], dtype=float)


def _needed(votes: Votes, rows: Ints, draw: Draw, cycle: Cycle, costs: Mapping[str, float] | None) -> Bools:
    """Whether the label was still open when each of these votes was due, shape of `rows`; worked out once per pattern of votes."""
    judges = len(cycle.judges)
    if not len(rows):
        return np.zeros(0, np.bool_)
    pairs, row = np.unique(votes.pair[rows], return_inverse=True)
    slot = 2 * votes.judge[rows] + ~votes.first[rows]
    said = np.full((len(pairs), 2 * judges + 2), -2, np.int64)
    said[row, slot] = votes.choice[rows]
    said[:, -2], said[:, -1] = draw.order_byte[pairs] % 2, draw.seat_byte[pairs] % judges
    _, example, pattern = np.unique(said, axis=0, return_index=True, return_inverse=True)
    open_ = np.array([_open_slots(votes.pair_ids[pairs[k]], said[k], cycle, costs) for k in example])
    found: Bools = open_.reshape(-1, 2 * judges)[pattern.ravel()[row], slot]
    return found


def _open_slots(pair_id: str, said: Ints, cycle: Cycle, costs: Mapping[str, float] | None) -> Bools:
    """Which votes of one pair were asked because its label was open, shape [2 n_judges]: by judge, a first and b first."""
    names, rule = cycle.judge_names, cycle.rule
    line = line_up(pair_id, names, rule, costs)
    slots = {
        ballot: 2 * names.index(ballot.judge) + (ballot.shown is Shown.BA) for seat in line for ballot in seat.ballots
    }
    votes = {ballot: _VERDICT[int(said[slot])] for ballot, slot in slots.items() if said[slot] > -2}
    recorded = {judge.label for judge in cycle.judges if not judge.called}
    known: list[Ballot] = [ballot for ballot in votes if ballot.judge in recorded]
    chance = inclusion(line, votes, rule, 0.0, known=known, given_up=slots.keys() - votes.keys())
    found = np.zeros(2 * len(names), np.bool_)
    found[[slots[ballot] for ballot, p in chance.items() if p == 1]] = True
    return found
