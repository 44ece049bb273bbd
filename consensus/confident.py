"""Stopping a pair's judging when its posterior is confident enough, and what that does to labels.

The label is the rule's of the votes that were asked. Where it has too few of them, and the posterior passes the level, the label is
the posterior's side. A pair that never gets there is asked until the rule settles it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import fsum, nan

import numpy as np
from numpy.typing import ArrayLike

from consensus.nouns import Ballot, Label, Reason, Verdict
from consensus.rule import Rule, majority, verdicts_by_judge
from consensus.sequence import Seat, next_ballots
from consensus.statistics.intervals import Interval, wilson
from consensus.statistics.posterior import Posterior

Margins = Mapping[Ballot, float]


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a pair's posterior has to be.

    Attributes:
        level: the chance of either side at which judging stops, in (1/2, 1).
    """

    level: float
    posterior: Posterior

    def __post_init__(self) -> None:
        if not 0.5 < self.level < 1:
            raise ValueError(f"confidence is {self.level}; it is a chance above 0.5 and below 1, e.g. 0.9")

    def passes(self, p_a: float) -> bool:
        """Whether one of the sides is sure enough, never mind which; nan is not."""
        return max(p_a, 1 - p_a) >= self.level


def next_confident(
    line: Sequence[Seat],
    votes: Mapping[Ballot, Verdict],
    given_up: Collection[Ballot],
    rule: Rule,
    confidence: Confidence,
    margins: Margins | None = None,
) -> list[Ballot]:
    """The next ballot of a pair; none if its posterior passes the level, its label is settled, or nobody is left to ask.

    The ballots are those of `sequence.next_ballots`, one at a time; a judge's second order is a swapped repeat. Stopping looks at
    how sure the posterior is, never at which side it is on; but the rule's label of the votes so far must not contradict it.
    """
    p_a = confidence.posterior.p_a(_of(line, votes), margins)
    if confidence.passes(p_a) and confident_label(line, votes, rule, confidence, margins).verdict is _side(p_a):
        return []
    return next_ballots(line, votes, given_up, rule)[:1]


def confident_label(
    line: Sequence[Seat],
    votes: Mapping[Ballot, Verdict],
    rule: Rule,
    confidence: Confidence,
    margins: Margins | None = None,
) -> Label:
    """The label of a pair by the rule, or where the rule has too few votes and the posterior passes, by the posterior.

    A confident label's support is the share of its judges' verdicts that are for it, as ever; how sure it is says the posterior.

    Args:
        votes: ballots that are not of this line are ignored.
    """
    asked = _of(line, votes)
    by_rule = _by_rule(line, asked, rule)
    p_a = confidence.posterior.p_a(asked, margins)
    if by_rule.reason is not Reason.TOO_FEW_VOTES or not confidence.passes(p_a):
        return by_rule
    verdict, verdicts = _side(p_a), verdicts_by_judge(asked, rule)
    support = verdicts.count(verdict) / len(verdicts) if verdicts else None
    return replace(by_rule, verdict=verdict, reason=Reason.CONFIDENT, support=support)


def confident_inclusion(
    line: Sequence[Seat],
    votes: Mapping[Ballot, Verdict],
    rule: Rule,
    confidence: Confidence,
    audit_share: float,
    margins: Margins | None = None,
) -> dict[Ballot, float]:
    """How likely each vote of a pair was to be asked, as `sequence.inclusion` says it for labels that are settled."""
    asked = asked_by(line, votes, rule, confidence, margins)
    return {ballot: 1.0 if ballot in asked else audit_share for ballot in votes}


def asked_by(
    line: Sequence[Seat],
    votes: Mapping[Ballot, Verdict],
    rule: Rule,
    confidence: Confidence,
    margins: Margins | None = None,
) -> dict[Ballot, Verdict]:
    """Those of a pair's votes that stopping at this confidence would have asked."""
    asked: dict[Ballot, Verdict] = {}
    while wave := [b for b in next_confident(line, asked, set(), rule, confidence, margins) if b in votes]:
        asked |= {ballot: votes[ballot] for ballot in wave}
    return asked


@dataclass(frozen=True, slots=True)
class Replay:
    """What stopping early would have done to pairs that were asked completely.

    Attributes:
        calls, full_calls: ballots per pair, stopping early and in all; nan without pairs.
        confident: share of pairs at which the posterior stopped the judging, before the rule settled the label.
        differs: share of pairs whose verdict or fate (kept, dropped) is not the full panel's.
        opposite: share of pairs kept for the side that the full panel keeps them against.
    """

    calls: float
    full_calls: float
    confident: float
    differs: Interval
    opposite: Interval


