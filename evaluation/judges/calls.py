"""What a judgment takes: tokens, dollars, seconds. A judgment is one call; a pair in both orders is two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Any

import numpy as np

from consensus.sections.endpoints import Price

PAUSE = 60.0
"""Seconds without an answer from which a judge is taken not to have been at work."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How many tokens go in for so many that come out."""

    input: float
    output: float

    @classmethod
    def parse(cls, text: str) -> Mix:
        """From words like `9:1`.

        Raises:
            ValueError: they are none.
        """
        parts = text.split(":")
        try:
            one, other = map(float, parts)
        except ValueError:
            raise ValueError(f"a mix of tokens is written input:output, e.g. 9:1, not {text!r}") from None
        if not (0 <= one < float("inf") and 0 <= other < float("inf") and one + other > 0):
            raise ValueError(f"the numbers of a mix are not negative, and not both 0, as they are in {text!r}")
        return cls(one, other)

    def blended(self, price: Price) -> float:
        """US dollars per million tokens at this mix."""
        return (self.input * price.input + self.output * price.output) / (self.input + self.output)

    def __str__(self) -> str:
        return f"{self.input:g}:{self.output:g}"


@dataclass(frozen=True, slots=True)
class Calls:
    """What the calls of one judge took; nan where it is not known.

    Attributes:
        votes: answers, repeats included.
        tokens_in, tokens_out: mean per call, as the provider counted them.
        paid: US dollars per 1,000 calls, as they were paid.
        latency: median seconds of a call.
        per_second: calls per second while it was at work, all its connections together.
    """

    votes: int
    tokens_in: float = nan
    tokens_out: float = nan
    paid: float = nan
    latency: float = nan
    per_second: float = nan


@dataclass(frozen=True, slots=True)
class Cost:
    """What judgments cost at a stated mix of tokens; nan without a price.

    Attributes:
        per_million: US dollars per million tokens.
        per_1000: US dollars per 1,000 judgments of `tokens` tokens each.
        times_cheaper: the dearest judge's price over this one's.
        tokens: per judgment, in and out together.
    """

    per_million: float
    per_1000: float
    times_cheaper: float
    tokens: float


def calls_of(rows: Iterable[Mapping[str, Any]]) -> Calls:
    """From rows of the table of votes, of one judge."""
    found = list(rows)
    asked = [row for row in found if row["latency_s"] is not None]
    return Calls(
        votes=len(found),
        tokens_in=_mean([row["prompt_tokens"] for row in found]),
        tokens_out=_mean([row["completion_tokens"] for row in found]),
        paid=1000 * _mean([row["cost_usd"] for row in found]),
        latency=float(np.median([row["latency_s"] for row in asked])) if asked else nan,
        per_second=throughput([row["created_at"] for row in asked]),
    )


def throughput(times: Iterable[datetime]) -> float:
    """Answers per second between the first and the last, gaps of more than a minute left out; nan below two moments."""
    at = np.sort([time.timestamp() for time in times])
    gaps = np.diff(at)
    working = gaps[gaps <= PAUSE]
    return len(working) / float(working.sum()) if working.sum() > 0 else nan


def costs(
    prices: Mapping[str, Price | None], calls: Mapping[str, Calls], mix: Mix, tokens: float | None
) -> dict[str, Cost]:
    """What the judges cost at a mix.

    Args:
        tokens: per judgment, in and out together; None takes what each judge's calls had.
    """
    blended = {name: mix.blended(price) if price else nan for name, price in prices.items()}
    dearest = max((value for value in blended.values() if value == value), default=nan)
    found = {}
    for name, value in blended.items():
        used = calls.get(name, Calls(0))
        size = used.tokens_in + used.tokens_out if tokens is None else tokens
        found[name] = Cost(value, value * size / 1000, dearest / value if value else nan, size)
    return found


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else nan
