"""How fast and for how much: requests and tokens per minute, dollars."""

from __future__ import annotations

import asyncio
import time
from math import ceil

from asyncio_throttle.throttler import Throttler

MARGIN = (
    1.02  # slower than allowed by this much, so that jitter on the way never makes a second see more than the limit
)
LATE_S = (
    0.0008  # what a slice comes late by, as event loops sleep in whole milliseconds; less than the margin of any slice
)


class Pace:
    """Requests and tokens per minute, of a judge or of an account; only the consumers of its judges wait here, one each.

    asyncio-throttle polls, so that many waiters burn a core and lose their order; one consumer per judge, which acquires before it
    spawns the call, costs next to nothing and keeps order. The limit is dealt out in slices of a tenth of a second at most (or
    one request, if that is longer), so that a minute's allowance is never spent in one burst.
    """

    def __init__(self, rpm: float | None, tpm: float | None) -> None:
        self.allow(rpm, tpm)

    def allow(self, rpm: float | None, tpm: float | None) -> None:
        """From now on so many, of requests and tokens."""
        self._throttler = _throttler(rpm) if rpm else None
        self._tokens = TokenBucket(tpm) if tpm else None

    @property
    def limits(self) -> bool:
        """Whether there is any limit."""
        return self._throttler is not None or self._tokens is not None

    @property
    def counts_tokens(self) -> bool:
        """Whether it needs to know how many tokens a request takes."""
        return self._tokens is not None

    async def acquire(self, tokens: int) -> None:
        """Wait for the right to send one request of about so many tokens, reply included."""
        if self._tokens:
            await self._tokens.acquire(tokens)
        if self._throttler:
            await self._throttler.acquire()

    def correct(self, estimated: int, used: int | None) -> None:
        """Say what a request really used."""
        if self._tokens and used is not None:
            self._tokens.take(used - estimated)


def _throttler(rpm: float) -> Throttler:
    requests, seconds = slices(rpm / 60)
    return Throttler(rate_limit=requests, period=seconds * MARGIN - LATE_S, retry_interval=min(0.01, seconds / 100))


def slices(rate: float) -> tuple[int, float]:
    """How a limit per second is dealt out: so many requests every so many seconds, from 25 times a second to 10 times.

    A whole number of slices makes up a second, so that no second, wherever it begins, holds one slice more than the limit. Of
    those the one that leaves least of it over, and the finest such.
    """
    if rate < 10:
        return 1, 1 / rate
    most = (int(rate / often) for often in range(10, 26))  # the largest slices that come so often
    sizes = [requests for requests in most if requests >= ceil(rate / 25)]
    best = max(sizes, key=lambda requests: (requests * (rate // requests), -requests))
    return best, 1 / (rate // best)


class TokenBucket:
    """Tokens per minute, dealt out evenly: no second has more than a sixtieth, but for one request that is larger by itself."""

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60 / MARGIN
        self._most = (MARGIN - 1) / 2 * self._rate  # seconds' worth; what may be saved up must fit into the margin
        self._left = self._most
        self._at = time.monotonic()

    def take(self, tokens: float) -> None:
        """Take tokens, or give them back if negative; the bucket may go below zero."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate) - tokens
        self._at = now

    async def acquire(self, tokens: int) -> None:
        """Wait until so many are there; a request larger than the bucket waits for a full one."""
        wanted = min(tokens, self._most)
        self.take(0)
        while self._left < wanted:
            await asyncio.sleep((wanted - self._left) / self._rate)
            self.take(0)
        self.take(tokens)


class Window:
    """Calls in flight at most: fewer by a third at each 429, one more after each full window of answers.

    Source: additive increase, multiplicative decrease; Chiu & Jain 1989, Comput. Netw. ISDN Syst. 17(1).
    """

    def __init__(self, most: int) -> None:
        self._most, self._size = most, float(most)
        self._calm_at = 0.0

    @property
    def size(self) -> int:
        """Calls that may be in flight now."""
        return int(self._size)

    def answered(self) -> None:
        """A call was answered."""
        self._size = min(self._most, self._size + 1 / self._size)

    def refused(self, now: float, started: float) -> None:
        """A call was refused with 429; those that were in flight at the last refusal tell nothing new."""
        if started >= self._calm_at:
            self._size = max(1.0, self._size * 2 / 3)
            self._calm_at = now


class Budget:
    """US dollars: no call starts if what is spent and what is in flight could pass the limit.

    Args:
        limit: None counts only.
        spent: what the cycle cost before.
    """

    def __init__(self, limit: float | None = None, spent: float = 0.0) -> None:
        self.limit, self.spent, self.in_flight = limit, spent, 0.0
        self._freed = asyncio.Event()

    async def reserve(self, most: float) -> bool:
        """Set aside what a call may cost at the most; False if it cannot be had even when nothing is in flight."""
        while self.limit is not None and self.spent + self.in_flight + most > self.limit:
            if self.in_flight <= 1e-12:
                return False
            self._freed.clear()
            await self._freed.wait()
        self.in_flight += most
        return True

    def settle(self, reserved: float, cost: float | None) -> None:
        """A call is over: its reservation becomes what it cost."""
        self.in_flight = max(0.0, self.in_flight - reserved)
        self.spent += cost or 0.0
        self._freed.set()
