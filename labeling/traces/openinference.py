"""OpenInference's names: spans of kind LLM, with their messages in flat keys or nested."""

from __future__ import annotations

from typing import Any

from labeling.traces.chat import is_redacted
from labeling.traces.genai import metadata
from labeling.traces.names import MODEL_CALLS, OPENINFERENCE, Convention
from labeling.traces.spans import Attributes, Span, tree
from labeling.traces.tools import parsed
from labeling.traces.trace import Raw, pick


def speaks_it(span: Span) -> bool:
    """Whether a span uses these names."""
    return pick(span.attributes, OPENINFERENCE["operation"]) is not None


def is_model_call(span: Span) -> bool:
    """Whether a model was asked to speak: chains, agents, tools and embeddings have spans of their own."""
    return str(pick(span.attributes, OPENINFERENCE["operation"])).lower() in MODEL_CALLS


def raw(span: Span) -> Raw:
    """The fields of a span; where it has no messages, the whole request and reply are read instead.

    Raises:
        ValueError: what is wrong with it.
    """
    said = span.attributes
    more = parsed(pick(said, OPENINFERENCE["metadata"]))
    return Raw(
        convention=Convention.OPENINFERENCE,
        prompt=_messages(said, "prompt") or _whole(pick(said, OPENINFERENCE["request"])),
        completion=_messages(said, "completion")[:1] or _whole(pick(said, OPENINFERENCE["response"])),
        tools=_under(said, "tools"),
        model=pick(said, OPENINFERENCE["model"]),
        started_at=span.started_at,
        ended_at=span.ended_at,
        trace_id=span.trace_id,
        span_id=span.span_id,
        conversation_id=pick(said, OPENINFERENCE["conversation_id"]),
        tags=pick(said, OPENINFERENCE["tags"]),
        metadata=metadata(span) | (more if isinstance(more, dict) else {}),
        failed=span.failed,
    )


def _whole(value: Any) -> Any:
    return None if is_redacted(value) else value


def _under(said: Attributes, field: str) -> Any:
    """What stands under a field's names, nested or in flat keys."""
    for name in OPENINFERENCE[field]:
        found = parsed(said.get(name)) or tree(said, name)
        if found:
            return found
    return None


def _messages(said: Attributes, field: str) -> list[Any]:
    found = _under(said, field)
    messages = [_message(one) for one in found] if isinstance(found, list) else []
    return [message for message in messages if message != {}]


def _message(value: Any) -> Any:
    """`{message: {role, content, contents, tool_calls}}`, of which any level may still have flat keys."""
    if isinstance(value, str):  # a completion model's prompt
        return value
    inner = _unwrapped(value, "message", "prompt", "completion")
    if not isinstance(inner, dict) or isinstance(inner.get("text"), str):
        return inner["text"] if isinstance(inner, dict) else inner
    parts = [_part(part) for part in inner.get("contents") or ()]
    message = {key: inner[key] for key in ("role", "tool_call_id", "name") if inner.get(key)}
    message["content"] = [part for part in parts if part] or inner.get("content")
    if calls := [_unwrapped(call, "tool_call") for call in inner.get("tool_calls") or ()]:
        message["tool_calls"] = calls
    return message


def _part(value: Any) -> Any:
    part = _unwrapped(value, "message_content")
    image = _unwrapped(part.get("image"), "image") if isinstance(part, dict) else None
    if isinstance(image, dict) and image.get("url"):
        return {"type": "image_url", "image_url": {"url": image["url"]}}
    return part


def _unwrapped(value: Any, *names: str) -> Any:
    """What stands under one of the names, with flat keys as objects; the value itself where none is there."""
    if not isinstance(value, dict):
        return value
    if any("." in key for key in value):
        value = tree({f"x.{key}": inner for key, inner in value.items()}, "x")
    return next((value[name] for name in names if name in value), value)
