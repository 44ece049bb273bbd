"""How likely each completion is the better one: the latent model of a cycle's votes, calibrated on people's gold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consensus.cycle_votes import CycleVotes
from consensus.statistics.calibration import expit, p_chosen, platt
from consensus.statistics.clusters import Floats
from consensus.statistics.estimate import Bools
from consensus.statistics.latent import Latent, dawid_skene
from consensus.statistics.latent import Votes as Decided
from consensus.statistics.votes import ABSTAIN, A, B, Votes

FEWEST = 50
"""Pairs with gold below which a calibration says little: its factor would be uncertain by half of itself and more."""


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Which completion of each pair is likelier to be the better one, kept by the rule or not.

    Attributes:
        log_odds: that a is the better, as the model has them, shape [n_pairs]; 0 where the votes lean to neither.
        p_a: the calibrated chance that it is, in (0, 1), shape [n_pairs]; nan everywhere without a calibration.
        factor: by which the model's log-odds had to be multiplied; below 1 as judges share errors. nan without a calibration.
        gold: pairs with gold that the calibration may rest on.
    """

    log_odds: Floats
    p_a: Floats
    factor: float
    gold: int

    @property
    def calibrated(self) -> bool:
        """Whether there was enough gold."""
        return not np.isnan(self.factor)


@dataclass(frozen=True, slots=True)
class Chances:
    """The chance that each label is right, and what it rests on.

    Attributes:
        by_pair: of the kept pairs, in [0, 1]; empty where there is too little gold.
        factor, gold: as `Sides` has them.
    """

    by_pair: dict[str, float]
    factor: float
    gold: int


def label_model(label_votes: Votes) -> Latent:
    """The latent model of the votes that make the labels, fitted without gold."""
    votes = _decided(label_votes)
    return dawid_skene(votes, weights=label_votes.weight[label_votes.choice != ABSTAIN])


def sides(found: CycleVotes, among: Bools | None = None) -> Sides:
    """Every pair's likelier side; uncalibrated below 50 pairs with gold, as a share of votes is no probability.

    The judges' reliabilities come from the votes that are a fair sample; what they say of a pair, from all of its votes that
    make labels.

    Args:
        among: pairs whose gold may be used, shape [n_pairs]: what is held out for a test must not calibrate. None: all.
    """
    votes = found.votes
    gold = np.where(np.isin(votes.gold, (A, B)), votes.gold, 0)
    if among is not None:
        gold = np.where(among, gold, 0)
    n = int((gold != 0).sum())
    log_odds = label_model(votes.where(found.planned)).reliability.llr(_decided(found.label_votes))
    if n < FEWEST:
        return Sides(log_odds, np.full(votes.n_pairs, np.nan), float("nan"), n)
    factor = platt(log_odds, gold, clusters=votes.cluster).value
    return Sides(log_odds, expit(factor * log_odds), factor, n)


def chances(found: CycleVotes) -> Chances:
    """Every kept label's `p_chosen`; none without a calibration."""
    all_sides = sides(found)
    chance = p_chosen(all_sides.log_odds, np.where(found.kept, found.label, 0), all_sides.factor)
    ids = found.votes.pair_ids
    sure = {ids[k]: float(chance[k]) for k in np.flatnonzero(found.kept & ~np.isnan(chance)).tolist()}
    return Chances(sure, all_sides.factor, all_sides.gold)


def _decided(votes: Votes) -> Decided:
    votes = votes.where(votes.choice != ABSTAIN)
    return Decided(votes.pair, votes.judge, votes.first, votes.choice, votes.n_pairs, len(votes.judges))
