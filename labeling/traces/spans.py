"""Spans and events out of OTLP/JSON, and out of rows that hold one span each."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labeling.rows import Row
from labeling.traces.names import EVENT_NAME, INSTRUMENT_SCOPE
from labeling.traces.trace import MISBUILT, Refused, refusal

_HEX = re.compile(r"(0x)?[0-9a-fA-F]+")
DEEPEST_KEY = 20  # dots in a flat key
_PREFIX = "attributes."  # of the columns of a table of spans

Attributes = dict[str, Any]


@dataclass(slots=True)
class Event:
    """Something that was noted on a span, or a log record that belongs to one."""

    name: str
    attributes: Attributes
    body: Any = None
    trace_id: str | None = None
    span_id: str | None = None
    at: Any = None


@dataclass(slots=True)
class Span:
    """A span with its attributes as a flat mapping.

    Attributes:
        context: what its resource and its scope say.
    """

    trace_id: str | None
    span_id: str | None
    name: str
    started_at: Any
    ended_at: Any
    attributes: Attributes
    events: list[Event] = field(default_factory=list)
    failed: bool = False
    context: Attributes = field(default_factory=dict)


def otlp_spans(row: Row) -> Iterator[Span | Refused]:
    """The spans of one export request; the error in place of one that is damaged."""
    for context, span in _members(row, ("resourceSpans", "scopeSpans", "spans")):
        try:
            yield _span(span, context)
        except MISBUILT as error:
            yield _damaged("span", span, error)


def otlp_events(row: Row) -> Iterator[Event | Refused]:
    """The log records of one export request; the error in place of one that is damaged."""
    for _, record in _members(row, ("resourceLogs", "scopeLogs", "logRecords")):
        try:
            yield _event(record)
        except MISBUILT as error:
            yield _damaged("log record", record, error)


def single_span(row: Row) -> Span:
    """A row that is one span, with its attributes as a mapping or as columns (the SDK's console, Phoenix).

    Raises:
        ValueError: it is damaged.
    """
    context = row.get("context")
    context = context if isinstance(context, dict) else {key[8:]: row[key] for key in row if key.startswith("context.")}
    given = row.get("attributes")
    attributes = dict(given) if isinstance(given, dict) else {}
    attributes |= {key[len(_PREFIX) :]: value for key, value in row.items() if key.startswith(_PREFIX)}
    if kind := row.get("span_kind"):
        attributes.setdefault("openinference.span.kind", kind)
    status = row.get("status_code") or row.get("status")
    status = status.get("status_code") if isinstance(status, dict) else status
    return Span(
        trace_id=hexadecimal(context.get("trace_id"), 16),
        span_id=hexadecimal(context.get("span_id"), 8),
        name=str(row.get("name") or ""),
        started_at=row.get("start_time"),
        ended_at=row.get("end_time"),
        attributes={key: value for key, value in attributes.items() if value is not None},
        failed="ERROR" in str(status),
    )


def _members(row: Row, levels: tuple[str, str, str]) -> Iterator[tuple[Attributes, Any]]:
    """The innermost objects, each with what its resource and scope say."""
    resources, scopes, members = levels
    for resource in _list(row, resources):
        said = _context(resource)
        for scope in _list(resource, scopes):
            name = _object(scope.get("scope")).get("name") if isinstance(scope, dict) else None
            context = said | {INSTRUMENT_SCOPE: name} if name else said
            for member in _list(scope, members):
                yield context, member


def _context(resource: Any) -> Attributes:
    """What a resource says of itself; no span is lost where that is damaged."""
    try:
        return _attributes(resource["resource"]["attributes"])
    except MISBUILT:
        return {}


def _list(value: Any, key: str) -> list[Any]:
    """A list under its name in JSON, or the one in Protobuf; one that is damaged is one damaged member."""
    if not isinstance(value, dict):
        return [value]
    found = value.get(key, value.get(_snake(key)))
    return found if isinstance(found, list) else [] if found is None else [found]


def _snake(key: str) -> str:
    return re.sub(r"([A-Z])", lambda letter: f"_{letter[0].lower()}", key)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _damaged(what: str, member: Any, error: Exception) -> Refused:
    name = member.get("spanId") if isinstance(member, dict) else None
    return refusal(error, f"{what} {name}" if isinstance(name, str) else f"a {what}")


def _span(span: Any, context: Attributes) -> Span:
    if not isinstance(span, dict):
        raise ValueError("it is no object")
    status = _object(span.get("status")).get("code")
    return Span(
        trace_id=hexadecimal(span.get("traceId", span.get("trace_id")), 16),
        span_id=hexadecimal(span.get("spanId", span.get("span_id")), 8),
        name=str(span.get("name") or ""),
        started_at=span.get("startTimeUnixNano", span.get("start_time_unix_nano")),
        ended_at=span.get("endTimeUnixNano", span.get("end_time_unix_nano")),
        attributes=_attributes(span.get("attributes")),
        events=[_event(event) for event in span.get("events") or ()],
        failed=status in (2, "2", "STATUS_CODE_ERROR"),
        context=context,
    )


def _event(event: dict[str, Any]) -> Event:
    attributes = _attributes(event.get("attributes"))
    body = any_value(event.get("body"))
    name = event.get("eventName") or event.get("event_name") or event.get("name") or attributes.get(EVENT_NAME) or ""
    return Event(
        name=str(name),
        attributes=attributes,
        body=body,
        trace_id=hexadecimal(event.get("traceId", event.get("trace_id")), 16),
        span_id=hexadecimal(event.get("spanId", event.get("span_id")), 8),
        at=event.get("timeUnixNano") or event.get("observedTimeUnixNano"),
    )


def _attributes(pairs: Any) -> Attributes:
    found: Attributes = {}
    for pair in pairs or ():
        key, value = pair["key"], pair.get("value")
        text = value.get("stringValue") if isinstance(value, dict) else None
        found[key if isinstance(key, str) else str(key)] = text if text is not None else any_value(value)
    return found


def any_value(value: Any) -> Any:
    """What an OTLP AnyValue says; 64-bit integers come as text."""
    if not isinstance(value, dict):
        return value
    for kind, inner in value.items():
        match kind:
            case "stringValue" | "boolValue" | "bytesValue" | "string_value" | "bool_value" | "bytes_value":
                return inner
            case "doubleValue" | "double_value":
                return inner if isinstance(inner, float) else float(inner)
            case "intValue" | "int_value":
                return int(inner)
            case "arrayValue" | "array_value":
                return [any_value(one) for one in inner.get("values") or ()]
            case "kvlistValue" | "kvlist_value":
                return {pair["key"]: any_value(pair.get("value")) for pair in inner.get("values") or ()}
    return None


def hexadecimal(value: Any, n_bytes: int) -> str | None:
    """An id in small hexadecimal letters; Protobuf's own JSON has ids in base64. Other ids stay as they are."""
    if not isinstance(value, str) or not value:
        return None
    if _HEX.fullmatch(value):
        return value.lower().removeprefix("0x")
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        return value
    return data.hex() if len(data) == n_bytes else value


def tree(attributes: Mapping[str, Any], prefix: str) -> Any:
    """What stands under `prefix` in flat keys, `prefix.0.role`, as lists and objects; None if nothing does.

    Numbers make a list, in their order; gaps are closed. A value that also has keys below it gives way to them.

    Raises:
        ValueError: a key has too many parts.
    """
    root: dict[str, Any] = {}
    start = prefix + "."
    for key, value in attributes.items():
        if not key.startswith(start):
            continue
        *path, leaf = key[len(start) :].split(".")
        if len(path) > DEEPEST_KEY:
            raise ValueError(f"the key {key[:60]!r}... has too many parts")
        at = root
        for step in path:
            below = at.get(step)
            if not isinstance(below, dict):
                below = at[step] = {}
            at = below
        if not isinstance(at.get(leaf), dict):
            at[leaf] = value
    return _listed(root) if root else None


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdecimal() for key in node):
        return [_listed(node[key]) for key in sorted(node, key=int)]
    return {key: _listed(value) for key, value in node.items()}
