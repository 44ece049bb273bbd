"""The async labeler: open ballots in, votes and failures out; or open draws in, completions out.

Each judge has a lane: a queue of ballots and one consumer, which waits for a free place, for the pace and for the budget, and then
starts the call. Pairs are taken from the plan only as fast as the lanes empty, so that memory grows with what is in flight. A call
that failed is put back at once, to be asked again after a jittered wait, not after everything else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from consensus.nouns import Failure, Spent
from labeling.asking import Q, R, Respondent, Task
from labeling.limits import Budget, Pace, Window
from labeling.providers.base import Allowed

LOW, HIGH = 64, 4096  # ballots waiting: take more pairs below LOW in some lane, none above HIGH in any
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between attempts, doubling
GIVE_UP_WAIT = 600.0  # a judge that asks for more than this is reported instead of waited for
DOWN_AFTER = {"fatal": 3, "lost": 3, "refused": 20}  # in a row, without one answer


@dataclass(eq=False)
class Turn(Generic[Q, R]):
    """A ballot on its way: how often it was tried, and what that cost."""

    work: Task[Q, R]
    ballot: Q
    attempts: int = 0
    errors: int = 0  # attempts that failed for another reason than a rate limit
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    last: Failure[Q] | None = None  # how the last attempt failed

    def spent(self, last: Spent) -> Spent:
        """Everything this ballot cost, as of its last attempt."""
        return Spent(
            self.prompt_tokens or last.prompt_tokens,
            self.completion_tokens or last.completion_tokens,
            self.cost_usd,
            last.latency_s,
            self.attempts,
        )

    def count(self, spent: Spent) -> None:
        """Add one attempt."""
        self.attempts += 1
        self.prompt_tokens += spent.prompt_tokens or 0
        self.completion_tokens += spent.completion_tokens or 0
        if spent.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + spent.cost_usd


@dataclass
class Lane(Generic[Q, R]):
    """One judge at work, and its figures."""

    judge: Respondent[Q, R]
    paces: list[Pace]  # its own and its account's, which it shares with the provider's other judges
    follows: bool  # nobody set a limit: the one that the provider's replies name is kept
    window: Window
    total: int = 0
    votes: int = 0
    failures: int = 0
    rate_limited: int = 0
    dollars: float = 0.0
    in_flight: int = 0
    down: str | None = None  # why the judge is given up
    ready: deque[Turn[Q, R]] = field(default_factory=deque)
    resting: set[Turn[Q, R]] = field(default_factory=set)  # failed, and waiting to be asked again
    held: Turn[Q, R] | None = None  # taken from the queue, and waiting for the pace or the budget
    queued: int = 0
    bad: Counter[str] = field(default_factory=Counter)  # failures in a row, by what they mean
    hold_until: float = 0.0
    allowed: Allowed | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> int:
        """Ballots that are settled in this run."""
        return self.votes + self.failures

    def follow(self) -> None:
        """Keep the limits that the provider's last reply named."""
        said = self.judge.transport.allowed
        if self.follows and said is not None and said != self.allowed:
            self.allowed = said
            self.paces[0].allow(said.rpm, said.tpm)

    def put(self, turn: Turn[Q, R], *, first: bool = False) -> None:
        """Queue a ballot; one that is asked again goes before those never asked."""
        self.ready.appendleft(turn) if first else self.ready.append(turn)
        self.wake.set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        down: judges that were given up, and why.
        out_of_budget: whether the budget stopped it.
        interrupted: whether the user did.
    """

    votes: int
    failures: int
    down: Mapping[str, str]
    out_of_budget: bool = False
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every ballot was settled."""
        return not (self.down or self.out_of_budget or self.interrupted)


