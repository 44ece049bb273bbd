"""How often the candidate wins: by the judges alone, by category, and corrected by people's word on a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

import numpy as np

from consensus.nouns import Verdict
from consensus.statistics.calibration import expit, platt
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.corrected import Corrected
from consensus.statistics.estimate import Bools
from consensus.statistics.intervals import mean_interval, wilson
from consensus.statistics.multiple import share_p
from consensus.statistics.stratified import stratified_mean
from evaluation.audit.figures import of_interval
from evaluation.audit.result import Figure
from evaluation.head_to_head.judged import Judged
from evaluation.parts import LEVEL, NO_CATEGORY, Part, parts

FEWEST = 50  # answers below which a posterior is not calibrated on them
FOLDS = 5
JUDGES_ONLY = (
    "judges only: where judges share a bias, such an interval held the truth in 0 to 2 % of simulated evaluations"
)
SAYS = {
    "win_rate": "prompts on which the panel prefers the candidate's answer; ties, splits and contradictions count half",
    "longer": "prompts on which the candidate's answer is the longer one; the same length counts half",
    "win_rate_corrected": "the share that people would give the candidate, from their word on a sample and the judges' on all",
    "win_rate_people": "the same from people's word alone",
}


@dataclass(frozen=True, slots=True)
class ByPeople:
    """The win rate corrected by people.

    Attributes:
        corrected, people: with the judges' help, and without.
        answers: pairs that people answered.
        by_votes: whether they were asked by how the panel's votes stand, so that strata have weights.
        weight: that the judges' predictions got, in [0, 1].
        factor: by which the posterior's log-odds were calibrated on people's answers (mean over folds); nan where there were fewer
            than `FEWEST`, and the posterior stands as it is.
        agreement: of people's decided answers the share that the panel's label names, where it names one.
    """

    corrected: Figure
    people: Figure
    answers: int
    by_votes: bool
    weight: float
    factor: float
    agreement: Figure


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """Candidate against baseline.

    Attributes:
        all: every prompt, by the judges alone; its figures are `SAYS`.
        categories: parts of it.
        wins, ties, losses: prompts; `same` of the ties are answers that were the same.
        unanswered, unjudged: prompts that are left out, because an answer or a vote is missing.
        candidate_length, baseline_length: mean tokens of an answer, four characters each.
        by_people: None without people's answers.
    """

    candidate: str
    baseline: str
    all: Part
    categories: tuple[Part, ...]
    wins: int
    ties: int
    losses: int
    same: int
    unanswered: int
    unjudged: int
    candidate_length: Figure
    baseline_length: Figure
    by_people: ByPeople | None

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self) | {"judges_only": JUDGES_ONLY}


@dataclass(frozen=True, slots=True)
class Answers:
    """What people said of judged pairs.

    Attributes:
        said: by pair: a, b or tie.
        by_votes: whether the pairs were drawn by how the panel's votes stand (`review.draw`).
    """

    said: Mapping[str, Verdict]
    by_votes: bool = False


def analyse(found: Judged, candidate: str, baseline: str, answers: Answers | None = None) -> HeadToHead:
    """All figures of a contest; pure arithmetic."""
    everything = np.ones(len(found.value), np.bool_)
    clusters = np.asarray(found.prompt_ids, dtype=object)
    lengths = {
        name: of_interval("mean_length", mean_interval(column, clusters))
        for name, column in (("candidate", found.candidate_length), ("baseline", found.baseline_length))
    }
    return HeadToHead(
        candidate=candidate,
        baseline=baseline,
        all=_part(found, "all", everything, LEVEL),
        categories=parts(
            [name or NO_CATEGORY for name in found.category], lambda name, rows, level: _part(found, name, rows, level)
        ),
        wins=int((found.value == 1).sum()),
        ties=int((found.value == 0.5).sum()),
        losses=int((found.value == 0).sum()),
        same=int(found.same.sum()),
        unanswered=found.unanswered,
        unjudged=found.unjudged,
        candidate_length=lengths["candidate"],
        baseline_length=lengths["baseline"],
        by_people=by_people(found, answers) if answers else None,
    )


def by_people(found: Judged, answers: Answers) -> ByPeople | None:
    """The win rate corrected by people's answers; None where none of them is about these pairs.

    Prompts with the same answer twice are a stratum of their own, whose outcome is known. The other strata are how the panel's
    votes stand, where people were asked by that; else there is one, and this is PPI++.
    """
    rows, y = _outcomes(found, answers.said)
    if not len(rows):
        return None
    clusters = np.asarray(found.prompt_ids, dtype=object)
    with_judges, alone, factor = _estimates(found, answers, rows, y)
    told = rows[(found.value[rows] != 0.5) & (y != 0.5)]
    agree = (found.value[rows] == y)[np.isin(rows, told)]
    return ByPeople(
        corrected=_figure("win_rate_corrected", with_judges.mean, len(rows)),
        people=_figure("win_rate_people", alone.mean, len(rows)),
        answers=len(rows),
        by_votes=answers.by_votes,
        weight=with_judges.weight,
        factor=factor,
        agreement=of_interval("agreement", wilson(agree, clusters[told])),
    )


def corrected_values(found: Judged, answers: Answers) -> Floats | None:
    """Of every prompt, what stands for it in the corrected win rate (`Corrected.values`); None without people's answers."""
    rows, y = _outcomes(found, answers.said)
    return _estimates(found, answers, rows, y)[0].values if len(rows) else None


