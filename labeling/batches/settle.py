"""What is on its way: every open batch is looked at, found again, withdrawn or collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from consensus.batches import Batch
from consensus.tables import utc_now
from labeling.batches.judges import BatchJudge
from labeling.batches.reading import Reading
from labeling.batches.state import State
from labeling.panel import PanelJudge
from labeling.providers.base import CallError

if TYPE_CHECKING:
    from labeling.providers.batch import BatchApi, Remote

KEEP_AT = 500  # votes that are stored at a time
TRIES = 3  # readings of a batch's results in one run
QUEUE_FULL = (
    "token_limit_exceeded",
    "rate_limit_exceeded",
)  # in OpenAI's reasons: smaller or later batches are welcome


class Settling:
    """Looks at open batches.

    Args:
        owner_of: the other judge of the panel whose model answered for this one, if one did.
        settle_s: a batch that its provider does not list so many seconds after whatever sent it was over does not exist.
    """

    def __init__(self, state: State, owner_of: Callable[[PanelJudge, str], str | None], settle_s: float) -> None:
        self._state, self._owner_of, self._settle_s = state, owner_of, settle_s
        self._readings: Counter[str] = Counter()

    async def run(self) -> None:
        """Look at each once; what goes wrong with one is said, and concerns no other."""
        for batch in self._state.open():
            if batch.sent_at is None:
                self._state.batches.step(batch.tag, "withdrawn", "the run ended before it was sent")
            elif judge := self._state.judges.get(batch.judge):
                await self._settle(batch, judge)
            else:
                why = self._state.online.get(batch.judge, "it is not called")
                self._state.note(batch, f"its judge takes no batches any more: {why}", stuck=True)

    async def _settle(self, batch: Batch, judge: BatchJudge) -> None:
        try:
            remote = await (judge.api.look(batch.remote_id) if batch.remote_id else self._find(batch, judge.api))
            if remote is None:
                return
            if remote.state == "running":
                done = "" if remote.done is None else f", {remote.done:,} of {batch.requests:,} done"
                self._state.note(batch, remote.said + done)
            elif remote.state == "rejected":
                self._reject(batch, remote)
            else:
                await self._collect(batch, judge, remote)
        except CallError as error:
            elsewhere = "" if batch.endpoint == judge.api.endpoint else f"; it was submitted to {batch.endpoint}"
            self._state.note(batch, f"{error}{elsewhere}", stuck=error.fatal)

    async def _find(self, batch: Batch, api: BatchApi) -> Remote | None:
        """A batch that was sent, and whose id did not come back; None if it is not there (yet)."""
        from labeling.providers.batch import Sought

        state = self._state
        if (
            batch.doubted_at is None
        ):  # the run that sent it was killed, nobody knows when: this is the first sight of that
            state.batches.step(batch.tag, "doubted")
        doubted_at, sent_at = batch.doubted_at or utc_now(), batch.sent_at or batch.created_at
        late = utc_now() - doubted_at > timedelta(seconds=self._settle_s)  # before asking: the list has to be younger
        keys = set(state.batches.ballots(state.cycle, batch)[0])
        remote = await api.find(Sought(batch.tag, batch.file_id, sent_at, keys, state.batches.known_ids()))
        if remote:
            state.batches.step(batch.tag, "submitted", remote.id)
            state.say(f"{batch.judge}: the batch {batch.tag}, whose submission was cut short, exists: {remote.id}")
        elif late:
            state.batches.step(batch.tag, "withdrawn", "the provider does not list it")
            state.say(f"{batch.judge}: the batch {batch.tag} was never submitted; its ballots are open again")
        else:
            state.note(batch, "its submission was cut short; whether it exists will be known in a few minutes")
        if remote or late:
            state.paused.pop(batch.judge, None)
        return remote

    def _reject(self, batch: Batch, remote: Remote) -> None:
        """Nothing of it was asked, so there is nothing to fail: its ballots are open again."""
        state = self._state
        state.batches.step(batch.tag, "withdrawn", remote.said)
        state.say(f"{batch.judge}: batch {remote.id} was rejected: {remote.said}")
        if any(word in remote.said for word in QUEUE_FULL):
            state.paused[batch.judge] = f"{remote.said} (limits.batch_requests=N makes smaller batches)"
        else:
            state.down[batch.judge] = remote.said

    async def _collect(self, batch: Batch, judge: BatchJudge, remote: Remote) -> None:
        """Store what came, and close the batch if that was all."""
        state = self._state
        ballots, answered = state.batches.ballots(state.cycle, batch)
        reading = Reading(judge, batch, ballots, answered, self._owner_of)
        broken = None
        try:
            async for row in judge.api.results(remote):
                reading.read(row)
                if len(reading.votes) >= KEEP_AT:
                    self._keep(batch, reading)
        except CallError as error:
            broken = str(error)
        self._keep(batch, reading)
        promised = remote.done or 0
        if broken is None and (reading.unreadable or len(reading.seen) < promised):
            broken = f"only {len(reading.seen):,} of {max(promised, batch.requests):,} results can be read"
        if broken:
            self._readings[batch.tag] += 1
            state.note(batch, f"{remote.said}, but {broken}", stuck=self._readings[batch.tag] >= TRIES)
            return
        failures = reading.failed(remote)
        state.batches.collected(state.cycle, batch, failures, reading.strays)
        state.failed |= {failure.ballot for failure in failures}
        state.failures += len(failures)
        state.strays += len(reading.strays)
        state.paused.pop(batch.judge, None)
        told = f"{len(ballots) - len(failures):,} votes, {len(failures):,} failures"
        told += f", {len(reading.strays):,} results under unknown ids (kept in batch_strays)" if reading.strays else ""
        state.say(f"{batch.judge}: collected batch {remote.id}: {told}")

    def _keep(self, batch: Batch, reading: Reading) -> None:
        """What was paid for is stored at once; failures follow when it is certain that no vote comes after them."""
        self._state.store.add(self._state.cycle, {batch.judge: batch.config_hash}, reading.votes)
        self._state.votes += len(reading.votes)
        reading.votes.clear()
