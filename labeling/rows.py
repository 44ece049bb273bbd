"""Rows out of JSONL, JSON, CSV and Parquet files; a row that cannot be read is a `BadRow` beside the good ones."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from consensus.errors import UsageError
from labeling.jsontext import Parse, quick_json, strict_json

Row = dict[str, Any]
_CHAT = re.compile(r"\s*\[\s*\{")
_BLANK = b" \t\r\n\xef\xbb\xbf"  # and the byte order mark


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
    """The rows of a file, by its ending (.jsonl, .ndjson, .json, .csv, .parquet; all but the last also with .gz behind).

    Raises:
        UsageError: the file as a whole cannot be read.
    """
    return _read(path, _json, strict_json)


def read_records(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    """The rows of a file that a program wrote: like `read_rows`, and several times as fast.

    A .json file may also hold one object, or one on each line, as the OpenTelemetry collector writes it. Of a key given
    twice the last counts.

    Raises:
        UsageError: the file as a whole cannot be read.
    """
    return _read(path, _json_of_any_shape, quick_json)


def _read(
    path: Path, read_json: Callable[[Path, Parse], Iterator[tuple[int, Row] | BadRow]], parse: Parse
) -> Iterator[tuple[int, Row] | BadRow]:
    readers: dict[str, Callable[[], Iterator[tuple[int, Row] | BadRow]]] = {
        ".jsonl": lambda: _jsonl(path, parse),
        ".ndjson": lambda: _jsonl(path, parse),
        ".json": lambda: read_json(path, parse),
        ".csv": lambda: _csv(path),
        ".parquet": lambda: _parquet(path),
    }
    packed = path.suffix.lower() == ".gz"
    ending = (path.with_suffix("") if packed else path).suffix.lower()
    reader = None if packed and ending == ".parquet" else readers.get(ending)
    if reader is None:
        raise UsageError(
            f"cannot read {path}: its name must end in {', '.join(readers)}, or in .gz behind one of these"
        )
    try:
        if not path.is_file():
            raise UsageError(f"{path} is a folder, not a file" if path.is_dir() else f"there is no file {path}")
        with _opened(path) as file:
            if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                raise UsageError(f"cannot read {path}: it is UTF-16; save it as UTF-8")
        yield from reader()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def _opened(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked if it is gzip by its name."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _jsonl(path: Path, parse: Parse) -> Iterator[tuple[int, Row] | BadRow]:
    with _opened(path) as file:
        for number, line in _lines(file):
            if line is None:
                yield BadRow(number, "the gzip file is cut or damaged here; nothing after this row could be read")
                return
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield _object(number, parse(text))
            except UnicodeDecodeError as error:
                yield BadRow(number, f"not UTF-8 at byte {error.start + 1}")
            except ValueError as error:
                yield BadRow(number, f"not JSON: {error}")


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a file from 1; None in place of the one where a packed file breaks."""
    lines, number = enumerate(file, 1), 0
    try:
        for number, line in lines:
            yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield number + 1, None


