"""How reliable each judge is in each slot, and how likely each label is right: a Dawid-Skene model that knows of positions.

With three votes no such model beats the majority's accuracy; what it adds is ranking, and with gold, probabilities. Without
gold it takes errors that the judges share for truth, and is too sure of itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from consensus.statistics.calibration import expit
from consensus.statistics.clusters import Floats, Ints, tally

PRIOR = (8.0, 2.0)
"""Beta prior of both reliabilities of a judge; estimates are the posterior's mode."""
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Votes in columns, one row each, shape [n]. Abstentions and failures are left out.

    Attributes:
        pair: 0..n_pairs-1.
        judge: 0..n_judges-1.
        a_first: whether completion a was shown first.
        verdict: +1 for completion a, -1 for b, 0 for a tie.
    Raises:
        ValueError: a column of another length, or a value out of its range.
    """

    pair: Ints
    judge: Ints
    a_first: NDArray[np.bool_]
    verdict: Ints
    n_pairs: int
    n_judges: int

    def __post_init__(self) -> None:
        n = len(self.pair)
        for name, kind in (("pair", np.int64), ("judge", np.int64), ("a_first", np.bool_), ("verdict", np.int64)):
            column = np.asarray(getattr(self, name))
            if column.shape != (n,):
                raise ValueError(f"column {name!r} has shape {column.shape}, expected ({n},), one value per vote")
            if column.size and not np.array_equal(column, column.astype(kind)):
                raise ValueError(f"column {name!r} holds values that are not {np.dtype(kind).name}")
            object.__setattr__(self, name, column.astype(kind))
        for name, low, high in (("pair", 0, self.n_pairs), ("judge", 0, self.n_judges), ("verdict", -1, 2)):
            column = getattr(self, name)
            if n and not (column.min() >= low and column.max() < high):
                raise ValueError(f"column {name!r} holds values outside {low}..{high - 1}")

    def only(self, rows: ArrayLike) -> Votes:
        """The votes of a mask, or of row numbers in their order; pairs and judges keep their numbers."""
        rows = np.asarray(rows)
        rows = rows if rows.dtype == bool else rows.astype(np.int64)  # an empty list is of floats
        return Votes(
            self.pair[rows], self.judge[rows], self.a_first[rows], self.verdict[rows], self.n_pairs, self.n_judges
        )

    def swapped(self) -> Votes:
        """The same votes after completions a and b have changed names."""
        return Votes(self.pair, self.judge, ~self.a_first, -self.verdict, self.n_pairs, self.n_judges)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What the judges are worth, one row each, shape [n_judges]; nan where that cannot be known.

    Attributes:
        c_first: chance in (0, 1) that a decided vote is right when the better completion is shown first.
        c_second: the same when it is shown second.
        tau: share of ties among the judge's votes, in [0, 1].
        n: decided votes on which the estimate rests.
    """

    c_first: Floats
    c_second: Floats
    tau: Floats
    n: Ints

    @property
    def accuracy(self) -> Floats:
        """Chance that a decided vote is right when both orders are as frequent."""
        return (self.c_first + self.c_second) / 2

    @property
    def position_bias(self) -> Floats:
        """Share of decided votes for the first slot, minus 1/2, when both orders are as frequent."""
        return (self.c_first - self.c_second) / 2

    @property
    def evidence(self) -> Floats:
        """What a vote for the completion shown first, and for the one shown second, adds to the log-odds that it is the better.

        Shape [n_judges, 2], in nats; below 0 for a judge that is mostly wrong, 0 for one of whom nothing is known.
        """
        first = np.log(self.c_first) - np.log1p(-self.c_second)
        second = np.log(self.c_second) - np.log1p(-self.c_first)
        return np.asarray(np.nan_to_num(np.stack([first, second], axis=1)))

    def llr(self, votes: Votes) -> Floats:
        """Log-odds that completion a is the better, of independent judges, shape [n_pairs]; 0 without votes."""
        return _llr(_slots(votes), votes.verdict, votes, self.evidence)


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """The fitted model.

    Attributes:
        reliability: of the judges.
        llr: log-odds that completion a is the better, from the votes alone, shape [n_pairs]; 0 where they say nothing.
        p_a: chance that it is, if judges err independently, shape [n_pairs]; too sure where they share errors, see
            `calibration.platt`.
        steps: of expectation-maximisation.
        converged: whether the reliabilities had stopped moving by then.
        reason: why some judge's reliability is nan; None if none is.
    """

    reliability: Reliability
    llr: Floats
    p_a: Floats
    steps: int
    converged: bool
    reason: str | None = None


