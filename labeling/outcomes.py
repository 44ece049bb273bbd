"""Production's outcomes out of files: one a row, or several in columns; every row that is none is reported with the reason."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consensus.outcomes import JUDGED, Outcome
from consensus.sections.inputs import OUTCOME_COLUMNS
from labeling.pairs import printable, short
from labeling.rows import BadRow, Row
from labeling.traces.times import instant

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "checkpoint": ("checkpoint", "model", "cycle"),
    "request_id": ("request_id", "trace_id"),
    "conversation_id": ("conversation_id", "session_id"),
    "at": ("at", "timestamp"),
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class OutcomeReader:
    """Reads rows of `{checkpoint, metric, value, n, request_id, conversation_id, at, source}`.

    A row without `metric` and `value` has a metric in every other column that holds numbers. `value` under another name,
    without a column for the metric, reads that column alone.

    Args:
        columns: our name to the file's name, where they differ.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self._seen: dict[int, float] = {}
        self._numeric: set[str] = set()
        self._wordy: dict[str, array[int]] = {}

    @property
    def left_out(self) -> list[str]:
        """Columns that could have been metrics, but held no number."""
        return sorted(name for name in self._wordy if name not in self._numeric)

    def read(self, rows: Iterable[tuple[int, Row] | BadRow]) -> Iterator[Outcome | BadRow]:
        """The outcomes of the rows, and at the end those cells of a metric's column that are no number."""
        for item in rows:
            if isinstance(item, BadRow):
                yield item
            else:
                yield from self._row(*item)
        for name in sorted(self._numeric & self._wordy.keys()):
            yield from (
                BadRow(number, f"{short(name)} is neither a number nor true or false") for number in self._wordy[name]
            )

    def _row(self, number: int, row: Row) -> Iterator[Outcome | BadRow]:
        try:
            said, rest = self._fields(row)
            found = self._outcomes(number, said, rest)
        except ValueError as error:
            yield BadRow(number, str(error))
            return
        for outcome in found:
            yield outcome if (wrong := self._twice(outcome)) is None else BadRow(number, wrong)

    def _fields(self, row: Row) -> tuple[dict[str, Any], Row]:
        """What the row says under our names, and its other columns."""
        rest, said = dict(row), {}
        for ours in OUTCOME_COLUMNS:
            names = (self._columns[ours],) if ours in self._columns else OTHER_NAMES.get(ours, (ours,))
            name = next((name for name in names if row.get(name) not in (None, "")), None)
            said[ours] = row[name] if name else None
            for taken in names:
                rest.pop(taken, None)
        return said, rest

    def _outcomes(self, number: int, said: Mapping[str, Any], rest: Row) -> list[Outcome]:
        if str(said["source"] or "").upper() == JUDGED:
            raise ValueError(f"source {JUDGED}: it is a score by an LLM judge, which is no production outcome")
        request = _name("request_id", said["request_id"])
        about: dict[str, Any] = {
            "checkpoint": _needed("checkpoint", said["checkpoint"]),
            "n": _count(said["n"], request),
            "request_id": request,
            "conversation_id": _name("conversation_id", said["conversation_id"]),
            "at": instant(said["at"]),
            "source": _name("source", said["source"]) or "file",
        }
        metric, value, alone = said["metric"], said["value"], self._columns.get("value")
        if metric is None and alone:
            return [] if value is None else [Outcome(metric=alone, value=_value(value), **about)]
        if metric is not None or value is not None:
            return [Outcome(metric=_needed("metric", metric), value=_value(value), **about)]
        return [Outcome(metric=_needed("metric", name), value=cell, **about) for name, cell in self._wide(number, rest)]

    def _wide(self, number: int, rest: Row) -> Iterator[tuple[str, float]]:
        for name, cell in rest.items():
            if cell is None or cell == "":
                continue
            if (value := numeric(cell)) is None:
                self._wordy.setdefault(name, array("Q")).append(number)
            else:
                self._numeric.add(name)
                yield name, value

    def _twice(self, outcome: Outcome) -> str | None:
        """What is wrong with saying two things of one request, or of one checkpoint at one time."""
        key = (outcome.checkpoint, outcome.metric, outcome.request_id, str(outcome.at))
        first = self._seen.setdefault(hash(key), outcome.value)
        if first == outcome.value:
            return None
        if outcome.request_id:
            return f"an earlier row says {first:g} of this request, checkpoint and metric, at the same time or none"
        return (
            f"an earlier row says {first:g} of this checkpoint and metric; a single request needs a request_id, and the mean of "
            "another time its 'at'"
        )


def numeric(value: Any) -> float | None:
    """A number, or 1 and 0 for true and false; None for what is neither."""
    match value:
        case bool():
            return float(value)
        case int() | float():
            try:
                return float(value) if math.isfinite(value) else None
            except OverflowError:
                return None
        case str():
            text = value.strip().lower()
            if text in ("true", "false"):
                return float(text == "true")
            number = float(text) if _NUMBER.fullmatch(text) else math.inf
            return number if math.isfinite(number) else None
    return None


def _value(value: Any) -> float:
    if value is None:
        raise ValueError("value is missing (another name: --map value=NAME)")
    if (number := numeric(value)) is None:
        raise ValueError(f"value must be a number, or true or false, not {short(value)}")
    return number


def _needed(field: str, value: Any) -> str:
    if (name := _name(field, value)) is None:
        raise ValueError(f"{field} is missing (another name: --map {field}=NAME)")
    return name


def _name(field: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{field} must be text, not {short(value)}")
    text = str(value).strip()
    printable(field, text)
    if not text or len(text) > 1000:
        raise ValueError(f"{field} is {'longer than 1,000 characters' if text else 'empty'}")
    return text


def _count(value: Any, request: str | None) -> int | None:
    """The requests of a mean; of one request 1."""
    if value is None:
        return None if request is None else 1
    number = None if isinstance(value, bool) else numeric(value)
    if number is None or number < 1 or number != int(number) or number > 2**53:
        raise ValueError(f"n must be a whole number from 1, not {short(value)}")
    if request is not None and number != 1:
        raise ValueError(f"n is {int(number)}, but the row has a request_id, and is of one request")
    return int(number)
