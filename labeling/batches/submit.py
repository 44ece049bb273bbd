"""What is open: the current wave of every pair is gathered by judge, written down, and submitted."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from consensus.batches import Batch
from consensus.nouns import Ballot, Pair
from consensus.tables import utc_now
from labeling.batches.judges import BatchJudge
from labeling.batches.state import State
from labeling.plan import Work
from labeling.providers.base import CallError

if TYPE_CHECKING:
    from labeling.providers.batch import Draft


class Submission:
    """Submits the open ballots of a cycle, once.

    Args:
        max_cost: US dollars for the whole cycle; None has no end.
        most_requests: requests in a batch at most; None leaves it to the provider.
    """

    def __init__(self, state: State, max_cost: float | None, most_requests: int | None) -> None:
        self._state, self._max_cost, self._most_requests = state, max_cost, most_requests
        self._making: dict[str, _Making] = {}
        self._checked: set[str] = set()

    async def run(self, work: Iterable[Work]) -> None:
        """Submit the current wave of every open pair; a ballot that failed in this run is left to the next."""
        state = self._state
        state.left.clear()
        state.out_of_budget = False
        taken = state.store.spent(state.cycle) + state.batches.reserved(state.cycle)
        try:
            for item in work:
                item.given_up |= {ballot for seat in item.line for ballot in seat.ballots if ballot in state.failed}
                for ballot in item.wave():
                    if (judge := await self._ready(ballot.judge)) is None:
                        continue
                    most = _most(judge, item.pair, ballot)
                    taken += most or 0.0
                    if self._max_cost is not None and taken > self._max_cost:
                        state.out_of_budget = True
                        break
                    await self._gather(judge, item.pair, ballot, most)
                if state.out_of_budget:
                    break
            while self._making:
                await self._send(self._making.popitem()[1])
        finally:
            for made in self._making.values():
                made.draft.close()
            self._making.clear()

    async def _ready(self, name: str) -> BatchJudge | None:
        """The judge, if it takes batches now; whether its API is there is tried before anything is sent."""
        state = self._state
        judge = state.judges.get(name)
        if judge and name not in self._checked and name not in state.down:
            try:
                await judge.api.check()
                self._checked.add(name)
            except CallError as error:
                if error.status in (404, 405, 501):
                    state.online[name] = f"its server has no batch API: {error.message[:200]}"
                    del state.judges[name]
                else:
                    state.down[name] = str(error)
        if name in state.online:
            state.left[name] += 1
        return None if name in state.down or name in state.paused else state.judges.get(name)

    async def _gather(self, judge: BatchJudge, pair: Pair, ballot: Ballot, most: float | None) -> None:
        """Put one ballot into its judge's batch; one that is full is submitted before."""
        row = _row(judge, pair, ballot)
        made = self._making.get(ballot.judge)
        if made and made.full(len(row), self._most_requests):
            del self._making[ballot.judge]
            await self._send(made)
            if ballot.judge in self._state.down or ballot.judge in self._state.paused:
                return
            made = None
        if made is None:
            made = self._making[ballot.judge] = _Making.of(judge)
        made.add(ballot, row, most)

    async def _send(self, made: _Making) -> None:
        """Submit one batch. Only from the step `sent` to the next does a kill leave something to be found out."""
        state, api, draft = self._state, made.judge.api, made.draft
        batch = made.batch(state.hashes)
        state.batches.plan(state.cycle, batch, made.ballots)
        try:
            draft.file_id = await api.upload(draft)
            if draft.file_id:
                state.batches.step(batch.tag, "uploaded", draft.file_id)
        except CallError as error:
            draft.close()
            self._refused(batch, error)
            return
        state.batches.step(batch.tag, "sent")
        try:
            remote = await api.create(draft)
        except CallError as error:
            self._failed(batch, error)
            return
        finally:
            draft.close()
        state.batches.step(batch.tag, "submitted", remote.id)
        state.submitted += batch.requests
        state.heard[batch.tag] = remote.said
        state.say(f"{batch.judge}: submitted {batch.requests:,} requests as batch {remote.id}")

    def _failed(self, batch: Batch, error: CallError) -> None:
        from labeling.providers.batch import NOT_SENT

        if error.kind in NOT_SENT:
            self._refused(batch, error)
        else:
            self._state.batches.step(batch.tag, "doubted", str(error))
            self._state.note(batch, f"whether it was submitted has to be found out: {error}")
            self._state.paused[batch.judge] = str(error)

    def _refused(self, batch: Batch, error: CallError) -> None:
        state = self._state
        state.batches.step(batch.tag, "withdrawn", str(error))
        state.say(f"{batch.judge}: no batch was taken: {error}")
        (state.paused if error.kind == "rate_limit" else state.down)[batch.judge] = str(error)


@dataclass
class _Making:
    """A batch in the making."""

    judge: BatchJudge
    draft: Draft
    ballots: dict[str, Ballot] = field(default_factory=dict)
    most_usd: float | None = None

    @classmethod
    def of(cls, judge: BatchJudge) -> _Making:
        """An empty one."""
        from labeling.providers.batch import Draft

        return cls(judge, Draft(secrets.token_hex(8), judge.api.frame))

    def full(self, more: int, most_requests: int | None) -> bool:
        """Whether a row of so many bytes needs another batch."""
        api = self.judge.api
        most = min(api.most_requests, most_requests or api.most_requests)
        return self.draft.requests >= most or self.draft.size + more + sum(map(len, api.frame)) > api.most_bytes

    def add(self, ballot: Ballot, row: bytes, most: float | None) -> None:
        """Add one request, with what it can cost at the most."""
        self.ballots[self.judge.judge.key(ballot)] = ballot
        self.draft.add(row)
        if most is not None:
            self.most_usd = (self.most_usd or 0.0) + most

    def batch(self, hashes: dict[str, str]) -> Batch:
        """As it is written down."""
        name = self.judge.judge.name
        return Batch(
            tag=self.draft.tag,
            judge=name,
            config_hash=hashes[name],
            endpoint=self.judge.api.endpoint,
            requests=self.draft.requests,
            most_usd=self.most_usd,
            temperature=self.judge.wire.temperature,
            created_at=utc_now(),
        )


def _most(judge: BatchJudge, pair: Pair, ballot: Ballot) -> float | None:
    """US dollars that a request can cost at the most; None without a price."""
    return judge.judge.cost(judge.judge.tokens(pair, ballot)[0], judge.judge.config.max_tokens)


def _row(judge: BatchJudge, pair: Pair, ballot: Ballot) -> bytes:
    """One request: its body is the very one that would be sent online."""
    asked = judge.judge
    body = judge.wire.call.body(asked.messages(pair, ballot))
    return judge.api.row(asked.key(ballot), body)