def _estimates(found: Judged, answers: Answers, rows: Ints, y: Floats) -> tuple[Corrected, Corrected, float]:
    """With the judges' votes and without them; and the factor of their calibration."""
    clusters = np.asarray(found.prompt_ids, dtype=object)
    chance, factor = calibrated(found.log_odds, rows, y, clusters)
    known = np.flatnonzero(found.same)
    chance[known] = 0.5
    stratum = np.where(found.same, -2, found.leaning if answers.by_votes else 0)
    sample, outcome = np.concatenate([rows, known]), np.concatenate([y, np.full(len(known), 0.5)])
    with_judges = stratified_mean(stratum, sample, outcome, clusters=clusters, predicted=chance)
    return with_judges, stratified_mean(stratum, sample, outcome, clusters=clusters), factor


def calibrated(log_odds: Floats, rows: Ints, y: Floats, clusters: np.ndarray[Any, Any]) -> tuple[Floats, float]:
    """The chance of every item, and the mean factor; an item that people answered is never calibrated on its own prompt's answers.

    Args:
        rows, y: the items that people answered, and what they said: 1, 0, or .5 for a tie.
        clusters: of all items.
    """
    if len(rows) < FEWEST:
        return expit(log_odds), nan
    prompts = np.unique(clusters[rows])
    fold_of = dict(zip(prompts.tolist(), (np.arange(len(prompts)) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of[name] for name in clusters[rows].tolist()])
    gold = np.sign(y - 0.5)
    factors = [_factor(log_odds[rows[fold != k]], gold[fold != k]) for k in range(FOLDS)]
    mean = float(np.mean(factors))
    chance = expit(mean * log_odds)
    chance[rows] = expit(np.array(factors)[fold] * log_odds[rows])
    return chance, mean


def _factor(log_odds: Floats, gold: Floats) -> float:
    found = platt(log_odds, gold).value
    return found if found == found else 1.0


def _outcomes(found: Judged, said: Mapping[str, Verdict]) -> tuple[Ints, Floats]:
    """The rows that people answered, and the candidate's share of each: 1, 0, or half for a tie."""
    rows, y = [], []
    for row, pair_id in enumerate(found.pair_ids):
        verdict = said.get(pair_id) if pair_id else None
        if verdict in (Verdict.A, Verdict.B, Verdict.TIE):
            rows.append(row)
            wins = Verdict.A if found.candidate_is_a[row] else Verdict.B
            y.append(0.5 if verdict is Verdict.TIE else float(verdict is wins))
    return np.array(rows, dtype=np.int64), np.array(y, dtype=float)


def _part(found: Judged, name: str, rows: Bools, level: float) -> Part:
    clusters = np.asarray(found.prompt_ids, dtype=object)[rows]
    longer = (1 + np.sign(found.candidate_length - found.baseline_length)[rows]) / 2
    figures = {
        "win_rate": of_interval("win_rate", wilson(found.value[rows], clusters, level=level)),
        "longer": of_interval("longer", wilson(longer, clusters, level=level)),
    }
    return Part(name, int(rows.sum()), len(set(clusters.tolist())), figures, share_p(found.value[rows], clusters))


def _figure(name: str, found: Any, n: int) -> Figure:
    each = of_interval(name, found)
    return Figure(name, each.value, each.low, each.high, n, each.reason)
