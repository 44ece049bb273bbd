"""One run of a cycle in batches: what `label --batch` does, without its words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from consensus.cycle import Cycle
from consensus.live import Live
from consensus.store import Store
from labeling.batches.judges import batch_judges
from labeling.batches.settle import Settling
from labeling.batches.state import BatchOutcome, State
from labeling.batches.submit import Submission
from labeling.cycle_run import begin, conclude, hashes, outstanding, refuse_unpriced
from labeling.panel import Panel, PanelJudge
from labeling.rubric import Rubric

SETTLE_S = 300.0  # more than a provider takes to list a batch that it was sent
FIRST_POLL_S, POLL_S = 2.0, 60.0  # seconds between looks at what is running: doubling


async def run_batches(
    store: Store,
    cycle: Cycle,
    rubric: Rubric,
    *,
    say: Callable[[str], None],
    max_cost: float | None = None,
    wait: bool = False,
    poll_s: float = POLL_S,
    settle_s: float = SETTLE_S,
) -> BatchOutcome:
    """Collect what has ended and submit what is open; with `wait`, until there is neither.

    Args:
        say: told what happens, a line each.
        poll_s: seconds between looks at the most.
        settle_s: a batch that its provider does not list so many seconds after whatever sent it was over does not exist.
    Raises:
        UsageError: a judge has no key, or `max_cost` is given and a judge has no price.
    """
    from labeling.providers.batch_apis import session

    begin(store, cycle, rubric)
    async with Panel(cycle, rubric) as panel, session() as connection:
        able, unable = batch_judges(panel.judges, cycle, connection)
        if max_cost is not None:
            refuse_unpriced({name: judge.judge for name, judge in able.items()})
        state = State(store, cycle.name, hashes(cycle, rubric), say, able, unable)
        settling = Settling(state, lambda judge, served: _owner(panel, judge, served), settle_s)
        submission = Submission(state, max_cost, cycle.limits.batch_requests)
        live, reader, pause = Live(cycle.store), store.twin(), min(FIRST_POLL_S, poll_s)
        try:
            while True:
                await settling.run()
                conclude(store, cycle, rubric)
                await submission.run(outstanding(reader, cycle, rubric, panel.judges))
                if not (wait and state.hopeful):
                    return state.outcome()
                live.write(state.figures())
                await asyncio.sleep(pause)
                pause = min(2 * pause, poll_s)
        finally:
            live.remove()


def _owner(panel: Panel, judge: PanelJudge, served: str) -> str | None:
    """The other judge of the panel whose model this is, if it is not the judge's own."""
    if judge.answers_as(served):
        return None
    return next((o.name for o in panel.judges.values() if o.name != judge.name and o.answers_as(served)), None)