class Labeler(Generic[Q, R]):
    """Runs ballots against a panel, or whatever is asked of models one call at a time.

    Args:
        judges: whoever is asked, by name.
        store: called with each answer and failure as it comes; must not block.
        accounts: the pace of each provider's account.
        max_attempts: calls for one ballot before it is a failure; rate limits count a fifth.
        seed: for the jitter of waits only.
    """

    def __init__(
        self,
        judges: Mapping[str, Respondent[Q, R]],
        store: Callable[[R | Failure[Q]], None],
        *,
        accounts: Mapping[str, Pace] | None = None,
        budget: Budget | None = None,
        max_attempts: int = 6,
        seed: int = 0,
    ) -> None:
        accounts = accounts or {}
        limited = {provider for provider, pace in accounts.items() if pace.limits}
        self.lanes = {
            name: Lane(
                judge,
                [Pace(judge.config.rpm, judge.config.tpm), *filter(None, [accounts.get(judge.config.provider)])],
                judge.config.rpm is None and judge.config.tpm is None and judge.config.provider not in limited,
                Window(judge.config.max_parallel),
            )
            for name, judge in judges.items()
        }
        self.budget = budget or Budget()
        self._store, self._max_attempts, self._random = store, max_attempts, random.Random(seed)
        self._work: Iterator[Task[Q, R]] = iter(())
        self._fed = self._out_of_budget = self._interrupted = False
        self._open = self.pairs_begun = 0
        self._over = asyncio.Event()
        self._calls: dict[Turn[Q, R], asyncio.Task[None]] = {}

    def interrupt(self) -> None:
        """Start no further call; what is in flight is finished and stored."""
        self._interrupted = True
        self._over.set()

    def drop(self) -> None:
        """Interrupt, and give up what is in flight."""
        self.interrupt()
        for call in self._calls.values():
            call.cancel()

    async def run(self, work: Iterable[Task[Q, R]]) -> Outcome:
        """Ask everything that is open; what is answered goes to `store` at once."""
        self._work = iter(work)
        self._feed()
        async with asyncio.TaskGroup() as crew:
            consumers = [crew.create_task(self._consume(lane, crew)) for lane in self.lanes.values()]
            await self._over.wait()
            for consumer in consumers:
                consumer.cancel()
        lanes = self.lanes.values()
        for lane in lanes:
            for turn in [*lane.ready, *lane.resting, *([lane.held] if lane.held else [])]:
                self._keep_cost(turn)
        return Outcome(
            votes=sum(lane.votes for lane in lanes),
            failures=sum(lane.failures for lane in lanes),
            down={lane.judge.name: lane.down for lane in lanes if lane.down},
            out_of_budget=self._out_of_budget,
            interrupted=self._interrupted,
        )

    def _feed(self) -> None:
        """Take pairs from the plan while some lane runs low."""
        while not self._fed:
            waiting = [len(lane.ready) for lane in self.lanes.values() if not lane.down]
            if waiting and (min(waiting) >= LOW or max(waiting) >= HIGH):
                return
            item = next(self._work, None) if waiting else None
            if item is None:
                self._fed = True
                break
            self.pairs_begun += 1
            self._advance(item)
        self._check_over()

    def _advance(self, work: Task[Q, R]) -> None:
        """Put the pair's next wave of ballots to their judges; a pair that was begun goes before those that were not."""
        begun = work.begun
        while work.pending == 0 and (wave := work.wave()):
            for ballot in wave:
                lane = self.lanes[ballot.addressee]
                if lane.down:
                    work.given_up.add(ballot)
                    continue
                work.pending += 1
                self._open += 1
                lane.queued += 1
                lane.put(Turn(work, ballot), first=begun)

    def _close(self, turn: Turn[Q, R]) -> None:
        """A ballot is over, with a vote or without."""
        turn.work.pending -= 1
        if turn.work.pending == 0 and not self._over.is_set():
            self._advance(turn.work)
        self._open -= 1
        self._check_over()

    def _check_over(self) -> None:
        if self._fed and self._open == 0:
            self._over.set()

    async def _consume(self, lane: Lane[Q, R], crew: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while not lane.down:
            while not lane.ready or lane.in_flight >= lane.window.size:
                lane.wake.clear()
                await lane.wake.wait()
            if (wait := lane.hold_until - loop.time()) > 0:
                await asyncio.sleep(wait)
                continue
            turn = lane.held = lane.ready.popleft()
            tokens, most = self._estimate(lane.judge, turn)
            for pace in lane.paces:
                await pace.acquire(tokens)
            if not await self.budget.reserve(most):
                self._out_of_budget = True
                self._over.set()
                return
            lane.held = None
            lane.in_flight += 1
            self._calls[turn] = crew.create_task(self._ask(lane, turn, tokens, most))
            self._feed()

    def _estimate(self, judge: Respondent[Q, R], turn: Turn[Q, R]) -> tuple[int, float]:
        """Tokens a call will use, and dollars it may cost at the most; not worked out where nothing limits them."""
        if self.budget.limit is None and not any(pace.counts_tokens for pace in self.lanes[judge.name].paces):
            return 0, 0.0
        request, reply = judge.tokens(turn.work.subject, turn.ballot)
        return request + reply, judge.cost(request, judge.config.max_tokens) or 0.0

    async def _ask(self, lane: Lane[Q, R], turn: Turn[Q, R], tokens: int, reserved: float) -> None:
        cost, started = None, asyncio.get_running_loop().time()
        try:
            result = await lane.judge.ask(turn.work.subject, turn.ballot, attempt=turn.attempts + 1)
            spent = result.spent
            cost = spent.cost_usd
            if spent.prompt_tokens is not None:
                for pace in lane.paces:
                    pace.correct(tokens, spent.prompt_tokens + (spent.completion_tokens or 0))
        finally:
            del self._calls[turn]
            lane.in_flight -= 1
            self.budget.settle(reserved, cost)
            lane.wake.set()
        lane.dollars += cost or 0.0
        lane.follow()
        turn.count(spent)
        result = self._unless_served_twice(lane, turn, result)
        if isinstance(result, Failure) and result.kind == "rate_limit":
            lane.window.refused(asyncio.get_running_loop().time(), started)
        else:
            lane.window.answered()
        if isinstance(result, Failure):
            self._failed(lane, turn, result)
        else:
            lane.votes += 1
            lane.bad.clear()
            self._settle(turn, result)

    def _unless_served_twice(self, lane: Lane[Q, R], turn: Turn[Q, R], result: R | Failure[Q]) -> R | Failure[Q]:
        """One model never votes twice on a pair: a fallback's vote is refused if its model spoke already, or speaks for itself."""
        if isinstance(result, Failure) or result.served_by is None:
            return result
        name, by = lane.judge.name, result.served_by
        if not lane.judge.answers_as(by):
            others = [other.judge for other in self.lanes.values() if other is not lane]
            owner = next((other.name for other in others if other.answers_as(by)), None) or turn.work.served.get(
                by, name
            )
            if owner != name:
                message = f"{by!r} answered for judge {name!r}, but it votes on this pair as {owner!r}"
                return Failure(turn.ballot, "wrong_model", message, result.spent, retry=False)
        turn.work.served.setdefault(by, name)
        return result

    def _failed(self, lane: Lane[Q, R], turn: Turn[Q, R], failure: Failure[Q]) -> None:
        limited = failure.kind == "rate_limit"
        lane.rate_limited += limited
        turn.errors += not limited
        again = failure.retry and turn.errors < self._max_attempts and turn.attempts < 5 * self._max_attempts
        wait = self._wait(turn, failure)
        if wait > GIVE_UP_WAIT:
            self._give_up(lane, f"asks to wait {wait / 60:.0f} minutes: {failure.message}")
            again = False
        if again and not lane.down and not self._over.is_set():
            turn.last = failure
            lane.resting.add(turn)
            loop = asyncio.get_running_loop()
            if failure.retry_after_s is not None and limited:
                lane.hold_until = max(lane.hold_until, loop.time() + failure.retry_after_s)
            loop.call_later(wait, self._again, lane, turn)
            return
        lane.failures += 1
        self._settle(turn, failure)
        kind = "fatal" if failure.fatal else "lost" if failure.retry else "refused"
        lane.bad[kind] += 1
        if not lane.down and lane.bad[kind] >= DOWN_AFTER[kind]:
            self._give_up(lane, f"{failure.kind}: {failure.message}")

    def _wait(self, turn: Turn[Q, R], failure: Failure[Q]) -> float:
        """Seconds until the next attempt: what the provider says, or doubling, and jittered either way."""
        if failure.retry_after_s is not None:
            return failure.retry_after_s * (1 + 0.1 * self._random.random()) + 0.05 * self._random.random()
        longest: float = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (turn.attempts - 1))
        return longest * (0.5 + 0.5 * self._random.random())

    def _again(self, lane: Lane[Q, R], turn: Turn[Q, R]) -> None:
        lane.resting.discard(turn)
        if lane.down:
            self._leave(turn)
            self._feed()
        else:
            lane.put(turn, first=True)

    def _give_up(self, lane: Lane[Q, R], why: str) -> None:
        """A judge keeps failing: its open ballots stay unasked, to be asked when the command is run again."""
        lane.down = why
        lane.wake.set()
        while lane.ready:
            self._leave(lane.ready.popleft())
        self._feed()

    def _leave(self, turn: Turn[Q, R]) -> None:
        """A ballot is not asked again in this run; what it cost so far is kept."""
        self._keep_cost(turn)
        turn.work.given_up.add(turn.ballot)
        self._close(turn)

    def _keep_cost(self, turn: Turn[Q, R]) -> None:
        if turn.last is not None:
            self._store(_with_spent(turn.last, turn.spent(turn.last.spent)))

    def _settle(self, turn: Turn[Q, R], result: R | Failure[Q]) -> None:
        if turn.attempts > 1:
            result = _with_spent(result, turn.spent(result.spent))
        self._store(result)
        if isinstance(result, Failure):
            turn.work.given_up.add(turn.ballot)
        else:
            turn.work.heard(result)
        self._close(turn)


def _with_spent(result: Any, spent: Spent) -> Any:
    """A vote, a completion or a failure that cost what all attempts together did."""
    return replace(result, spent=spent)
