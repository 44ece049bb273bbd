"""Traces out of OpenTelemetry: OTLP/JSON with the GenAI names in all their encodings, or with OpenInference's.

Content stands on the span as JSON text, as structured values, or as flat keys; or beside it in events, on the span or in a
file of log records of their own. A span that waits for its events, and events that wait for their span, are held until the
other comes or the files end.
"""

from __future__ import annotations

from collections.abc import Iterator

from labeling.rows import Row
from labeling.traces import genai, openinference
from labeling.traces.names import CHOICE, CONTENT, CONTENT_EVENTS, DETAILS, MESSAGE_EVENTS, Convention, Why
from labeling.traces.spans import Event, Span, otlp_events, otlp_spans, single_span
from labeling.traces.trace import Found, Left, Place, Refused, Trace, attempt

Key = tuple[str | None, str | None]
_SPEAKING = frozenset({DETAILS, CHOICE, *MESSAGE_EVENTS, *CONTENT_EVENTS})


def is_otlp(row: Row) -> bool:
    """Whether a row is an export request."""
    return any(
        f"resource{signal}" in row or f"resource_{signal.lower()}" in row for signal in ("Spans", "Logs", "Metrics")
    )


def is_span(row: Row) -> bool:
    """Whether a row is one span."""
    ids = isinstance(row.get("context"), dict) or "context.span_id" in row
    return ids and ("attributes" in row or any(key.startswith("attributes.") for key in row))


class SpanReader:
    """Reads rows of spans and log records, from as many files as there are."""

    def __init__(self) -> None:
        self._waiting: dict[Key, tuple[Place, Span]] = {}  # for their content
        self._events: dict[Key, tuple[Place, list[Event]]] = {}  # that wait for their span
        self._done: set[int] = set()

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        """What became of the spans and log records of a row, as far as it is known yet."""
        if is_span(row):
            yield from self._span(at, single_span(row))
            return
        for span in otlp_spans(row):
            if isinstance(span, Refused):
                yield at, span
            else:
                yield from self._span(at, span)
        for event in otlp_events(row):
            if isinstance(event, Refused):
                yield at, event
            elif event.name in _SPEAKING:
                yield from self._event(at, event)
            else:
                yield at, Left(Why.NO_MODEL_CALL, Convention.GENAI)

    def rest(self) -> Iterator[Found]:
        """What was still waiting when the files ended."""
        for key, (at, span) in self._waiting.items():
            _, events = self._events.pop(key, (at, []))
            yield _trace(at, span, events)
        for key, (at, events) in self._events.items():
            yield _trace(at, Span(*key, "", events[0].at, events[-1].at, {}), events)
        self._waiting, self._events = {}, {}

    def _span(self, at: Place, span: Span) -> Iterator[Found]:
        key = span.trace_id, span.span_id
        events = self._events.get(key, (at, []))[1]
        if not _is_model_call(span):
            yield at, Left(Why.NO_MODEL_CALL, Convention.GENAI)
        elif None not in key and (hash(key) in self._done or key in self._waiting):
            yield at, Left(Why.REPEATED, Convention.GENAI)
        elif None in key or _speaks(span) or span.failed or _complete(events):
            self._events.pop(key, None)
            self._done.add(hash(key))
            yield _trace(at, span, events)
        else:
            self._waiting[key] = at, span

    def _event(self, at: Place, event: Event) -> Iterator[Found]:
        key = event.trace_id, event.span_id
        if event.span_id is None:  # no other event can be told to belong to it
            alone = Span(event.trace_id, None, "", event.at, None, {})
            whole = event.name == DETAILS
            yield _trace(at, alone, [event]) if whole else (at, Refused(f"the event {event.name} belongs to no span"))
            return
        if hash(key) in self._done:
            return
        events = self._events.setdefault(key, (at, []))[1]
        events.append(event)
        if key in self._waiting and _complete([event]):
            self._done.add(hash(key))
            place, span = self._waiting.pop(key)
            del self._events[key]
            yield _trace(place, span, events)


def _is_model_call(span: Span) -> bool:
    return openinference.is_model_call(span) if openinference.speaks_it(span) else genai.is_model_call(span)


def _speaks(span: Span) -> bool:
    """Whether content stands on the span itself."""
    return any(key.startswith(CONTENT) for key in span.attributes) or any(e.name in _SPEAKING for e in span.events)


def _complete(events: list[Event]) -> bool:
    return any(event.name in (CHOICE, DETAILS) for event in events)


def _trace(at: Place, span: Span, events: list[Event]) -> Found:
    return attempt(at, lambda: _read(span, [*span.events, *events]), f"span {span.span_id or 'without an id'}")


def _read(span: Span, events: list[Event]) -> Trace | Left:
    raw = openinference.raw(span) if openinference.speaks_it(span) else genai.raw(span, events)
    return raw.trace()
