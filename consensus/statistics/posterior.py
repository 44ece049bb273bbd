"""How sure the votes on a pair are after one, two, ... of them, for judges that share errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, nan

import numpy as np
from numpy.typing import ArrayLike

from consensus.nouns import Ballot, Verdict
from consensus.statistics.calibration import expit, slope
from consensus.statistics.clusters import Floats, Ints, tally
from consensus.statistics.latent import Reliability, Votes

FEWEST = 100
"""Completely asked pairs that a stage needs; with fewer the posterior after so many votes is not known."""
RIDGE = 0.5


@dataclass(frozen=True, slots=True)
class Weight:
    """What a judge's vote adds to the log-odds of the completion it is for, in nats.

    Attributes:
        first, second: where that completion was shown first, or second.
        margin: per nat of the vote's margin, the distance of the two verdicts' log-probabilities.
    """

    first: float
    second: float
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Posterior:
    """From the votes on a pair to the chance that completion a is the better.

    Attributes:
        stages: the judges' weights by name, after one decided vote, after two, ... Judges share errors, so the second vote on a
            pair is worth less than the first: every stage is fitted by itself, none adds to the ones before.
    """

    stages: tuple[Mapping[str, Weight], ...]

    @classmethod
    def of(cls, plain: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]]) -> Posterior:
        """From what `dataclasses.asdict` made of one, e.g. read back from JSON."""
        return cls(tuple({name: Weight(**weight) for name, weight in stage.items()} for stage in plain["stages"]))

    def p_a(self, votes: Mapping[Ballot, Verdict], margins: Mapping[Ballot, float] | None = None) -> float:
        """Chance that completion a is the better; exchanging a and b exchanges the chances.

        Ties and abstentions say nothing. 1/2 without votes for a side; nan after more of them than there are stages.

        Args:
            margins: per ballot the distance of the two verdicts' log-probabilities, >= 0; a vote that has none counts as one
                of margin 0.
        """
        said = [(ballot, verdict) for ballot, verdict in votes.items() if verdict in (Verdict.A, Verdict.B)]
        if not said:
            return 0.5
        if len(said) > len(self.stages):
            return nan
        weights = self.stages[len(said) - 1]
        log_odds = fsum(_evidence(weights.get(b.judge), b, v, (margins or {}).get(b, 0.0)) for b, v in said)
        likelier = 1 / (1 + exp(-abs(log_odds)))
        return likelier if log_odds >= 0 else 1 - likelier


def _evidence(weight: Weight | None, ballot: Ballot, verdict: Verdict, margin: float) -> float:
    if weight is None:
        return 0.0
    size = (weight.first if verdict is ballot.shown.first else weight.second) + weight.margin * margin
    return size if verdict is Verdict.A else -size


def of_reliability(judges: Sequence[str], reliability: Reliability, slopes: Sequence[float]) -> Posterior:
    """The posterior from the judges' reliability, one calibrated slope per number of votes; judges of unknown worth weigh 0.

    Args:
        judges: their names, in the order of the reliability's rows.
        slopes: for one decided vote, two, ..., each >= 0; 1 takes the judges to err independently.
    """
    rows = list(zip(judges, reliability.evidence.tolist(), strict=True))
    return Posterior(tuple({name: Weight(s * first, s * second) for name, (first, second) in rows} for s in slopes))


def fit_posterior(
    votes: Votes,
    judges: Sequence[str],
    target: ArrayLike,
    *,
    reliability: Reliability,
    margins: ArrayLike | None = None,
) -> Posterior:
    """Learn the posterior after one, two, ... decided votes from pairs that were asked completely.

    Without margins a stage is one slope on the judges' reliability; with them a logistic regression on every judge's vote, its
    slot and its margin, antisymmetric in a and b, with a ridge of 0.5.

    Args:
        votes: of pairs that were asked completely (an audit share, a random sample; pairs that stopped by themselves are the
            easy ones). The rows of a pair stand in the order in which its ballots would be asked.
        judges: names by number.
        target: chance that a is the better, shape [n_pairs]: 1 or 0 where people said so, or the calibrated posterior of all
            of the pair's votes, with which p_a means how the full panel would lean; nan leaves a pair out.
        margins: distance of the verdicts' log-probabilities, shape [n_votes], >= 0; nan where the provider gave none.
    Raises:
        ValueError: fewer than 100 pairs with a target and a decided vote. Later stages that have fewer are not fitted, and
            nothing stops there.
    """
    goal = np.asarray(target, dtype=float)
    if goal.shape != (votes.n_pairs,) or ((goal < 0) | (goal > 1)).any():
        raise ValueError(f"target needs one chance in [0, 1], or nan, for each of {votes.n_pairs} pairs")
    size = np.zeros(len(votes.pair)) if margins is None else np.nan_to_num(np.asarray(margins, dtype=float))
    if size.shape != votes.pair.shape or (size < 0).any():
        raise ValueError("margins are distances: one per vote, not negative")
    rank, count = _ranks(votes)
    stages = []
    for stage in range(1, int(count.max(initial=0)) + 1):
        pairs = (count >= stage) & ~np.isnan(goal)
        if pairs.sum() < FEWEST:
            break
        rows = (rank > 0) & (rank <= stage) & pairs[votes.pair]
        part, n = votes.only(rows), int(pairs.sum())
        aim = np.clip(goal[pairs], 1 / (n + 2), (n + 1) / (n + 2))
        if size.any():
            weights = _logistic(_features(part, size[rows])[pairs], aim).reshape(-1, 3)
        else:
            s = slope(reliability.llr(part)[pairs], aim)
            weights = np.column_stack([s * reliability.evidence, np.zeros(len(judges))])
        stages.append({name: Weight(*row) for name, row in zip(judges, weights.tolist(), strict=True)})
    if not stages or np.isnan([weight.first for weight in stages[0].values()]).any():
        raise ValueError(
            f"{int(((count > 0) & ~np.isnan(goal)).sum())} completely asked pairs with gold or a posterior; confidence needs at "
            f"least {FEWEST}, and judges whose reliability is known: raise sampling.audit_share, or add gold"
        )
    return Posterior(tuple(stages))


def _ranks(votes: Votes) -> tuple[Ints, Ints]:
    """Each decided vote's place among its pair's, from 1 (0: a tie), and the number of them per pair."""
    decided = votes.verdict != 0
    count = np.bincount(votes.pair[decided], minlength=votes.n_pairs)
    before = np.cumsum(count) - count
    order = np.argsort(votes.pair, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(decided[order]) - before[votes.pair[order]]
    return np.where(decided, rank, 0), count


def _features(votes: Votes, margins: Floats) -> Floats:
    """Per pair and judge the signed votes for the first slot, for the second, and the signed margins, [n_pairs, 3 n_judges]."""
    width = 3 * votes.n_judges
    cell = votes.pair * width + 3 * votes.judge
    second = (votes.verdict > 0) != votes.a_first
    columns = tally(cell + second, votes.verdict, votes.n_pairs * width)
    columns += tally(cell + 2, votes.verdict * margins, votes.n_pairs * width)
    return columns.reshape(votes.n_pairs, width)


def _logistic(x: Floats, target: Floats) -> Floats:
    """Ridge logistic regression without intercept by Newton's method; `target` in (0, 1), shape [n]."""
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = expit(x @ w)
        gradient = x.T @ (p - target) + RIDGE * w
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + RIDGE * np.eye(len(w)), gradient)
        w = w - step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(w, dtype=float)
