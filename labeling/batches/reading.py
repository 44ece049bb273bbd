"""The results of a batch, read as votes and failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from consensus.batches import Batch
from consensus.nouns import Ballot, Failure, Spent, Vote
from labeling.batches.judges import BatchJudge
from labeling.panel import PanelJudge
from labeling.providers.base import CallError
from labeling.providers.parity import Body

if TYPE_CHECKING:
    from labeling.providers.batch import Remote, Row


@dataclass
class Reading:
    """The results of one batch, as they come, in any order.

    Attributes:
        ballots: what was asked, by key.
        answered: keys of ballots that have a vote; a second result for one counts nothing.
        votes: those not stored yet.
        failures: what came instead of a vote, by key; a vote that comes later takes its place.
        strays: lines under ids that the batch does not have.
        seen: every id that came.
        unreadable: lines that are no results.
    """

    judge: BatchJudge
    batch: Batch
    ballots: Mapping[str, Ballot]
    answered: set[str]
    owner_of: Callable[[PanelJudge, str], str | None]
    votes: list[Vote | Failure] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    strays: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    unreadable: int = 0

    def read(self, row: Row) -> None:
        """Take in one result."""
        if row.key is None:
            self.unreadable += 1
            return
        self.seen.add(row.key)
        if row.key not in self.ballots:
            self.strays.append(row.line.decode("utf-8", "replace"))
        elif row.key not in self.answered:
            result = self._result(self.ballots[row.key], row)
            if isinstance(result, Vote):
                self.answered.add(row.key)
                self.votes.append(result)
            else:
                self.failures[row.key] = result

    def failed(self, remote: Remote) -> list[Failure]:
        """A failure for each ballot without a vote, once everything was read."""
        kind = {"expired": "expired", "cancelled": "canceled"}.get(remote.said, "missing")
        message = f"batch {remote.id} ended ({remote.said}) without a result for it"
        return [
            self.failures.get(key) or Failure(ballot, kind, message)
            for key, ballot in self.ballots.items()
            if key not in self.answered
        ]

    def _result(self, ballot: Ballot, row: Row) -> Vote | Failure:
        judge = self.judge.judge
        try:
            if row.reply is None:
                raise row.error or CallError("missing", "the result has neither a reply nor an error")
            answer = self.judge.wire.read(Body(200, {}, row.reply), 0.0)
        except CallError as error:
            return Failure(ballot, error.kind, error.message, Spent(), error.retry, error.fatal)
        result = judge.judged(ballot, answer, self.batch.temperature)
        result = replace(result, spent=replace(result.spent, latency_s=None))  # a batch tells none
        if isinstance(result, Vote) and answer.model and (owner := self.owner_of(judge, answer.model)):
            message = f"{answer.model!r} answered for judge {judge.name!r}, but it votes as {owner!r}"
            return Failure(ballot, "wrong_model", message, result.spent, retry=False)
        return result
