"""What people see while judges are asked: one line a judge, live on a terminal, every few seconds elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.live import Live as Screen
from rich.text import Text

from consensus.live import Live
from consensus.terminal import count, dollars, duration
from labeling.labeler import Labeler, Lane

PLAIN_EVERY = 5.0  # seconds between plain lines
BAR = 24


class Progress:
    """Shows a labeler's lanes until it is cancelled, and leaves the figures for `status`.

    Args:
        before: ballots of each judge that were answered in earlier runs.
        pairs: pairs in the cycle.
    """

    def __init__(
        self,
        labeler: Labeler[Any, Any],
        cycle: str,
        live: Live,
        console: Console,
        *,
        before: dict[str, int],
        pairs: int,
    ) -> None:
        self._labeler, self._cycle, self._live, self._console = labeler, cycle, live, console
        self._before, self._pairs = before, pairs
        self._started = time.monotonic()

    async def run(self) -> None:
        """Refresh once a second; on a terminal four times."""
        if self._console.is_terminal:
            with Screen(console=self._console, auto_refresh=False, transient=True) as screen:
                await self._loop(0.25, lambda: screen.update(self._screen(), refresh=True))
        else:
            await self._loop(1.0, self._plain())

    async def _loop(self, every: float, show: Any) -> None:
        written = 0.0
        while True:
            if time.monotonic() - written >= 1.0:
                written = time.monotonic()
                self._live.write(self.figures())
            show()
            await asyncio.sleep(every)

    def figures(self) -> dict[str, Any]:
        """What `status` reads while the store is locked."""
        lanes = self._labeler.lanes.values()
        progress = [
            {
                "judge": lane.judge.name,
                "done": self._done(lane),
                "total": self._expected(lane),
                "votes": lane.votes,
                "failures": lane.failures,
                "in_flight": lane.in_flight,
                "rate_limited": lane.rate_limited,
                "cost_usd": lane.dollars,
                "down": lane.down,
                "line": self._line(lane),
            }
            for lane in lanes
        ]
        return {"cycle": self._cycle, "progress": progress, "cost_usd": self._labeler.budget.spent}

    def _expected(self, lane: Lane[Any, Any]) -> int:
        """How many ballots the judge will have had: those queued, and as many per pair for the pairs not begun."""
        begun = self._labeler.pairs_begun
        ahead = lane.queued / begun * max(0, self._pairs - begun) if begun else lane.total
        return max(self._done(lane), min(lane.total, self._before.get(lane.judge.name, 0) + lane.queued + round(ahead)))

    def _done(self, lane: Lane[Any, Any]) -> int:
        return lane.done + self._before.get(lane.judge.name, 0)

    def _line(self, lane: Lane[Any, Any]) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        rate = lane.done / elapsed
        left = max(0, self._expected(lane) - self._done(lane))
        total = self._expected(lane)
        parts = [f"{count(self._done(lane))}/{count(total)}", f"{rate:.1f}/s" if rate < 100 else f"{rate:,.0f}/s"]
        if lane.rate_limited:
            parts.append(f"{count(lane.rate_limited)} × 429")
        if lane.failures:
            parts.append(f"{count(lane.failures)} failed")
        if lane.judge.price:
            parts.append(dollars(lane.dollars))
        parts.append(
            f"down: {lane.down[:80]}" if lane.down else f"{duration(left / rate)} left" if left and rate else ""
        )
        return f"{lane.judge.name:<28} " + "  ".join(part for part in parts if part)

    def _screen(self) -> Text:
        lines = Text()
        for lane in self._labeler.lanes.values():
            total = self._expected(lane)
            full = round(BAR * min(1.0, self._done(lane) / total)) if total else BAR
            lines.append("━" * full, style="red" if lane.down else "green")
            lines.append("━" * (BAR - full) + " ", style="bright_black")
            lines.append(self._line(lane) + "\n")
        budget = self._labeler.budget
        if budget.limit is not None:
            lines.append(
                f"{dollars(budget.spent)} of {dollars(budget.limit)} spent, {dollars(budget.in_flight)} in flight\n"
            )
        return lines

    def _plain(self) -> Any:
        shown = 0.0

        def show() -> None:
            nonlocal shown
            if time.monotonic() - max(shown, self._started) >= PLAIN_EVERY:
                shown = time.monotonic()
                self.print_lines(lane for lane in self._labeler.lanes.values() if lane.total)

        return show

    def print_lines(self, lanes: Iterable[Lane[Any, Any]]) -> None:
        """One plain line a judge."""
        for lane in lanes:
            self._console.print(self._line(lane), markup=False)
