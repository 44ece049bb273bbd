"""Traces out of LiteLLM: its standard logging payload, as callbacks and buckets have it, and the proxy's spend logs."""

from __future__ import annotations

from collections.abc import Iterator

from labeling.rows import Row
from labeling.traces.chat import is_redacted
from labeling.traces.names import LITELLM, MODEL_CALLS, Convention, Why
from labeling.traces.tools import parsed
from labeling.traces.trace import Found, Left, Place, Raw, Trace, attempt, pick

_KEPT = ("call_type", "model_group", "custom_llm_provider", "end_user", "user", "response_cost", "spend", "cache_hit")


def is_payload(row: Row) -> bool:
    """Whether a row is a logged call."""
    row = _payload(row)
    return "call_type" in row and ("startTime" in row or "model_parameters" in row)


class LiteLLMReader:
    """Reads one logged call a row."""

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        """What became of a row."""
        yield attempt(at, lambda: _call(_payload(row)))

    def rest(self) -> Iterator[Found]:
        """Nothing waits."""
        yield from ()


def _payload(row: Row) -> Row:
    inner = row.get("standard_logging_object")
    return inner if isinstance(inner, dict) else row


def _call(row: Row) -> Trace | Left:
    said = {field: pick(row, names) for field, names in LITELLM.items()}
    if str(said["operation"]).lower() not in MODEL_CALLS:
        return Left(Why.NO_MODEL_CALL, Convention.LITELLM)
    request, parameters = parsed(said["request"]) or {}, parsed(said["parameters"]) or {}
    prompt = parsed(said["prompt"]) or (request if isinstance(request, dict) else {}).get("messages")
    response = parsed(said["completion"])
    if is_redacted(response) or (isinstance(response, dict) and is_redacted(response.get("text"))):
        return Left(Why.NO_CONTENT, Convention.LITELLM)
    given = [place["tools"] for place in (parameters, request) if isinstance(place, dict) and place.get("tools")]
    more = parsed(row.get("metadata"))
    raw = Raw(
        convention=Convention.LITELLM,
        prompt=prompt,
        completion=response or None,
        tools=given[0] if given else None,
        model=(response.get("model") if isinstance(response, dict) else None) or said["model"],
        started_at=said["started_at"],
        ended_at=said["ended_at"],
        trace_id=said["trace_id"],
        span_id=said["span_id"],
        conversation_id=said["conversation_id"],
        tags=parsed(said["tags"]),
        metadata={key: row[key] for key in _KEPT if key in row} | (more if isinstance(more, dict) else {}),
        failed=said["status"] == "failure",
    )
    return raw.trace()
