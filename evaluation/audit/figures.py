"""From an estimate to a figure: a value, its interval, or why there is none."""

from __future__ import annotations

from math import isnan, nan

import numpy as np

from consensus.statistics.estimate import Estimate, interval
from consensus.statistics.intervals import Interval
from evaluation.audit.result import Figure

NO_SPREAD = "no interval: it is the same on every prompt, or rests on fewer than two, so how it varies was not seen"


def figure(name: str, found: Estimate, rng: np.random.Generator, *, level: float = 0.95) -> Figure:
    """The figure of an estimate, its interval by whole prompts."""
    if isnan(found.value):
        return absent(name, found.reason, n=found.n)
    return of_interval(name, interval(found, rng=rng, level=level))


def of_interval(name: str, found: Interval, reason: str = "") -> Figure:
    """The figure of an interval that is there."""
    return Figure(
        name, found.value, found.low, found.high, found.n, reason or ("" if found.low == found.low else NO_SPREAD)
    )


def absent(name: str, reason: str, *, n: int = 0) -> Figure:
    """A figure that is undefined."""
    return Figure(name, nan, nan, nan, n, reason)


def counted(name: str, value: float | None, n: int, reason: str) -> Figure:
    """A figure without an interval: it is a count, not a sample; `reason` is said where it is None."""
    return absent(name, reason) if value is None else Figure(name, value, nan, nan, n)
