"""Points in time as exports write them: seconds, milli-, micro- or nanoseconds since 1970, or ISO 8601."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = 946_684_800, 4_102_444_800  # seconds: the years 2000 to 2100, within which no two units overlap
PER_SECOND = (1, 10**3, 10**6, 10**9)
_NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*")


def instant(value: Any) -> datetime | None:
    """A point in time in UTC, to the microsecond; None for what was not set (null, an empty text, 0).

    A number's unit is the one that puts it between 2000 and 2100. A time without a zone is UTC.

    Raises:
        ValueError: it is no time.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value) if value.strip().isdecimal() else float(value)
    match value:
        case None | "" | 0 | 0.0:
            return None
        case bool():
            raise ValueError(f"{value} is no time")
        case int() | float():
            return _since_1970(value)
        case str():
            found = _iso(value)
        case datetime():
            found = value
        case _:
            raise ValueError(f"{str(value)[:40]!r} is no time")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _since_1970(number: float) -> datetime:
    if not math.isfinite(number):
        raise ValueError(f"{number} is no time")
    for unit in PER_SECOND:
        if EARLIEST * unit <= number < LATEST * unit:
            whole = number if isinstance(number, int) else round(number * 10**6)
            micro = whole * 10**6 // unit if isinstance(number, int) else whole // unit
            return EPOCH + timedelta(microseconds=micro)
    raise ValueError(f"{number} is no time between the years 2000 and 2100")


def _iso(text: str) -> datetime:
    """ISO 8601, also with a blank for the T, and with more digits than Python reads."""
    short = re.sub(r"(\.\d{6})\d+", r"\1", text.strip()).removesuffix(" UTC")
    try:
        found = datetime.fromisoformat(short)
        found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no time") from None
    if not 2000 <= found.year <= 2100:
        raise ValueError(f"{text[:40]!r} is no time between the years 2000 and 2100")
    return found
