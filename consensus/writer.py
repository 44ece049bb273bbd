"""One thread that appends what comes in, so that the event loop never waits for the disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

Result = TypeVar("Result")


class Writer(Generic[Result]):
    """Appends votes and failures, or other results, in batches, from a thread of its own; a context manager.

    What was added is on disk `every` seconds later, plus the commit itself: a killed process loses no more. At the exit
    everything is written before it returns.

    Args:
        append: writes one batch in one transaction.
        every: seconds between batches.
    Raises:
        Exception: whatever `append` raised, at the next `add` or at the exit.
    """

    def __init__(self, append: Callable[[Sequence[Result]], None], *, every: float = 0.25) -> None:
        self._append, self._every = append, every
        self._waiting: deque[Result] = deque()  # its append and popleft need no lock
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error

    def add(self, result: Result) -> None:
        """Hand over one result; returns at once."""
        if self._error:
            raise self._error
        self._waiting.append(result)

    def _work(self) -> None:
        try:
            while not self._stop.wait(self._every):
                self._flush()
            self._flush()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody to raise to; add and the exit do it
            self._error = error

    def _flush(self) -> None:
        if batch := [self._waiting.popleft() for _ in range(len(self._waiting))]:
            self._append(batch)
