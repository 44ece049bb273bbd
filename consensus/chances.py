"""How likely each label is right: the latent model of a cycle's votes, calibrated on people's gold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consensus.cycle_votes import CycleVotes
from consensus.statistics.calibration import p_chosen, platt
from consensus.statistics.latent import Latent, dawid_skene
from consensus.statistics.latent import Votes as Decided
from consensus.statistics.votes import ABSTAIN, A, B, Votes

FEWEST = 50
"""Pairs with gold below which a calibration says little: its factor would be uncertain by half of itself and more."""


@dataclass(frozen=True, slots=True)
class Chances:
    """The chance that each label is right, and what it rests on.

    Attributes:
        by_pair: of the kept pairs, in [0, 1]; empty where there is too little gold.
        factor: by which the model's log-odds had to be multiplied; below 1 as judges share errors. nan without a calibration.
        gold: pairs with gold.
    """

    by_pair: dict[str, float]
    factor: float
    gold: int


def label_model(label_votes: Votes) -> Latent:
    """The latent model of the votes that make the labels, fitted without gold."""
    votes = label_votes.where(label_votes.choice != ABSTAIN)
    columns = (votes.pair, votes.judge, votes.first, votes.choice)
    return dawid_skene(Decided(*columns, votes.n_pairs, len(votes.judges)), weights=votes.weight)


def chances(found: CycleVotes) -> Chances:
    """Every kept label's `p_chosen`; none below 50 pairs with gold, as a share of votes is no probability."""
    votes = found.votes
    gold = np.where(np.isin(votes.gold, (A, B)), votes.gold, 0)
    n = int((gold != 0).sum())
    if n < FEWEST:
        return Chances({}, float("nan"), n)
    model = label_model(votes.where(found.planned))
    factor = platt(model.llr, gold, clusters=votes.cluster).value
    chance = p_chosen(model.llr, np.where(found.kept, found.label, 0), factor)
    sure = {votes.pair_ids[k]: float(chance[k]) for k in np.flatnonzero(found.kept & ~np.isnan(chance)).tolist()}
    return Chances(sure, factor, n)
