"""Traces out of Langfuse: exported observations (a row each, with what their trace says) and scores.

Scores with source EVAL come from LLM judges. As production outcomes they would make every comparison of judges with
production circular, so they never become any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labeling.rows import Row
from labeling.traces.chat import messages
from labeling.traces.names import LANGFUSE, LANGFUSE_SCORE, MODEL_CALLS, Convention, Why
from labeling.traces.times import instant
from labeling.traces.tools import parsed
from labeling.traces.trace import Found, Left, Outcome, Place, Raw, Trace, attempt, pick

_TAKEN = {name for names in LANGFUSE.values() for name in names} | {"tool_calls", "toolCalls", "tool_call_names"}
_TAKEN -= {"environment", "level"}


def is_observation(row: Row) -> bool:
    """Whether a row is an observation."""
    known = ("parent_observation_id", "parentObservationId", "provided_model_name", "providedModelName", "project_id")
    return "type" in row and ("trace_id" in row or "traceId" in row) and any(name in row for name in known)


def is_score(row: Row) -> bool:
    """Whether a row is a score."""
    return (
        "source" in row
        and "name" in row
        and ("value" in row or "string_value" in row or "stringValue" in row)
        and ("data_type" in row or "dataType" in row or "observation_id" in row or "observationId" in row)
    )


def is_trace(row: Row) -> bool:
    """Whether a row is a trace of the older exports, whose observations stand in files of their own."""
    return "bookmarked" in row and "type" not in row and ("timestamp" in row or "observations" in row)


class LangfuseReader:
    """Reads observations and scores; a score counts for the observations that come after it."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str], list[Outcome]] = {}

    def read(self, at: Place, row: Row) -> Iterator[Found]:
        """What became of a row."""
        if is_score(row):
            yield attempt(at, lambda: self._score(row))
        elif is_trace(row):
            yield at, Left(Why.NO_MODEL_CALL, Convention.LANGFUSE)
        else:
            yield attempt(at, lambda: self._observation(row))

    def rest(self) -> Iterator[Found]:
        """Nothing waits."""
        yield from ()

    def _score(self, row: Row) -> Outcome | Left:
        said = {field: pick(row, names) for field, names in LANGFUSE_SCORE.items()}
        if str(said["source"]).upper() == "EVAL":
            return Left(Why.JUDGED, Convention.LANGFUSE)
        if said["experiment"]:
            return Left(Why.EXPERIMENT, Convention.LANGFUSE)
        outcome = Outcome(str(said["name"]), _value(said), str(said["source"]), instant(said["at"]))
        level = next((level for level in ("span_id", "trace_id", "conversation_id") if said[level]), None)
        if level is None:
            raise ValueError("the score belongs to no observation, trace or session")
        self._outcomes.setdefault((level, str(said[level])), []).append(outcome)
        return outcome

    def _observation(self, row: Row) -> Trace | Left:
        said = {field: pick(row, names) for field, names in LANGFUSE.items()}
        if str(said["operation"]).lower() not in MODEL_CALLS:
            return Left(Why.NO_MODEL_CALL, Convention.LANGFUSE)
        if str(said["environment"] or "").startswith("langfuse-"):  # its own judges; users may not begin a name so
            return Left(Why.EVALUATOR, Convention.LANGFUSE)
        request, more = parsed(said["prompt"]), parsed(said["metadata"])
        levels = ("span_id", "trace_id", "conversation_id")
        raw = Raw(
            convention=Convention.LANGFUSE,
            prompt=said["prompt"],
            completion=_completion(said["completion"], pick(row, ("tool_calls", "toolCalls"))),
            tools=said["tools"] or (request.get("tools") if isinstance(request, dict) else None),
            model=said["model"],
            started_at=said["started_at"],
            ended_at=said["ended_at"],
            trace_id=said["trace_id"],
            span_id=said["span_id"],
            conversation_id=said["conversation_id"],
            tags=parsed(said["tags"]),
            metadata={k: v for k, v in row.items() if k not in _TAKEN} | (more if isinstance(more, dict) else {}),
            outcomes=[found for level in levels for found in self._outcomes.get((level, str(said[level])), ())],
            failed=said["level"] == "ERROR",
        )
        return raw.trace()


def _completion(output: Any, calls: Any) -> Any:
    """The output; where a message in it does not repeat its calls of tools, those of their own column."""
    calls = [parsed(call) for call in parsed(calls) or ()] if isinstance(parsed(calls), list) else []
    said = messages(output, "assistant")
    if calls and not any("tool_calls" in message for message in said):
        first = said[0] if said else {"role": "assistant", "content": None}
        return [first | {"tool_calls": calls}, *said[1:]]
    return said


def _value(said: dict[str, Any]) -> float | bool | str:
    """A score's value in its own kind; a category's number is only its place in a list."""
    kind, value, text = str(said["kind"]).upper(), said["value"], said["text"]
    if kind in ("CATEGORICAL", "TEXT") or value is None:
        if not isinstance(text, str):
            raise ValueError(f"the score {said['name']!r} has no value")
        return text
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"the score {said['name']!r} is no number: {str(value)[:40]!r}") from None
    return bool(number) if kind == "BOOLEAN" else number