def dawid_skene(
    votes: Votes, *, gold: ArrayLike | None = None, weights: ArrayLike | None = None, max_steps: int = 200
) -> Latent:
    """Fit every judge's reliability in each slot by expectation-maximisation, starting from the majority.

    Which completion is called a says nothing (P(a better) = 1/2), so exchanging the names everywhere exchanges the posteriors.
    A tie is as likely whichever is better, and moves nothing. 4,000 pairs of 3 votes take less than 0.1 s.

    Args:
        gold: the better completion by people, +1 a, -1 b, 0 unknown, shape [n_pairs]. It teaches the judges' reliability; a
            pair's own `llr` is of its votes alone, so that it can be held against gold.
        weights: inverse chances that votes were asked, shape [n_votes]. Stopping by the votes seen so far does not bias the
            likelihood; weights make the fit an average over all votes where the model is only roughly right.
    Returns:
        The model. Without gold a judge's reliability is known only if it shares pairs with two judges that share pairs too;
        else it is nan (with the reason), and its votes count for nothing.
    Raises:
        ValueError: gold or weights of another shape, or with values out of range.
    Source: Dawid & Skene 1979, J. R. Stat. Soc. C 28(1), with symmetric classes and one confusion matrix per slot.
    """
    truth = _gold(gold, votes)
    w = _vote_weights(weights, votes)
    known = _identified(votes, truth)
    used = known[votes.judge] & (votes.verdict != 0)
    decided = votes.only(used)
    slots, side, w_used = _slots(decided), decided.verdict, w[used]
    # The start: every judge as good as the prior thinks, which is the majority, or as gold shows it to be.
    on_gold = truth[decided.pair] != 0
    c = _maximise(slots, (side == truth[decided.pair]).astype(float), w_used * on_gold, votes.n_judges)
    step, converged = 0, len(side) == 0
    while step < max_steps and not converged:
        llr = _llr(slots, side, decided, _evidence(c))
        learnt = np.where(truth == 0, llr, np.copysign(np.inf, truth))
        old, c = c, _maximise(slots, expit(side * learnt[decided.pair]), w_used, votes.n_judges)
        step, converged = step + 1, bool(np.abs(c - old).max() < _TOLERANCE)
    reliability = _as_reliability(c, known, votes, w)
    llr = reliability.llr(votes)
    return Latent(reliability, llr, expit(llr), step, converged, _why(known))


def reliability_from_gold(votes: Votes, gold: ArrayLike, *, weights: ArrayLike | None = None) -> Reliability:
    """Every judge's reliability from the pairs that people have judged, and from nothing else.

    Args:
        gold: +1 a, -1 b, 0 unknown, shape [n_pairs].
        weights: as for `dawid_skene`.
    Returns:
        The mode of the posterior under the same prior; nan for a judge without decided votes on these pairs.
    """
    truth = _gold(gold, votes)
    w = _vote_weights(weights, votes)
    used = (votes.verdict != 0) & (truth[votes.pair] != 0)
    decided = votes.only(used)
    right = (decided.verdict == truth[decided.pair]).astype(float)
    found = _maximise(_slots(decided), right, w[used], votes.n_judges)
    known = np.bincount(decided.judge, minlength=votes.n_judges) > 0
    return _as_reliability(found, known, votes.only(truth[votes.pair] != 0), w[truth[votes.pair] != 0])


def one_coin_moments(votes: Votes) -> Floats:
    """Every judge's accuracy from agreement alone, if errors are independent and every judge is right more often than not.

    With C the mean product of two judges' decided votes, (2 p_i - 1)^2 = C_ij C_ik / C_jk; the median over j and k is taken.
    A check on `dawid_skene`, without iteration.

    Returns:
        Shape [n_judges], in [1/2, 1]; nan where no two other judges agree with the judge and each other beyond chance.
    Source: Joglekar, Garcia-Molina & Parameswaran 2013, KDD; Parisi et al. 2014, PNAS 111(4).
    """
    said, voted = _by_judge(votes)
    with np.errstate(divide="ignore", invalid="ignore"):
        agree = (said.T @ said) / (voted.T @ voted)
        agree = np.where(agree > 0, agree, np.nan)
    found = np.full(votes.n_judges, np.nan)
    for i in range(votes.n_judges):
        others = np.delete(np.arange(votes.n_judges), i)
        squares = agree[i, others][:, None] * agree[i, others][None, :] / agree[np.ix_(others, others)]
        squares = squares[np.triu_indices(len(others), 1)]
        if np.isfinite(squares).any():
            found[i] = (1 + min(1.0, sqrt(float(np.nanmedian(squares))))) / 2
    return found


