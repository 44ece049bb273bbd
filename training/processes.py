"""The processes that `accelerate launch` starts: the first one reads labels and writes results, the others only compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from consensus.errors import ConsensusError, UsageError

T = TypeVar("T")


class Processes:
    """All processes of this run; without a launcher there is one."""

    def __init__(self) -> None:
        from accelerate import PartialState

        self._state = PartialState()

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return bool(self._state.is_main_process)

    def once(self, work: Callable[[], T]) -> T:
        """Let the first process do something, and all of them have its result; what goes wrong there ends all of them."""
        if self._state.num_processes == 1:
            return work()
        from accelerate.utils import broadcast_object_list

        told: list[Any] = [None, None]
        try:
            if self.first:
                told[0] = work()
        except BaseException as error:
            told[1] = (
                error if isinstance(error, ConsensusError) else ConsensusError(f"the first process failed: {error!r}")
            )
            raise
        finally:
            broadcast_object_list(told)
        if told[1] is not None:
            raise told[1]
        return told[0]  # type: ignore[no-any-return]

    @contextmanager
    def alone(self, folder: Path) -> Iterator[None]:
        """No other command works in the folder meanwhile; the lock goes with the process, however that ends.

        Raises:
            UsageError: another one does.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(folder / ".lock")

        def take() -> None:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise UsageError(f"another process trains the run {folder.name!r}; wait for it, or stop it") from None

        self.once(take)
        try:
            yield
        finally:
            lock.release()
