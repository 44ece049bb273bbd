"""One run of a cycle: what the command `label` does, without its words."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.live import Live
from consensus.nouns import Pair
from consensus.store import Store
from consensus.writer import Writer
from labeling.labeler import Labeler, Outcome
from labeling.limits import Budget
from labeling.panel import Panel, PanelJudge
from labeling.plan import Need, Work, needs, open_work
from labeling.progress import Progress
from labeling.rubric import Rubric


def hashes(cycle: Cycle, rubric: Rubric) -> dict[str, str]:
    """Every judge's config hash: part of a vote's key."""
    return {judge.label: judge.config_hash(rubric.system) for judge in cycle.judges}


def outstanding(store: Store, cycle: Cycle, rubric: Rubric) -> Iterable[Work]:
    """The cycle's open ballots, pair by pair."""
    called = [judge.label for judge in cycle.judges if judge.called]
    return open_work(store.work(cycle.name, hashes(cycle, rubric)), cycle.judge_names, called, cycle.rule)


def priced(store: Store, cycle: Cycle, rubric: Rubric) -> list[Need]:
    """What is still to be done, and what it costs; no call, no key."""
    return needs(outstanding(store, cycle, rubric), Panel(cycle, rubric).priced())


async def run(
    store: Store, cycle: Cycle, rubric: Rubric, *, console: Console, max_cost: float | None = None
) -> Outcome:
    """Ask everything that is still open; votes and failures are in the store when it returns.

    The first interrupt lets what is in flight finish, the second one drops it.

    Raises:
        UsageError: a judge has no key, or `max_cost` is given and a judge has no price.
    """
    judges_hashes, reader = hashes(cycle, rubric), store.twin()
    totals = _totals(reader, cycle, rubric)
    async with Panel(cycle, rubric, _truth(reader, cycle)) as panel:
        budget = Budget(max_cost, store.spent(cycle.name))
        if max_cost is not None:
            _refuse_unpriced(panel.judges)
        with Writer(lambda batch: store.add(cycle.name, judges_hashes, batch)) as writer:
            labeler = Labeler(
                panel.judges, writer.add, budget=budget, max_attempts=cycle.limits.max_attempts, seed=cycle.cycle.seed
            )
            before = {}
            for name, lane in labeler.lanes.items():
                lane.total, before[name] = totals[name]
            live = Live(cycle.store)
            progress = Progress(labeler, cycle.name, live, console, before)
            shown = asyncio.create_task(progress.run())
            try:
                with _interrupts(labeler, console):
                    return await labeler.run(outstanding(reader, cycle, rubric))
            finally:
                shown.cancel()
                with suppress(asyncio.CancelledError):
                    await shown
                live.remove()


def _totals(store: Store, cycle: Cycle, rubric: Rubric) -> dict[str, tuple[int, int]]:
    """For each judge the ballots that make the labels, and how many of them are answered."""
    answered = store.answered(cycle.name, hashes(cycle, rubric))
    share = cycle.asked_per_pair / len(cycle.judges) * (2 if cycle.rule.both_orders else 1)
    total = round(store.pair_count(cycle.name) * share)
    return {name: (max(total, answered.get(name, 0)), answered.get(name, 0)) for name in cycle.judge_names}


def _truth(store: Store, cycle: Cycle) -> Iterator[Pair]:
    return (pair for pair, _ in store.work(cycle.name, {}))


def _refuse_unpriced(judges: Mapping[str, PanelJudge]) -> None:
    unpriced = [name for name, judge in judges.items() if judge.price is None]
    if unpriced:
        raise UsageError(
            f"--max-cost needs a price for every judge, and litellm knows none for {', '.join(unpriced)}; "
            "give it in the cycle file, e.g. price: {input: 0.15, output: 0.6} (US dollars per million tokens)"
        )


@contextmanager
def _interrupts(labeler: Labeler, console: Console) -> Iterator[None]:
    """First Ctrl-C (or SIGTERM): start nothing more. Second: drop what is in flight."""
    loop, asked = asyncio.get_running_loop(), 0

    def handle() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            in_flight = sum(lane.in_flight for lane in labeler.lanes.values())
            console.print(f"stopping: waiting for {in_flight} calls in flight; press Ctrl-C again to drop them")
            labeler.interrupt()
        else:
            labeler.drop()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in signals:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
