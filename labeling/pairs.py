"""Pairs out of rows: what a row must have to be judged, and why it was refused if it has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from consensus.nouns import Pair, Text, Verdict, digest
from consensus.sections.inputs import PAIR_COLUMNS
from labeling.rows import BadRow, Row, read_rows

REQUIRED = ("prompt", "completion_a", "completion_b")


def read_pairs(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Pair | BadRow]:
    """The pairs of a file; each id once.

    Args:
        columns: our name to the file's name, where they differ; a dot goes into an object (`response.text`).
    Raises:
        UsageError: the file as a whole cannot be read.
    """
    return (item if isinstance(item, BadRow) else item[1] for item in numbered_pairs(path, columns))


def numbered_pairs(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[tuple[int, Pair] | BadRow]:
    """The pairs of a file as `read_pairs` has them, each with the number of its row."""
    seen: dict[str, str] = {}
    for item in read_rows(path):
        if isinstance(item, BadRow):
            yield item
            continue
        number, row = item
        try:
            pair = to_pair(row, columns or {})
        except ValueError as error:
            yield BadRow(number, str(error))
            continue
        content = digest([pair.prompt, pair.completion_a, pair.completion_b])
        if seen.setdefault(pair.pair_id, content) != content:
            yield BadRow(number, f"pair_id {short(pair.pair_id)} stands on an earlier row with another text")
        else:
            yield number, pair


def to_pair(row: Row, columns: Mapping[str, str]) -> Pair:
    """One row as a pair.

    Raises:
        ValueError: what is wrong with the row, for people.
    """
    rest = dict(row)
    found = {name: _take(rest, columns.get(name, name)) for name in PAIR_COLUMNS}
    absent = [name for name in REQUIRED if found[name] is None]
    if absent:
        there = ", ".join(short(name) for name in sorted(row)[:12])
        raise ValueError(
            f"{absent[0]} is missing; the row has: {there or 'nothing'} (other names: --map {absent[0]}=NAME)"
        )
    prompt, a, b = (_text(name, found[name]) for name in REQUIRED)
    if a == b:
        raise ValueError("completion_a and completion_b are the same; there is nothing to compare")
    pair_id = _id(found["pair_id"]) or f"p-{digest([prompt, a, b])[:20]}"
    printable("extra fields", rest)
    return Pair(pair_id, prompt, a, b, _category(found["category"]), _gold(found["gold"]), rest)


def _take(row: Row, name: str) -> Any:
    """Remove and return a column; a dot goes into an object, which stays in the row."""
    if name in row:
        return row.pop(name)
    head, dot, tail = name.partition(".")
    inner = row.get(head) if dot else None
    return _take(dict(inner), tail) if isinstance(inner, dict) else None


def _text(name: str, value: Any) -> Text:
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"{name} is empty")
    elif isinstance(value, list):
        _messages(name, value)
    else:
        raise ValueError(f"{name} must be text or chat messages, not {type(value).__name__}")
    printable(name, value)
    text: Text = value
    return text


def _messages(name: str, messages: list[Any]) -> None:
    for number, message in enumerate(messages, 1):
        where = f"message {number} of {name}"
        if not isinstance(message, dict):
            raise ValueError(f"{where} is not an object with role and content")
        role = message.get("role")
        if not isinstance(role, str) or not role.strip():
            raise ValueError(f"{where} has no role")
        if not isinstance(message.get("content"), (str, list, type(None))):
            raise ValueError(f"the content of {where} is neither text nor a list of parts")
        calls = message.get("tool_calls")
        if not isinstance(calls, (list, type(None))):
            raise ValueError(f"tool_calls of {where} is not a list")
        for call in calls or ():
            _tool_call(where, call)
    filled = ("content", "tool_calls", "function_call", "refusal", "reasoning_content")
    if not any(_says_something(message.get(field)) for message in messages for field in filled):
        raise ValueError(f"{name} is empty: its messages have no content")


def _tool_call(where: str, call: Any) -> None:
    """Refuse what no dataset can hold: there a call is an object, its id and its function's name are text."""
    if not isinstance(call, dict) or not isinstance(function := call.get("function", call), dict):
        raise ValueError(f"a tool call of {where} is not an object with a function")
    for field, value in (("id", call.get("id")), ("name", function.get("name"))):
        if not isinstance(value, (str, type(None))):
            raise ValueError(f"the {field} of a tool call of {where} is not text, but {short(value)}")


def _says_something(value: Any) -> bool:
    """Whether a part of a message is more than blanks."""
    match value:
        case str():
            return bool(value.strip())
        case list():
            return any(map(_says_something, value))
        case {"type": "text", "text": text}:
            return _says_something(text)
    return bool(value)


def printable(name: str, value: Any) -> None:
    """Refuse what neither a judge nor the store can take."""
    match value:
        case str():
            if "\0" in value:
                raise ValueError(f"{name} has a NUL character")
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError(
                    f"{name} has half of a surrogate pair (\\ud800 to \\udfff), which is not text"
                ) from None
        case list():
            for inner in value:
                printable(name, inner)
        case dict():
            for key, inner in value.items():
                printable(name, key)
                printable(name, inner)


def _id(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"pair_id must be text, not {type(value).__name__}")
    text = str(value)
    printable("pair_id", text)
    if not text.strip() or len(text) > 1000:
        raise ValueError("pair_id is empty" if not text.strip() else "pair_id is longer than 1,000 characters")
    return text


def _category(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"category must be text, not {type(value).__name__}")
    printable("category", str(value))
    return str(value)


def _gold(value: Any) -> Verdict | None:
    if value is None:
        return None
    gold = value.strip().lower() if isinstance(value, str) else None
    if gold not in ("a", "b", "tie"):
        raise ValueError(f"gold must be a, b, tie or null, not {short(value)}")
    return Verdict(gold)


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
