"""How results and figures look: stdout is the result, stderr the progress."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape

SCHEMA_VERSION = 1


def out() -> Console:
    """For results."""
    return _console(sys.stdout)


def err() -> Console:
    """For progress and messages."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    """A terminal has its own width; files and pipes get lines that are long enough for every table."""
    return Console(file=stream, highlight=False, width=None if stream.isatty() else 160, soft_wrap=not stream.isatty())


def emit(value: Mapping[str, Any]) -> None:
    """Print one JSON object with its schema_version; nan and infinity become null."""
    import json

    print(json.dumps({"schema_version": SCHEMA_VERSION, **_finite(value)}, ensure_ascii=False, default=str))  # noqa: T201


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(text: str) -> str:
    """Text that must not be read as rich's markup."""
    return escape(text)


def dollars(value: float | None) -> str:
    """$0.00, with more digits where they are all there is; a dash without a price."""
    if value is None:
        return "–"
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.4f}"


def percent(value: float | None) -> str:
    """A share as a percentage; a dash where it is undefined."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def count(value: float) -> str:
    """A number in full below 100,000, then 459k, 1.2M."""
    if value < 1e5:
        return f"{value:,.0f}"
    return f"{value / 1e3:,.0f}k" if value < 1e6 else f"{value / 1e6:,.1f}M"


def duration(seconds: float | None) -> str:
    """0.3 s, 24 min, 3.2 h; a dash where there is none."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
