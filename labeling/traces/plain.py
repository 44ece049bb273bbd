"""Traces out of plain rows: chat messages, requests with their replies, text; and OpenAI's batch files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from consensus.sections.inputs import TRACE_COLUMNS
from labeling.rows import Row
from labeling.traces.names import PLAIN, Convention, Why
from labeling.traces.tools import parsed
from labeling.traces.trace import Found, Left, Outcome, Place, Raw, Trace, attempt


def is_batch(row: Row) -> bool:
    """Whether a row is a request or an answer of OpenAI's batch files."""
    return "custom_id" in row and ("body" in row or "response" in row)


class PlainReader:
    """Reads one trace a row.

    Args:
        columns: our name to the file's name, where they differ; a dot goes into an object (`response.text`).
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._names = {name: (columns[name],) if name in columns else PLAIN[name] for name in TRACE_COLUMNS}

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        """What became of a row."""
        yield attempt(at, lambda: self._trace(row))

    def rest(self) -> Iterator[Found]:
        """Nothing waits."""
        yield from ()

    def _trace(self, row: Row) -> Trace | Left:
        taken, said = self._fields(row)
        prompt, reply = parsed(said["prompt"]), parsed(said["completion"])
        reply = reply.get("body", reply) if isinstance(reply, dict) else reply
        if prompt is None:
            there = ", ".join(repr(key)[:40] for key in sorted(row)[:12])
            raise ValueError(f"prompt is missing; the row has: {there or 'nothing'} (other names: --map prompt=NAME)")
        raw = Raw(
            Convention.PLAIN,
            prompt=said["prompt"],
            completion=said["completion"],
            tools=said["tools"] or _in(prompt, "tools"),
            model=said["model"] or _in(reply, "model") or _in(prompt, "model"),
            **{
                name: said[name]
                for name in ("started_at", "ended_at", "trace_id", "span_id", "conversation_id", "tags")
            },
            metadata={key: value for key, value in row.items() if key not in taken},
            outcomes=_outcomes(said["outcomes"]),
        )
        return raw.trace()

    def _fields(self, row: Row) -> tuple[set[str], dict[str, Any]]:
        """The columns that became fields, and the fields."""
        taken: set[str] = set()
        said: dict[str, Any] = {}
        for field, names in self._names.items():
            for name in names:
                if row.get(name) not in (None, "") and name not in taken:
                    said[field] = row[name]
                    taken.add(name)
                    break
            else:
                said[field] = _inside(row, names[0])
        return taken, said


class BatchReader:
    """Reads OpenAI's batch files: the answers, with the requests from the input file, in either order."""

    def __init__(self) -> None:
        self._requests: dict[str, tuple[Place, Row]] = {}
        self._answers: dict[str, tuple[Place, Row]] = {}

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        """What became of a row, as far as it is known yet; a request and its answer are one record."""
        name = str(row["custom_id"])
        body = row.get("body")
        if isinstance(body, dict):
            if name in self._answers:
                place, answer = self._answers.pop(name)
                yield attempt(place, lambda: _answered(answer, body))
            elif name in self._requests:
                yield at, Left(Why.REPEATED, Convention.BATCH)
            else:
                self._requests[name] = at, body
        elif name in self._requests:
            request = self._requests.pop(name)[1]
            yield attempt(at, lambda: _answered(row, request))
        elif name in self._answers:
            yield at, Left(Why.REPEATED, Convention.BATCH)
        else:
            self._answers[name] = at, row

    def rest(self) -> Iterator[Found]:
        """Requests that were never answered are prompts all the same; answers without a request are of no use."""
        for name, (at, body) in self._requests.items():
            yield attempt(at, partial(_answered, {"custom_id": name}, body))
        for at, _ in self._answers.values():
            yield at, Left(Why.NO_REQUEST, Convention.BATCH)
        self._requests, self._answers = {}, {}


def _answered(row: Row, request: Row) -> Trace | Left:
    response = row.get("response")
    response = response if isinstance(response, dict) else {}
    reply = response.get("body")
    failed = bool(row.get("error")) or response.get("status_code") not in (None, 200)
    metadata = request.get("metadata")
    raw = Raw(
        Convention.BATCH,
        prompt=request,
        completion=None if failed else reply,
        tools=request.get("tools"),
        model=_in(reply, "model") or request.get("model"),
        started_at=_in(reply, "created") or _in(reply, "created_at"),
        trace_id=row["custom_id"],
        span_id=row.get("id"),
        metadata=metadata if isinstance(metadata, dict) else {},
        failed=failed,
    )
    return raw.trace()


def _in(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _inside(row: Row, name: str) -> Any:
    """What stands under a name with dots."""
    head, dot, tail = name.partition(".")
    inner = row.get(head) if dot else None
    if not isinstance(inner, dict):
        return None
    return inner[tail] if tail in inner else _inside(inner, tail)


def _outcomes(value: Any) -> list[Outcome]:
    """`{name: value}`, or a list of `{name, value, source}`."""
    value = parsed(value)
    if isinstance(value, dict):
        value = [{"name": name, "value": said} for name, said in value.items()]
    if not isinstance(value, list | None):
        raise ValueError("outcomes is neither an object nor a list")
    found = []
    for one in value or ():
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or "value" not in one:
            raise ValueError("an outcome is {name, value}")
        if one["value"] is not None:
            if not isinstance(one["value"], (str, int, float)):
                raise ValueError(f"the value of the outcome {one['name'][:40]!r} is no number, truth or text")
            found.append(Outcome(one["name"], one["value"], str(one.get("source") or "row")))
    return found
