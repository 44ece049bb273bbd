"""Which judge decides: how often a label would be another one without its vote, and whether one judge outweighs all others.

In a majority every vote weighs the same, but a judge that goes with whoever wins decides more often. In a weighted vote, one judge
of accuracy .95 (weight 2.94) outweighs two of .70 (0.85 each): then the panel is that judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consensus.rule import Rule
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.consistency import majority
from consensus.statistics.estimate import Estimate, share_of
from consensus.statistics.latent import Reliability
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Votes

NOT_ASKED = 9  # in `Ballots.said`


@dataclass(frozen=True, slots=True, eq=False)
class Ballots:
    """What each judge said for the label, on pairs on which all that were to be asked answered.

    Attributes:
        said: A, B, TIE, or ABSTAIN (contradictions between the orders included); 9 where the judge is not asked,
            shape [n_pairs, n_judges].
        weight: inverse chance that all were asked, shape [n_pairs].
        cluster: shape [n_pairs].
        pair: index of each row's pair among all pairs, shape [n_pairs].
    """

    said: Ints
    weight: Floats
    cluster: Ints
    pair: Ints

    @classmethod
    def of(cls, planned: Votes, rule: Rule) -> Ballots:
        """From the votes that make the labels.

        Args:
            planned: only those (`cycle_votes.CycleVotes.planned`).
        """
        shape = (planned.n_pairs, len(planned.judges), 2)
        said = np.full(shape, NOT_ASKED)
        place = (planned.pair, planned.judge, np.where(planned.first, 0, 1))
        said[place] = planned.choice
        weight = np.zeros(planned.n_pairs)
        np.maximum.at(weight, planned.pair, planned.weight)
        orders = 2 if rule.both_orders else 1
        answered = (said != NOT_ASKED).sum(axis=2) == orders
        one = np.where(said[..., 0] == NOT_ASKED, said[..., 1], said[..., 0])
        if rule.both_orders:
            one = np.where(said[..., 0] == said[..., 1], one, ABSTAIN)
        asked = rule.per_pair or shape[1]
        whole = answered.sum(axis=1) == min(asked, shape[1])
        return cls(
            np.where(answered, one, NOT_ASKED)[whole], weight[whole], planned.cluster[whole], np.flatnonzero(whole)
        )

    def decides(self, judge: int, rule: Rule) -> Estimate:
        """Share of the judge's pairs whose label would be another one (another side, or lost, or won) without its vote."""
        seen = self.said[:, judge] != NOT_ASKED
        a, b, tie = ((self.said == kind) for kind in (A, B, TIE))
        label = majority(a.sum(axis=1), b.sum(axis=1), tie.sum(axis=1), rule)
        a, b, tie = (np.delete(kind, judge, axis=1) for kind in (a, b, tie))
        without = majority(a.sum(axis=1), b.sum(axis=1), tie.sum(axis=1), rule)
        weight = self.weight * seen
        return share_of(
            self.cluster,
            weight * (label != without),
            weight,
            reason="no pair on which every judge that was to be asked has answered",
        )


def dictator(reliability: Reliability) -> int | None:
    """The judge whose weakest vote outweighs the strongest of all others together, by log-odds; None if there is none.

    Where votes are weighted by reliability, the label is then always what this judge says.
    """
    evidence = np.abs(reliability.evidence)
    known = evidence.min(axis=1) > 0
    if known.sum() < 2:
        return None
    for judge in np.flatnonzero(known):
        others = evidence.max(axis=1).sum() - evidence[judge].max()
        if evidence[judge].min() > others:
            return int(judge)
    return None
