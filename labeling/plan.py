"""What a run will do, before it does it: ballots, tokens, dollars and time per judge. No call is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from consensus.nouns import Ballot, Pair
from consensus.rule import Rule, label_ballots
from consensus.store import Stored
from labeling.panel import PanelJudge

REPLY_TOKENS = 110  # a judge's usual reply: the reasoning and the verdict ...
AXIS_TOKENS = 14  # ... and each axis' scores


@dataclass(frozen=True, slots=True)
class Work:
    """A pair, the ballots still open on it, and who served the votes that it has already."""

    pair: Pair
    ballots: list[Ballot]
    served: dict[str, str]


@dataclass
class Need:
    """What one judge still has to do.

    Attributes:
        tokens_in, tokens_out: estimated at four characters a token.
        dollars: None without a price.
        seconds: the time its limits allow it in at the least; None if it has none.
    """

    judge: str
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = None
    seconds: float | None = None


def open_work(
    pairs: Iterable[tuple[Pair, Sequence[Stored]]], judges: Sequence[str], called: Iterable[str], rule: Rule
) -> Iterable[Work]:
    """The pairs that still miss votes, each with the ballots to ask.

    Args:
        judges: the whole panel, in the order of the cycle file.
        called: those of them that can be asked.
    """
    askable = set(called)
    for pair, stored in pairs:
        done = {vote.ballot for vote in stored}
        wanted = [b for b in label_ballots(pair.pair_id, judges, rule) if b.judge in askable and b not in done]
        if wanted:
            yield Work(pair, wanted, {v.served_by: v.ballot.judge for v in stored if v.served_by})


def prompt_tokens(judge: PanelJudge, pair: Pair, ballot: Ballot) -> int:
    """A request's length in tokens, estimated at four characters each."""
    return sum(len(message["content"]) for message in judge.rubric.messages(pair, ballot, seed=judge.seed)) // 4


def reply_tokens(judge: PanelJudge) -> int:
    """A reply's expected length in tokens."""
    return min(judge.config.max_tokens, REPLY_TOKENS + AXIS_TOKENS * len(judge.rubric.axes))


def needs(work: Iterable[Work], judges: dict[str, PanelJudge]) -> list[Need]:
    """What a run costs, judge by judge, as far as it can be known before."""
    found = {name: Need(name) for name in judges}
    for item in work:
        for ballot in item.ballots:
            need = found[ballot.judge]
            need.calls += 1
            need.tokens_in += prompt_tokens(judges[ballot.judge], item.pair, ballot)
    for name, need in found.items():
        judge = judges[name]
        need.tokens_out = need.calls * reply_tokens(judge)
        need.dollars = judge.cost(need.tokens_in, need.tokens_out)
        times = []
        if judge.config.rpm:
            times.append(need.calls / judge.config.rpm * 60)
        if judge.config.tpm:
            times.append((need.tokens_in + need.tokens_out) / judge.config.tpm * 60)
        need.seconds = max(times, default=None)
    return list(found.values())
