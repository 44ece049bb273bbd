"""What the panel said of a contest, in columns: one row per prompt on which both answered and everybody voted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consensus.chances import sides
from consensus.cycle_votes import read
from consensus.nouns import Verdict
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.decisive import NOT_ASKED, Ballots
from consensus.statistics.estimate import Bools
from consensus.statistics.votes import A, B
from consensus.store import Store
from evaluation.head_to_head.contest import Contest, Meeting, category_of
from labeling.providers.base import length

STEPS = 6  # strata by how the panel's votes stand: -3 to 3 votes of three judges


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A contest's prompts, one row each, shape [n].

    Attributes:
        prompt_ids, category: of the prompt.
        pair_ids: what was judged; None where both answered the same, which is a tie that nobody needed to judge.
        value: 1 the panel is for the candidate, 0 for the baseline, half where it is for neither (ties, splits, and judges that
            contradict themselves between the orders).
        leaning: how the panel's votes stand, 0 all for the baseline to `STEPS` all for the candidate, judges that are for neither
            counting half; people's word is asked by it.
        log_odds: that the candidate's answer is the better, by the latent model of the votes; not calibrated.
        candidate_is_a: in the pair.
        candidate_length, baseline_length: of the answers, in tokens of four characters.
        unanswered, unjudged: prompts left out because an answer is missing, or a vote.
    """

    prompt_ids: tuple[str, ...]
    category: tuple[str | None, ...]
    pair_ids: tuple[str | None, ...]
    value: Floats
    leaning: Ints
    log_odds: Floats
    candidate_is_a: Bools
    candidate_length: Ints
    baseline_length: Ints
    unanswered: int = 0
    unjudged: int = 0

    @property
    def same(self) -> Bools:
        """Where both answered the same."""
        return np.array([pair_id is None for pair_id in self.pair_ids], np.bool_)


def judged(store: Store, contest: Contest) -> Judged:
    """What there is of the contest in the store; it was played, or at least begun."""
    meetings = list(contest.meetings(store))
    votes = _votes(store, contest) if store.has_cycle(contest.judging.name) else {}
    kept: list[tuple[Meeting, _Vote]] = []
    unjudged = 0
    for meeting in meetings:
        if meeting.pair is None:
            if meeting.answered:
                kept.append((meeting, _Vote(0.5, STEPS // 2, 0.0)))
        elif meeting.pair.pair_id in votes:
            kept.append((meeting, votes[meeting.pair.pair_id]))
        else:
            unjudged += 1
    pairs = [meeting.pair for meeting, _ in kept]
    return Judged(
        prompt_ids=tuple(meeting.prompt.prompt_id for meeting, _ in kept),
        category=tuple(category_of(meeting.prompt) for meeting, _ in kept),
        pair_ids=tuple(pair.pair_id if pair else None for pair in pairs),
        value=np.array([vote.value for _, vote in kept], dtype=float),
        leaning=np.array([vote.leaning for _, vote in kept], dtype=np.int64),
        log_odds=np.array([vote.log_odds for _, vote in kept], dtype=float),
        candidate_is_a=np.array([contest.candidate_side(p) is Verdict.A if p else False for p in pairs], np.bool_),
        candidate_length=np.array([length(meeting.candidate) for meeting, _ in kept], dtype=np.int64),
        baseline_length=np.array([length(meeting.baseline) for meeting, _ in kept], dtype=np.int64),
        unanswered=sum(not meeting.answered for meeting in meetings),
        unjudged=unjudged,
    )


@dataclass(frozen=True, slots=True)
class _Vote:
    """What the panel says of one pair, in terms of the candidate; see `Judged`."""

    value: float
    leaning: int
    log_odds: float


def _votes(store: Store, contest: Contest) -> dict[str, _Vote]:
    """By pair, where everybody that was to be asked has answered."""
    found = read(store, contest.judging)
    ballots = Ballots.of(found.votes.where(found.planned), contest.judging.rule)
    at = ballots.pair
    side = np.array([1 if made == contest.candidate.label else -1 for made in found.made_a], np.int64)[at]
    label = np.where(found.kept & np.isin(found.label, (A, B)), found.label, 0)[at]
    asked = (ballots.said != NOT_ASKED).sum(axis=1)
    ahead = ((ballots.said == side[:, None]).sum(axis=1) - (ballots.said == -side[:, None]).sum(axis=1)) / asked
    columns: list[Any] = [
        (1 + label * side) / 2,
        np.round(STEPS * (1 + ahead) / 2).astype(np.int64),
        sides(found).log_odds[at] * side,
    ]
    rows = zip(at.tolist(), *(column.tolist() for column in columns), strict=True)
    return {found.votes.pair_ids[pair]: _Vote(*rest) for pair, *rest in rows}
