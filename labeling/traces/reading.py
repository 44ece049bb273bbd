"""Reading files of traces in any format, one record at a time, and saying what was used, what was not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from consensus.errors import UsageError
from consensus.sections.inputs import TRACE_COLUMNS
from labeling.rows import BadRow, Row, read_records
from labeling.traces import langfuse, litellm, opentelemetry, plain
from labeling.traces.names import HINTS, Convention, Why
from labeling.traces.trace import MISBUILT, Found, Left, Outcome, Place, Refused, Trace, refusal


class Reader(Protocol):
    """What every format has; records that belong together may stand in several rows and files."""

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        """What became of a row, as far as it is known yet."""

    def rest(self) -> Iterator[Found]:
        """What became of all that waited for something."""


@dataclass
class Reading:
    """What came of some files; `records` is the sum of all that follows it but flawed, unanswered and files.

    Attributes:
        records: spans, rows, scores: whatever was found.
        used: records that became traces.
        outcomes: production outcomes.
        left: records that are in order, but were not used.
        refused: damaged ones, with their rows.
        flawed: traces that were used, with what is wrong with them.
        unanswered: traces that were used and have no completion.
        conventions: traces by how they were written.
    """

    files: list[Path] = field(default_factory=list)
    records: int = 0
    used: int = 0
    outcomes: int = 0
    left: Counter[tuple[Why, Convention]] = field(default_factory=Counter)
    refused: list[tuple[Place, str]] = field(default_factory=list)
    flawed: list[tuple[Place, str]] = field(default_factory=list)
    unanswered: int = 0
    conventions: Counter[Convention] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        """As `--json` prints it."""

        def rows(noted: list[tuple[Place, str]]) -> list[dict[str, Any]]:
            return [{"file": str(at.file), "row": at.row, "reason": reason} for at, reason in noted]

        return {
            "files": [str(file) for file in self.files],
            "records": self.records,
            "used": self.used,
            "unanswered": self.unanswered,
            "outcomes": self.outcomes,
            "conventions": {str(name): count for name, count in self.conventions.most_common()},
            "left": [{"why": str(why), "convention": str(c), "count": n} for (why, c), n in self.left.most_common()],
            "refused": rows(self.refused),
            "flawed": rows(self.flawed),
        }

    def lines(self, most: int = 8) -> Iterator[str]:
        """For people."""
        kinds = ", ".join(f"{count:,} {name}" if len(self.conventions) > 1 else name for name, count in self._kinds())
        yield f"{self.used:,} of {self.records:,} records usable" + (f" ({kinds})" if kinds else "")
        for (why, convention), count in self.left.most_common():
            hint = HINTS.get((why, convention))
            yield f"  {count:,} {why}" + (f": {hint}" if hint else "")
        if self.unanswered:
            yield f"  {self.unanswered:,} of those used have a prompt and no completion"
        if self.outcomes:
            yield f"  {self.outcomes:,} are production outcomes"
        yield from _by_reason("refused", self.refused, most)
        yield from _by_reason("used, with a flaw", self.flawed, most)

    def _kinds(self) -> list[tuple[str, int]]:
        return [(str(name), count) for name, count in self.conventions.most_common()]


def _by_reason(what: str, noted: list[tuple[Place, str]], most: int) -> Iterator[str]:
    by_reason: dict[str, list[Place]] = {}
    for at, reason in noted:
        by_reason.setdefault(reason, []).append(at)
    if noted:
        yield f"  {len(noted):,} {what}"
    for reason, places in list(by_reason.items())[:most]:
        more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
        yield f"    {places[0].file.name} row {places[0].row}{more}: {reason}"
    if len(by_reason) > most:
        yield f"    ... and {len(by_reason) - most:,} more reasons; --json lists every row"


def read_traces(files: Sequence[Path], reading: Reading, columns: Mapping[str, str] | None = None) -> Iterator[Trace]:
    """The traces of files that belong together: spans and their log events, observations and their scores, batches.

    Rows come one at a time; what is held is what waits for its other half, and the scores. A call that is found twice
    counts once. Every record that does not become a trace is counted in `reading`, with the reason.

    Args:
        columns: our name to the file's, where plain rows have other names; every row is plain then.
    Raises:
        UsageError: a file as a whole cannot be read, or a column is none of a trace.
    """
    if unknown := sorted((columns or {}).keys() - set(TRACE_COLUMNS)):
        raise UsageError(f"{unknown[0]!r} is no column of a trace; those are {', '.join(TRACE_COLUMNS)}")
    readers = _Readers(columns or {})
    seen: set[int] = set()
    for file in _scores_first(files):
        reading.files.append(file)
        for item in read_records(file):
            if isinstance(item, BadRow):
                found: Iterable[Found] = [(Place(file, item.row), Refused(item.reason))]
            else:
                found = readers.read(Place(file, item[0]), item[1])
            yield from _counted(found, reading, seen)
    yield from _counted(readers.rest(), reading, seen)


class _Readers:
    """One reader of each format; every row goes to the first that knows its keys."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        spans, batches, calls = opentelemetry.SpanReader(), plain.BatchReader(), litellm.LiteLLMReader()
        observations, rows = langfuse.LangfuseReader(), plain.PlainReader(columns)
        self._known: list[tuple[Callable[[Row], bool], Reader]] = [
            (opentelemetry.is_otlp, spans),
            (opentelemetry.is_span, spans),
            (plain.is_batch, batches),
            (litellm.is_payload, calls),
            (langfuse.is_observation, observations),
            (langfuse.is_score, observations),
            (langfuse.is_trace, observations),
        ]
        self._all: tuple[Reader, ...] = (spans, batches, calls, observations, rows)
        self._rows = rows
        if columns:
            self._known = []

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        page = row.get("data")
        if isinstance(page, list) and ("meta" in row or "next_cursor" in row) and self._known:  # as APIs answer
            for one in page:
                if isinstance(one, dict):
                    yield from self.read(at, one)
                else:
                    yield at, Refused("it is no object")
            return
        reader = next((reader for knows, reader in self._known if knows(row)), self._rows)
        try:
            yield from reader.read(at, row)
        except MISBUILT as error:
            yield at, refusal(error)

    def rest(self) -> Iterator[Found]:
        for reader in self._all:
            yield from reader.rest()


def _counted(found: Iterable[Found], reading: Reading, seen: set[int]) -> Iterator[Trace]:
    """The traces among the records; all of them are counted."""
    for at, what in found:
        reading.records += 1
        match what:
            case Trace():
                key = hash((what.trace_id, what.span_id)) if what.span_id else None
                if key in seen:
                    reading.left[Why.REPEATED, what.convention] += 1
                    continue
                seen.update({key} if key else ())
                reading.used += 1
                reading.unanswered += not what.completion
                reading.conventions[what.convention] += 1
                reading.flawed += [(at, flaw) for flaw in what.flaws]
                yield what
            case Outcome():
                reading.outcomes += 1
            case Left(why, convention):
                reading.left[why, convention] += 1
            case Refused(reason):
                reading.refused.append((at, reason))


def _scores_first(files: Sequence[Path]) -> list[Path]:
    """The files with those of scores in front, since a score counts for the observations that come after it."""
    if len(files) < 2:
        return list(files)

    def later(file: Path) -> bool:
        first = next(iter(read_records(file)), None)
        return first is None or isinstance(first, BadRow) or not langfuse.is_score(first[1])

    return sorted(files, key=later)