def _slots(votes: Votes) -> Ints:
    """Row of `evidence.ravel()` that a vote stands for: its judge, and the slot of the completion it chose."""
    return np.asarray(2 * votes.judge + ((votes.verdict > 0) != votes.a_first))


def _llr(slots: Ints, side: Ints, votes: Votes, evidence: Floats) -> Floats:
    return tally(votes.pair, side * evidence.ravel()[slots], votes.n_pairs)


def _evidence(c: Floats) -> Floats:
    return np.asarray(np.log(c) - np.log1p(-c[:, ::-1]))


def _maximise(slots: Ints, right: Floats, weights: Floats, n_judges: int) -> Floats:
    """Reliability per judge and slot of the better completion, [n_judges, 2], given each vote's chance to be right."""
    good = tally(slots, weights * right, 2 * n_judges).reshape(-1, 2)
    bad = tally(slots, weights * (1 - right), 2 * n_judges).reshape(-1, 2)[:, ::-1]
    alpha, beta = PRIOR
    return (good + alpha - 1) / (good + bad + alpha + beta - 2)


def _as_reliability(c: Floats, known: NDArray[np.bool_], votes: Votes, weights: Floats) -> Reliability:
    ties = tally(votes.judge, weights * (votes.verdict == 0), votes.n_judges)
    with np.errstate(divide="ignore", invalid="ignore"):
        tau = ties / tally(votes.judge, weights, votes.n_judges)
    c = np.where(known[:, None], c, np.nan)
    n = np.bincount(votes.judge[votes.verdict != 0], minlength=votes.n_judges)
    return Reliability(c[:, 0], c[:, 1], tau, n)


def _by_judge(votes: Votes) -> tuple[Floats, Floats]:
    """Per pair and judge the sum and the number of decided votes, both [n_pairs, n_judges]."""
    cell, size = votes.pair * votes.n_judges + votes.judge, votes.n_pairs * votes.n_judges
    shape = (votes.n_pairs, votes.n_judges)
    said = tally(cell, votes.verdict, size).reshape(shape)
    return said, tally(cell, votes.verdict != 0, size).reshape(shape)


def _identified(votes: Votes, gold: Ints) -> NDArray[np.bool_]:
    """Judges with decided votes on gold, or in a triangle of judges that decided pairs together."""
    _, voted = _by_judge(votes)
    together = (voted.T @ voted > 0) & ~np.eye(votes.n_judges, dtype=bool)
    triangles = np.diag(np.linalg.matrix_power(together.astype(float), 3)) if votes.n_judges else np.empty(0)
    return np.asarray((triangles > 0) | (voted[gold != 0] > 0).any(axis=0))


def _why(known: NDArray[np.bool_]) -> str | None:
    if known.all():
        return None
    who = ", ".join(str(judge) for judge in np.flatnonzero(~known))
    return (
        f"judges {who} (numbered from 0) have decided no pair with gold, nor pairs in common with two judges that have pairs in "
        "common: without a third opinion or gold, agreement cannot tell which judge is right"
    )


def _gold(gold: ArrayLike | None, votes: Votes) -> Ints:
    if gold is None:
        return np.zeros(votes.n_pairs, dtype=np.int64)
    truth = np.asarray(gold)
    if truth.shape != (votes.n_pairs,):
        raise ValueError(f"gold has shape {truth.shape}, expected ({votes.n_pairs},), one value per pair")
    if not np.isin(truth, (-1, 0, 1)).all():
        raise ValueError("gold holds values other than +1 (a), -1 (b) and 0 (unknown)")
    return truth.astype(np.int64)


def _vote_weights(weights: ArrayLike | None, votes: Votes) -> Floats:
    w = np.ones(len(votes.pair)) if weights is None else np.asarray(weights, dtype=float)
    if w.shape != votes.pair.shape or not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("weights are inverse chances of being asked: one per vote, finite, not negative")
    return w