def replay(
    pairs: Iterable[tuple[Sequence[Seat], Mapping[Ballot, Verdict], Margins | None]],
    clusters: ArrayLike,
    rule: Rule,
    confidence: Confidence,
    *,
    weights: ArrayLike | None = None,
) -> Replay:
    """Stop early on pairs that were asked completely, and hold the labels against the full panel's.

    On a random sample this is an unbiased estimate for all pairs, whatever the judges have in common. A posterior that was fitted
    on the same pairs makes it a little too good; its few weights on hundreds of pairs hardly matter.

    Args:
        pairs: each pair's line, all its votes, and their margins.
        clusters: the prompt of each pair.
        weights: inverse chances that the pairs are in the sample, as for `intervals.wilson`.
    """
    early, full, stopped, differs, opposite = [], [], [], [], []
    for line, stored, margins in pairs:
        votes = _of(line, stored)
        asked = asked_by(line, votes, rule, confidence, margins)
        label, whole = confident_label(line, asked, rule, confidence, margins), _by_rule(line, votes, rule)
        early.append(len(asked))
        full.append(len(votes))
        stopped.append(bool(next_ballots(line, asked, (), rule)))
        differs.append((label.verdict, label.kept) != (whole.verdict, whole.kept))
        opposite.append(label.kept and whole.kept and label.verdict != whole.verdict)
    w = np.ones(len(early)) if weights is None else np.asarray(weights, dtype=float)
    calls, full_calls, confident = (float(np.average(c, weights=w)) if w.any() else nan for c in (early, full, stopped))
    return Replay(
        calls, full_calls, confident, wilson(differs, clusters, weights=w), wilson(opposite, clusters, weights=w)
    )


def expected_disagreement(
    line: Sequence[Seat],
    votes: Mapping[Ballot, Verdict],
    rule: Rule,
    confidence: Confidence,
    reliability: Mapping[str, tuple[float, float, float]],
    margins: Margins | None = None,
    given_up: Collection[Ballot] = (),
) -> float:
    """Chance that the label of a pair whose judging stopped is not the full panel's; the mean over pairs is a share to plan with.

    By the latent model: the judges that were not asked vote by their reliability, given which completion is the better; how likely
    that is say the votes, or where they have margins, the posterior. A pair that is easy for one judge is easy for the others,
    which the model does not know: with margins it foretells too many, in simulation up to four times. `replay` assumes nothing.

    Args:
        reliability: per judge c_first, c_second and tau, as they explain the panel's agreement (`latent.dawid_skene`), not as
            gold has them: what is asked is whether judges agree.
    Returns:
        In [0, 1]; 0 where the rule settles the label, nan where a judge's reliability is not known.
    """
    asked = _of(line, votes)
    if not next_ballots(line, asked, given_up, rule):
        return 0.0
    label = confident_label(line, asked, rule, confidence, margins)
    missing = [ballot for seat in line for ballot in seat.ballots if ballot not in asked and ballot not in given_up]
    seen = {better: _likelihood(asked, better, reliability) for better in (Verdict.A, Verdict.B)}
    if margins and not margins.keys().isdisjoint(asked):
        p_a = confidence.posterior.p_a(asked, margins)
        seen = {Verdict.A: p_a, Verdict.B: 1 - p_a}
    differing = []
    for said in product((Verdict.A, Verdict.B, Verdict.TIE), repeat=len(missing)):
        rest = dict(zip(missing, said, strict=True))
        whole = _by_rule(line, asked | rest, rule)
        if (whole.verdict, whole.kept) != (label.verdict, label.kept):
            differing += [seen[better] * _likelihood(rest, better, reliability) for better in seen]
    return fsum(differing) / fsum(seen.values())


def _likelihood(
    votes: Mapping[Ballot, Verdict], better: Verdict, reliability: Mapping[str, tuple[float, float, float]]
) -> float:
    """Chance of these votes if `better` is the better completion; whether a judge abstains says nothing of that."""
    chance = 1.0
    for ballot, verdict in votes.items():
        first, second, tie = reliability[ballot.judge]
        right = first if better is ballot.shown.first else second
        if verdict is Verdict.TIE:
            chance *= tie
        elif verdict is not Verdict.ABSTAIN:
            chance *= (1 - tie) * (right if verdict is better else 1 - right)
    return chance


def _side(p_a: float) -> Verdict:
    return Verdict.A if p_a > 0.5 else Verdict.B


def _of(line: Sequence[Seat], votes: Mapping[Ballot, Verdict]) -> dict[Ballot, Verdict]:
    return {ballot: votes[ballot] for seat in line for ballot in seat.ballots if ballot in votes}


def _by_rule(line: Sequence[Seat], votes: Mapping[Ballot, Verdict], rule: Rule) -> Label:
    verdicts = verdicts_by_judge(votes, rule)
    return majority(verdicts, rule, missing=len(line) - len(verdicts))
