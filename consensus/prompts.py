"""Between traces and pairs: prompts that were sampled, the completions drawn for them, and both as rows of the store's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from consensus.nouns import Failure, Spent

Message = dict[str, Any]
PROMPT_COLUMNS = (
    *("prompt_id", "messages", "tools", "production", "stratum", "weight", "alike", "outcomes", "model"),
    *("trace_id", "span_id", "conversation_id", "started_at"),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of the traffic.

    Attributes:
        messages, tools: in OpenAI's form.
        production: the answer that production gave; empty without one.
        stratum: the fields by which the sample was stratified, with this prompt's values.
        weight: calls of the traffic that it stands for; None if there was no chance in the drawing.
        alike: calls with the same prompt, this one included.
        outcomes: what production said of its answer.
        model: that answered in production.
    """

    prompt_id: str
    messages: list[Message]
    tools: list[dict[str, Any]] = field(default_factory=list)
    production: list[Message] = field(default_factory=list)
    stratum: Mapping[str, str | None] = field(default_factory=dict)
    weight: float | None = None
    alike: int = 1
    outcomes: Sequence[Mapping[str, Any]] = ()
    model: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    conversation_id: str | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """One completion asked of one model.

    Attributes:
        sample: 0, 1, ... of the same prompt.
    """

    prompt_id: str
    model: str
    sample: int

    @property
    def addressee(self) -> str:
        """Whom it is put to."""
        return self.model


@dataclass(frozen=True, slots=True)
class Completion:
    """A draw that was answered.

    Attributes:
        messages: the answer in OpenAI's form, calls of tools included.
        served_by: the model that answered, by its own word.
        temperature: as sent; None when the model was asked without one.
        finish_reason: the provider's; `length` if it was cut.
    """

    draw: Draw
    messages: list[Message]
    served_by: str | None = None
    temperature: float | None = None
    finish_reason: str | None = None
    spent: Spent = field(default_factory=Spent)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Paired:
    """What became of a prompt's candidates: completions that were drawn, and production's answer."""

    prompt_id: str
    candidates: int
    different: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a cycle's generation has come to; `few` counts the paired prompts with fewer than two different candidates."""

    prompts: int
    completions: int
    cut: int
    failures: int
    paired: int
    few: int
    pairs: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


def as_json(value: object) -> str:
    """A value as JSON, times as text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _text(value: str | None) -> str | None:
    """As `tables` has it: a provider may send half of a surrogate pair, which no table takes."""
    return value and value.encode("utf-8", "replace").decode()


def _utc(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def prompt_row(cycle: str, prompt: Prompt, at: datetime) -> dict[str, Any]:
    """A prompt as a row of `prompts`."""
    parts = ("messages", "tools", "production", "stratum", "outcomes")
    row = {name: getattr(prompt, name) for name in prompt.__dataclass_fields__}
    row |= {name: as_json(row[name] if name != "stratum" else dict(row[name])) for name in parts}
    return row | {"cycle": cycle, "started_at": _utc(prompt.started_at), "created_at": at}


def prompt_of(row: Sequence[Any]) -> Prompt:
    """A row of `prompts`, in the order of `PROMPT_COLUMNS`, as a prompt."""
    told = dict(zip(PROMPT_COLUMNS, row, strict=True))
    told |= {name: json.loads(told[name]) for name in ("messages", "tools", "production", "stratum", "outcomes")}
    started = told["started_at"]
    return Prompt(**told | {"started_at": started and started.replace(tzinfo=UTC)})


def _key(cycle: str, config_hash: str, draw: Draw) -> dict[str, Any]:
    key = {"cycle": cycle, "prompt_id": draw.prompt_id, "model": draw.model}
    return {**key, "config_hash": config_hash, "sample": draw.sample}


def _cost(spent: Spent) -> dict[str, Any]:
    counts = {"prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.completion_tokens}
    return {**counts, "cost_usd": spent.cost_usd, "attempts": spent.attempts}


def completion_row(cycle: str, config_hash: str, completion: Completion) -> dict[str, Any]:
    """A completion as a row of `completions`."""
    return {
        **_key(cycle, config_hash, completion.draw),
        **_cost(completion.spent),
        "messages": _text(as_json(completion.messages)),
        "served_by": _text(completion.served_by),
        "finish_reason": completion.finish_reason,
        "latency_s": completion.spent.latency_s,
        "temperature": completion.temperature,
        "created_at": _utc(completion.created_at),
    }


def failure_row(cycle: str, config_hash: str, failure: Failure[Draw]) -> dict[str, Any]:
    """A failed draw as a row of `completion_failures`."""
    return {
        **_key(cycle, config_hash, failure.ballot),
        **_cost(failure.spent),
        "kind": failure.kind,
        "message": _text(failure.message),
        "created_at": _utc(failure.created_at),
    }
