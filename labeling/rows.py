"""Rows out of JSONL, JSON, CSV and Parquet files; a row that cannot be read is a `BadRow` beside the good ones."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consensus.errors import UsageError

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was refused.

    Attributes:
        row: counted from 1 (in JSONL the line number; in CSV the first row after the header is 1).
        reason: what is wrong with it.
    """

    row: int
    reason: str


def read_rows(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    """The rows of a file, by its ending (.jsonl, .ndjson, .json, .csv, .parquet).

    Raises:
        UsageError: the file as a whole cannot be read.
    """
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"cannot read {path}: its name must end in {', '.join(readers)}")
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    try:
        yield from reader(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None


def strict_json(text: str) -> Any:
    """A JSON value; what strict JSON has not (NaN, lone surrogates, endless nesting) is a ValueError that says so."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:  # only an escape can make a lone surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair (\\ud800 to \\udfff), which is not text") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _jsonl(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise UsageError(f"cannot read {path}: it is UTF-16; save it as UTF-8")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield _object(number, strict_json(text))
            except UnicodeDecodeError as error:
                yield BadRow(number, f"not UTF-8 at byte {error.start + 1}")
            except ValueError as error:
                yield BadRow(number, f"not JSON: {error}")


def _object(number: int, value: Any) -> tuple[int, Row] | BadRow:
    return (number, value) if isinstance(value, dict) else BadRow(number, f"a row is an object, not {_kind(value)}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _json(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    """An array of objects; where it breaks, the objects before the break are kept."""
    try:
        text = path.read_bytes().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: not UTF-8 at byte {error.start + 1}") from None
    if not text.startswith("["):
        raise UsageError(f"cannot read {path}: a .json file holds one array of objects; one object a line is .jsonl")
    decoder, at, number = json.JSONDecoder(), 1, 0
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if text[at : at + 1] == "]":
            return
        number += 1
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"not JSON: {error}; nothing after this row could be read")
            return
        try:
            yield _object(number, strict_json(text[at:end]))
        except ValueError as error:
            yield BadRow(number, f"not JSON: {error}")
        at = end


def _csv(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for number, row in enumerate(reader, 1):
                if None in row or None in row.values():
                    cells = len(row) + len(row.get(None) or ()) - list(row.values()).count(None) - (None in row)
                    yield BadRow(number, f"it has {cells} cells, the header has {len(reader.fieldnames or ())}")
                else:
                    yield number, {key: _cell(value) for key, value in row.items()}
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: not UTF-8 at byte {error.start + 1}") from None
    except csv.Error as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _cell(text: str) -> Any:
    """A CSV cell: chat messages as JSON, an empty cell as null, all else as text."""
    if text.lstrip().startswith("[{"):
        try:
            return strict_json(text)
        except ValueError:
            return text
    return text or None


def _parquet(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {key: _plain(value) for key, value in row.items()}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {str(error).splitlines()[0]}") from None


def _plain(value: Any) -> Any:
    """A Parquet value as JSON has it; struct fields that are null are left out, as Parquet fills them in."""
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
    return str(value)
