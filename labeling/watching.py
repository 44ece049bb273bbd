"""What stands around a run: progress on the terminal, figures for `status`, Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from consensus.live import Live
from consensus.store import Store
from consensus.summary import keep_up
from labeling.labeler import Labeler
from labeling.progress import Progress

SUMMARISE_EVERY_S = 20.0


@asynccontextmanager
async def watched(
    labeler: Labeler[Any, Any],
    store: Path,
    cycle: str,
    console: Console,
    *,
    totals: Mapping[str, tuple[int, int]],
    tasks: int,
) -> AsyncIterator[None]:
    """Show how far a labeler is, and obey interrupts: the first lets what is in flight finish, the second drops it.

    Args:
        store: the file beside which the figures for `status` are left.
        totals: per judge the ballots in all, and those answered before.
        tasks: pairs (or prompts) in all.
    """
    before = {}
    for name, lane in labeler.lanes.items():
        lane.total, before[name] = totals[name]
    live = Live(store)
    shown = asyncio.create_task(Progress(labeler, cycle, live, console, before=before, pairs=tasks).run())
    try:
        with interrupts(labeler, console), _frozen_imports():
            yield
    finally:
        shown.cancel()
        with suppress(asyncio.CancelledError):
            await shown
        live.remove()


@asynccontextmanager
async def summarised(store: Store, cycle: str) -> AsyncIterator[None]:
    """Keep the figures of a long run from time to time, so that `status` answers at once even if the run is killed."""
    reader = store.twin()

    async def keep() -> None:
        while True:
            await asyncio.sleep(SUMMARISE_EVERY_S)
            await asyncio.to_thread(keep_up, reader, cycle)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


@contextmanager
def _frozen_imports() -> Iterator[None]:
    """Keep the garbage collector from walking litellm's million objects again and again: it cost a fifth of a call."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def interrupts(labeler: Labeler[Any, Any], console: Console) -> Iterator[None]:
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
