"""What a run will do, before it does it: ballots, tokens, dollars and time per judge. No call is made."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from consensus.confident import Confidence, next_confident
from consensus.cycle import Cycle
from consensus.nouns import Ballot, Pair, Verdict, Vote
from consensus.rule import Rule
from consensus.sequence import Seat, audited, line_up, next_ballots
from consensus.store import Stored
from labeling.panel import PanelJudge

LIKELY_RIGHT = 0.83  # two such judges agree on 72 % of pairs, as measured on production judges


@dataclass
class Work:
    """A pair in the making: its judges in the order in which they are tried, and what they said so far.

    Attributes:
        complete: ask everybody, whether it can change the label or not.
        confidence: how sure the votes have to be for judging to stop; None stops when the label is settled.
        served: which model spoke on the pair already, and for which judge.
        given_up: ballots that brought no answer.
        waiting: ballots in a batch at a provider, to be asked by nobody else.
        pending: ballots on their way.
    """

    pair: Pair
    line: list[Seat]
    rule: Rule
    votes: dict[Ballot, Verdict] = field(default_factory=dict)
    margins: dict[Ballot, float] = field(default_factory=dict)
    complete: bool = True
    confidence: Confidence | None = None
    served: dict[str, str] = field(default_factory=dict)
    given_up: set[Ballot] = field(default_factory=set)
    waiting: set[Ballot] = field(default_factory=set)
    pending: int = 0

    @property
    def subject(self) -> Pair:
        """What the ballots are about."""
        return self.pair

    @property
    def begun(self) -> bool:
        """Whether somebody voted already."""
        return bool(self.votes)

    def wave(self) -> list[Ballot]:
        """The ballots to ask next; none if the pair is done, or has to wait for a batch."""
        if self.complete:
            done = self.votes.keys() | self.given_up | self.waiting
            return [ballot for seat in self.line for ballot in seat.ballots if ballot not in done]
        if self.confidence is None:
            ballots = next_ballots(self.line, self.votes, self.given_up, self.rule)
        else:
            ballots = next_confident(self.line, self.votes, self.given_up, self.rule, self.confidence, self.margins)
        return [ballot for ballot in ballots if ballot not in self.waiting]

    def heard(self, vote: Vote) -> None:
        """A ballot was answered."""
        self.votes[vote.ballot] = vote.verdict
        if vote.margin is not None:
            self.margins[vote.ballot] = vote.margin


@dataclass
class Need:
    """What one judge still has to do.

    Attributes:
        calls, tokens_in, tokens_out, dollars: expected; tokens at four characters each, dollars None without a price.
        most_calls, most_dollars: if every ballot of the full panel were asked.
        ceiling_dollars: as `most_dollars`, if every reply were as long as it may be; what a batch reserves.
        seconds: the time its limits allow it in at the least; None if it has none.
    """

    judge: str
    calls: int = 0
    most_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = None
    most_dollars: float | None = None
    ceiling_dollars: float | None = None
    seconds: float | None = None


def open_work(
    pairs: Iterable[tuple[Pair, Sequence[Stored]]],
    cycle: Cycle,
    costs: Mapping[str, float] | None,
    confidence: Confidence | None = None,
) -> Iterator[Work]:
    """The pairs that still have ballots to ask.

    Args:
        pairs: with the votes that are stored already, and what waits in a batch.
        costs: what a call to each judge costs; the cheapest are tried first. None tries everybody equally often.
        confidence: with `stop: confident`, how sure the votes have to be.
    """
    rule, sampling = cycle.rule, cycle.sampling
    names = cycle.judge_names
    called = {judge.label for judge in cycle.judges if judge.called}
    everybody = len(called) == len(names)
    for pair, stored in pairs:
        line = line_up(pair.pair_id, names, rule, costs)
        work = Work(
            pair,
            line,
            rule,
            complete=sampling.stop == "never" or audited(pair.pair_id, cycle.cycle.seed, sampling.audit_share),
            confidence=confidence,
        )
        if stored or not everybody:
            planned = {ballot for seat in line for ballot in seat.ballots}
            work.votes = {vote.ballot: vote.verdict for vote in stored if vote.verdict and vote.ballot in planned}
            work.margins = {vote.ballot: vote.margin for vote in stored if vote.margin is not None}
            work.served = {vote.served_by: vote.ballot.judge for vote in stored if vote.served_by}
            work.waiting = {vote.ballot for vote in stored if vote.verdict is None} - work.votes.keys()
            work.given_up = {ballot for ballot in planned - work.votes.keys() if ballot.judge not in called}
        if (not work.votes and not work.given_up) or work.wave():
            yield work


def needs(work: Iterable[Work], judges: Mapping[str, PanelJudge]) -> list[Need]:
    """What a run costs, judge by judge, as far as it can be known before.

    Calls that are made only while a label is open are expected ones: judges of the accuracy at which two agree as often as
    production judges were measured to.
    """
    found = {name: Need(name) for name in judges}
    dice = random.Random(0)
    for item in work:
        missing = [ballot for seat in item.line for ballot in seat.ballots if ballot not in item.votes]
        likely = _rehearse(item, dice)
        for ballot in missing:
            if ballot in item.given_up or ballot in item.waiting:
                continue
            need, judge = found[ballot.judge], judges[ballot.judge]
            tokens, reply = judge.tokens(item.pair, ballot)
            need.most_calls += 1
            need.most_dollars = _plus(need.most_dollars, judge.cost(tokens, reply))
            need.ceiling_dollars = _plus(need.ceiling_dollars, judge.cost(tokens, judge.config.max_tokens))
            if ballot in likely:
                need.calls += 1
                need.tokens_in += tokens
    for name, need in found.items():
        judge = judges[name]
        need.tokens_out = need.calls * judge.reply_tokens
        need.dollars = judge.cost(need.tokens_in, need.tokens_out)
        need.seconds = least_seconds(need.calls, need.tokens_in + need.tokens_out, judge.config.rpm, judge.config.tpm)
    return list(found.values())


def least_seconds(calls: int, tokens: int, rpm: float | None, tpm: float | None) -> float | None:
    """The time that limits allow so many calls in at the least."""
    return max([*([calls / rpm * 60] if rpm else []), *([tokens / tpm * 60] if tpm else [])], default=None)


def _rehearse(work: Work, dice: random.Random) -> set[Ballot]:
    """The ballots that are asked if judges answer at random, each right with the usual chance."""
    trial = replace(work, votes=dict(work.votes), waiting=set())
    asked: set[Ballot] = set()
    while wave := trial.wave():
        asked.update(wave)
        trial.votes |= {ballot: Verdict.A if dice.random() < LIKELY_RIGHT else Verdict.B for ballot in wave}
    return asked


def _plus(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more