def _object(number: int, value: Any) -> tuple[int, Row] | BadRow:
    return (number, value) if isinstance(value, dict) else BadRow(number, f"a row is an object, not {_kind(value)}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _json_of_any_shape(path: Path, parse: Parse) -> Iterator[tuple[int, Row] | BadRow]:
    """An array of objects, one object, or one object a line: the first line tells."""
    with _opened(path) as file:
        first = next((line for line in file if line.strip(_BLANK)), b"").strip(_BLANK)
    if not first.startswith(b"{"):
        return _json(path, parse)
    return _lone(path, parse) if first.endswith((b"{", b"[", b",")) else _jsonl(path, parse)


def _whole(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read()


def _lone(path: Path, parse: Parse) -> Iterator[tuple[int, Row] | BadRow]:
    """One object over many lines."""
    try:
        yield _object(1, parse(_whole(path).decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        yield BadRow(1, f"not UTF-8 at byte {error.start + 1}")
    except ValueError as error:
        yield BadRow(1, f"not JSON: {error}")


def _json(path: Path, parse: Parse) -> Iterator[tuple[int, Row] | BadRow]:
    """An array of objects; where it breaks, the objects before the break are kept."""
    try:
        text = _whole(path).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: not UTF-8 at byte {error.start + 1}") from None
    if not text.startswith("["):
        raise UsageError(f"cannot read {path}: a .json file holds one array of objects; one object a line is .jsonl")
    finder, at, number = json.JSONDecoder(strict=False, parse_int=str), 1, 0  # finds where a row ends, good or bad
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        number += 1
        if text[at : at + 1] == "]":
            if at + 1 < len(text):
                yield BadRow(number, "the array has ended before it; nothing after the array was read")
            return
        try:
            _, end = finder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield BadRow(number, f"not JSON: {error}; nothing after this row could be read")
            return
        try:
            yield _object(number, parse(text[at:end]))
        except ValueError as error:
            yield BadRow(number, f"not JSON: {error}")
        at = end


def _csv(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    """Where the quotes go wrong, the rows before are kept: which line begins the next row is not known."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with io.TextIOWrapper(_opened(path), "utf-8-sig", errors="surrogateescape", newline="") as file:
        lines, number = filter(None, csv.reader(file, strict=True)), 0  # without blank lines
        try:
            header = next(lines, [])
            if not _utf8(header):
                raise UsageError(f"cannot read {path}: its header is not UTF-8")
            if twice := [name for name in header if header.count(name) > 1]:
                raise UsageError(f"cannot read {path}: it has two columns {twice[0][:60]!r}")
            for cells in lines:
                number += 1
                yield _cells(number, header, cells)
        except csv.Error as error:
            yield BadRow(number + 1, f"not CSV: {error}; nothing after this row could be read")


def _cells(number: int, header: list[str], cells: list[str]) -> tuple[int, Row] | BadRow:
    if len(cells) != len(header):
        return BadRow(number, f"it has {len(cells)} cells, the header has {len(header)}")
    if not _utf8(cells):
        return BadRow(number, "not UTF-8")
    try:
        return number, {name: _cell(name, text) for name, text in zip(header, cells, strict=True)}
    except ValueError as error:
        return BadRow(number, str(error))


def _utf8(cells: list[str]) -> bool:
    """Whether the file has UTF-8 there; bytes that are not came as surrogates."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _cell(name: str, text: str) -> Any:
    """A CSV cell: chat messages as JSON, an empty cell as null, all else as text."""
    if _CHAT.match(text) and '"role"' in text:
        try:
            value = strict_json(text)
        except ValueError as error:
            raise ValueError(f"{name} begins like chat messages, but is not JSON: {error}") from None
        if any("role" in message for message in value if isinstance(message, dict)):
            return value
    return text or None


def _parquet(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    """Where a part of the file is damaged, the rows before are kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if twice := [name for name in names if names.count(name) > 1]:
                raise UsageError(f"cannot read {path}: it has two columns {twice[0][:60]!r}")
            for group in range(file.num_row_groups):  # a batch of several would be lost if one is damaged
                for batch in file.iter_batches(batch_size=1000, row_groups=[group]):
                    for row in _records(batch):
                        number += 1
                        yield _record(number, row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if not number:
            raise UsageError(f"cannot read {path}: {_first_line(error)}") from None
        yield BadRow(number + 1, f"cannot be read: {_first_line(error)}; nothing after this row could be read")


def _records(batch: Any) -> Iterator[Row | Exception]:
    """The rows of a batch; the error in place of one that Python has no value for (text not UTF-8, the year 10000)."""
    import pyarrow as pa

    for at, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":  # Python has none so fine
            batch = batch.set_column(at, field.name, batch.column(at).cast(pa.string()))
    try:
        yield from batch.to_pylist(maps_as_pydicts="strict")
    except (ValueError, OverflowError, KeyError) as error:
        if batch.num_rows == 1:
            yield error
        else:
            for at in range(batch.num_rows):
                yield from _records(batch.slice(at, 1))


def _record(number: int, row: Row | Exception) -> tuple[int, Row] | BadRow:
    if isinstance(row, Exception):
        return BadRow(number, f"cannot be read: {_first_line(row)}")
    try:
        return number, {key: _plain(value) for key, value in row.items()}
    except UnicodeDecodeError:
        return BadRow(number, "it holds bytes that are not UTF-8")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _plain(value: Any) -> Any:
    """A Parquet value as JSON has it; struct fields that are null are left out, as Parquet fills them in."""
    match value:
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_plain(inner) for inner in value]
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return value.decode()
        case str() | int() | None:
            return value
    return str(value)
