"""What of a trace a sample goes by: where its answer begins, its stratum, and the words by which prompts are compared."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from labeling.traces.chat import Message
from labeling.traces.trace import Trace

Stratum = tuple[str | None, ...]
FIELDS = ("model", "tags", "conversation_id", "convention", "trace_id")
LOOKED_AT = 1000  # traces whose fields are named where the one that was asked for is in none


def cut(trace: Trace, at: Literal["turn", "user"]) -> Trace:
    """A trace whose prompt ends with the last turn of a user (or a tool, as readers leave it)."""
    users = [place for place, message in enumerate(trace.prompt, 1) if message["role"] == "user"]
    if at == "turn" or not users or users[-1] == len(trace.prompt):
        return trace
    prompt, begun = trace.prompt[: users[-1]], trace.prompt[users[-1] :]
    return dataclasses.replace(trace, prompt=prompt, completion=begun + trace.completion)


class Strata:
    """Numbers the strata of the traces that it is shown, and counts their calls."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by, self._unseen = by, set(by)
        self._numbers: dict[Stratum, int] = {}
        self._calls: Counter[int] = Counter()
        self._looked_at = 0
        self._metadata: Counter[str] = Counter()
        self._outcomes: set[str] = set()

    def number(self, trace: Trace) -> int:
        """The number of a trace's stratum, from 0, of which the trace is one more call."""
        name = stratum(trace, self._by)
        number = self._numbers.setdefault(name, len(self._numbers))
        self._calls[number] += 1
        if self._unseen:
            self._unseen -= {field for field, value in zip(self._by, name, strict=True) if value is not None}
            self._looked_at += 1
            if self._looked_at <= LOOKED_AT:
                self._metadata.update(trace.metadata.keys())
                self._outcomes |= {f"outcome.{outcome.name}" for outcome in trace.outcomes}
        return number

    @property
    def calls(self) -> dict[Stratum, int]:
        """Every stratum with its calls, by its number."""
        return {name: self._calls[number] for name, number in self._numbers.items()}

    @property
    def missing(self) -> str | None:
        """What is wrong if no trace has one of the fields."""
        if not self._calls or not (name := next((name for name in self._by if name in self._unseen), None)):
            return None
        there = [*FIELDS[:2], *sorted(self._outcomes), *(key for key, _ in self._metadata.most_common(12))]
        return f"no trace has {name!r} to stratify by; there are: {', '.join(there)}"


def stratum(trace: Trace, by: Sequence[str]) -> Stratum:
    """The values of a trace's fields, as text; None where it has none."""
    return tuple(_text(_field(trace, name)) for name in by)


def _field(trace: Trace, name: str) -> Any:
    if name in FIELDS:
        return getattr(trace, name) or None
    if name.startswith("outcome."):
        said = [outcome.value for outcome in trace.outcomes if outcome.name == name.removeprefix("outcome.")]
        return said[-1] if said else None
    return _inside(trace.metadata, name)


def _inside(values: Mapping[str, Any], name: str) -> Any:
    if name in values:
        return values[name]
    head, dot, tail = name.partition(".")
    inner = values.get(head) if dot else None
    return _inside(inner, tail) if isinstance(inner, dict) else None


def _text(value: Any) -> str | None:
    if isinstance(value, (tuple, list)):
        return ", ".join(sorted(str(one) for one in value)) or None
    return None if value is None else str(value)


def spoken(prompt: list[Message]) -> str:
    """What was said without the system's part: most traffic shares that, and would be one near duplicate."""
    said = [message for message in prompt if message["role"] not in ("system", "developer")]
    return "\n".join(f"{message['role']}: {_words(message)}" for message in said or prompt)


def _words(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text") or part) for part in content)
    calls = [f"{call['function']['name']} {call['function']['arguments']}" for call in message.get("tool_calls") or ()]
    return " ".join([content, *calls])
