"""JSON text into values, with reasons that people understand where it is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

Parse = Callable[[str], Any]  # JSON text to a value; a ValueError says what is wrong with it
DEEPEST = 100  # levels of lists and objects in a row: what Python's own limit allows depends on who calls


def quick_json(text: str) -> Any:
    """A JSON value, read by orjson; what orjson refuses, `strict_json` reads or gives the reason for."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return strict_json(text)


def strict_json(text: str) -> Any:
    """A JSON value; what strict JSON has not (NaN, lone surrogates, a key given twice) is a ValueError that says so."""
    try:
        value = _STRICT.decode(text)
        if "\\u" in text:  # only an escape can make a lone surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair (\\ud800 to \\udfff), which is not text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if text.count("[") + text.count("{") > DEEPEST and _deeper(value, DEEPEST):
        raise ValueError("it is nested too deeply")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _float(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _int(digits: str) -> int:
    if len(digits) > 1000:
        raise ValueError(f"a number of {len(digits):,} digits is too large")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} is given twice")
    return value


_STRICT = json.JSONDecoder(parse_constant=_no_constant, parse_float=_float, parse_int=_int, object_pairs_hook=_once)


def _deeper(value: Any, levels: int) -> bool:
    """Whether a value has more than so many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_deeper(one, levels - 1) for one in inner)
