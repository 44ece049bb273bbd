"""OpenTelemetry's GenAI names: what a span of a model's call says, in any of the encodings that were ever written."""

from __future__ import annotations

from typing import Any

from labeling.traces.chat import parts_of
from labeling.traces.names import (
    CHOICE,
    CONTENT,
    CONTENT_EVENTS,
    DETAILS,
    EVENT_CONTENT,
    GENAI,
    MESSAGE_EVENTS,
    MODEL_CALLS,
    SECRET,
    Convention,
)
from labeling.traces.spans import Event, Span, tree
from labeling.traces.tools import parsed
from labeling.traces.trace import Raw, pick


def is_model_call(span: Span) -> bool:
    """Whether a model was asked to speak: agents, tools and embeddings have spans of their own."""
    operation = pick(span.attributes, GENAI["operation"])
    if operation is not None:
        return str(operation).lower() in MODEL_CALLS
    return any(key.startswith(CONTENT) and key.startswith("gen_ai.") for key in span.attributes)


def raw(span: Span, events: list[Event]) -> Raw:
    """The fields of a span and of the events that belong to it.

    Raises:
        ValueError: what is wrong with it.
    """
    attributes = dict(span.attributes)
    for event in events:
        if event.name == DETAILS or event.name in CONTENT_EVENTS:
            attributes |= event.attributes
    prompt, completion = parsed(pick(attributes, GENAI["prompt"])), pick(attributes, GENAI["completion"])
    if prompt is None or completion is None:
        asked, answered = _messages_of(events)
        prompt = _flat(attributes, "gen_ai.prompt") or asked if prompt is None else prompt
        completion = _flat(attributes, "gen_ai.completion") or answered if completion is None else completion
    return Raw(
        convention=Convention.GENAI,
        prompt=prompt,
        completion=_first_choice(completion),
        system=_system(pick(attributes, GENAI["system"])),
        tools=pick(attributes, GENAI["tools"]) or tree(attributes, "llm.request.functions"),
        model=pick(attributes, GENAI["model"]),
        started_at=span.started_at,
        ended_at=span.ended_at,
        trace_id=span.trace_id,
        span_id=span.span_id,
        conversation_id=pick(attributes, GENAI["conversation_id"]),
        tags=pick(attributes, GENAI["tags"]),
        metadata=metadata(span),
        failed=span.failed,
    )


def metadata(span: Span) -> dict[str, Any]:
    """What span, scope and resource say beside the content."""
    kept = {key: value for key, value in span.attributes.items() if not key.startswith(CONTENT + SECRET)}
    return span.context | {"span.name": span.name} | kept


def _system(value: Any) -> Any:
    """System instructions come as parts without a message around them."""
    parts = parsed(value)
    return [{"role": "system", "parts": parts}] if isinstance(parts, list) and parts else value


def _first_choice(value: Any) -> Any:
    """Output messages are choices; production saw the first."""
    choices = parsed(value)
    return choices[:1] if isinstance(choices, list) else value


def _flat(attributes: dict[str, Any], prefix: str) -> Any:
    """Messages from flat keys; their content may be the JSON of parts."""
    found = tree(attributes, prefix)
    for message in found if isinstance(found, list) else ():
        if isinstance(message, dict) and "content" in message:
            message["content"] = parts_of(message["content"])
    return found


def _messages_of(events: list[Event]) -> tuple[list[Any], list[Any]]:
    """The messages that events carry one by one, and the first choice."""
    asked: list[Any] = []
    answered: list[Any] = []
    for event in events:
        body = event.body if event.body not in (None, "", {}) else _without_body(event)
        if not isinstance(body, dict):
            body = {"content": body}
        if event.name in MESSAGE_EVENTS:
            asked.append({"role": MESSAGE_EVENTS[event.name], **body})
        elif event.name == CHOICE and body.get("index") in (None, 0) and not answered:
            said = parsed(body.get("message"))
            said = said if isinstance(said, dict) else {"content": said}
            calls = {"tool_calls": body["tool_calls"]} if body.get("tool_calls") else {}
            answered.append({"role": "assistant", **said, **calls})
    return asked, answered


def _without_body(event: Event) -> Any:
    """Events on spans have no body: the content is JSON in one attribute, or the attributes themselves."""
    content = event.attributes.get(EVENT_CONTENT)
    return parsed(content) if content is not None else dict(event.attributes)
