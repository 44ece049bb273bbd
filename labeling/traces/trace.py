"""The one normal form of a production trace, and how the fields of a record become it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from consensus.nouns import digest
from labeling.pairs import printable
from labeling.traces.chat import Message, messages, split
from labeling.traces.names import Convention, Why
from labeling.traces.times import instant
from labeling.traces.tools import tool_definitions

LONGEST_VALUE = 2000  # characters of a text among the metadata


@dataclass(frozen=True, slots=True)
class Outcome:
    """What production said of an answer: a user's thumb, a ticket that was solved, a person's review.

    Attributes:
        value: a number, a truth, or a category's name.
        source: who said it, in the export's word (Langfuse: `API`, `ANNOTATION`).
    """

    name: str
    value: float | bool | str
    source: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One call of a model in production: what it was asked, and what it answered.

    Attributes:
        prompt: OpenAI chat messages; the last is a user's or a tool's turn, where there is any.
        completion: the answer in the same form: mostly one message, more where an agent's whole run was recorded; empty
            where the export holds none.
        tools: what the model could call, in OpenAI's form.
        model: the one that answered, else the one that was asked for.
        metadata: all else that the record says, flat or nested.
        flaws: what is wrong with it, though it could be used.
    """

    prompt: list[Message]
    completion: list[Message]
    convention: Convention
    tools: list[dict[str, Any]] = field(default_factory=list)
    model: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    trace_id: str | None = None
    span_id: str | None = None
    conversation_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    flaws: tuple[str, ...] = ()

    @property
    def prompt_id(self) -> str:
        """A hash of the prompt, as pairs have it."""
        return digest(self.prompt)[:16]


@dataclass(frozen=True, slots=True)
class Left:
    """A record that is in order, but no call that could be used."""

    why: Why
    convention: Convention


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is damaged; the reason is for people."""

    reason: str


class Place(NamedTuple):
    """Where a record stands; rows count as `BadRow` has them."""

    file: Path
    row: int


Found = tuple[Place, Trace | Left | Outcome | Refused]
"""What became of one record."""


MISBUILT = (ValueError, RecursionError, TypeError, AttributeError, LookupError, OverflowError)
"""What reading a record raises that is not built as its format has it: there are more ways than could be foreseen."""


def refusal(error: Exception, name: str = "") -> Refused:
    """Why a record was refused; `name` says which of several in a row it is."""
    reason = str(error) if type(error) is ValueError else f"it is not built as its format has it ({error!r})"[:200]
    if isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    return Refused(f"{name}: {reason}" if name else reason)


def attempt(at: Place, make: Callable[[], Trace | Left | Outcome], name: str = "") -> Found:
    """What `make` makes of a record, or why it could not."""
    try:
        return at, make()
    except MISBUILT as error:
        return at, refusal(error, name)


@dataclass(slots=True)
class Raw:
    """The fields of a trace as a record has them, in whatever form; `trace` makes the normal form of it."""

    convention: Convention
    prompt: Any = None
    completion: Any = None
    system: Any = None
    tools: Any = None
    model: Any = None
    started_at: Any = None
    ended_at: Any = None
    trace_id: Any = None
    span_id: Any = None
    conversation_id: Any = None
    tags: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    outcomes: Sequence[Outcome] = ()
    failed: bool = False

    def trace(self) -> Trace | Left:
        """The normal form.

        Raises:
            ValueError: what is wrong with the record, for people.
        """
        said = _part("prompt", self.prompt, "user")
        if system := _part("system instructions", self.system, "system"):
            said = said if said[: len(system)] == system else system + said
        prompt, begun = split(said)
        answer = begun + _part("completion", self.completion, "assistant")
        if self.failed and not answer:
            return Left(Why.FAILED, self.convention)
        if not prompt:
            return Left(Why.NO_CONTENT, self.convention)
        flaws: list[str] = []
        started, ended = _times(self.started_at, self.ended_at, flaws)
        trace = Trace(
            prompt=prompt,
            completion=answer,
            convention=self.convention,
            tools=_tools(self.tools, flaws),
            model=_name("model", self.model, flaws),
            started_at=started,
            ended_at=ended,
            trace_id=_name("trace id", self.trace_id, flaws),
            span_id=_name("span id", self.span_id, flaws),
            conversation_id=_name("conversation id", self.conversation_id, flaws),
            tags=_tags(self.tags),
            metadata=_metadata(self.metadata),
            outcomes=tuple(self.outcomes),
            flaws=tuple(flaws),
        )
        _check_text([prompt, answer, trace.tools])
        return trace


def _part(what: str, value: Any, role: str) -> list[Message]:
    try:
        return messages(value, role)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _check_text(value: Any) -> None:
    """Refuse what neither a judge nor the store can take: characters that are none, and what has no bottom."""
    try:
        if b"\\u0000" not in orjson.dumps(value):
            return
    except (TypeError, orjson.JSONEncodeError):  # half of a surrogate pair, a large integer, a key that is no text
        pass
    printable("it", value)


def _times(start: Any, end: Any, flaws: list[str]) -> tuple[datetime | None, datetime | None]:
    found: list[datetime | None] = []
    for what, value in (("start", start), ("end", end)):
        try:
            found.append(instant(value))
        except ValueError as error:
            flaws.append(f"its {what} time is left out: {error}")
            found.append(None)
    started, ended = found
    if started and ended and ended < started:
        flaws.append("its end time is left out: it is before its start")
        ended = None
    return started, ended


def _tools(value: Any, flaws: list[str]) -> list[dict[str, Any]]:
    try:
        return tool_definitions(value)
    except ValueError as error:
        flaws.append(f"its tools are left out: {error}")
        return []


def _name(what: str, value: Any, flaws: list[str]) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        flaws.append(f"its {what} is left out: it is no text")
        return None
    try:
        printable(what, str(value))
    except ValueError as error:
        flaws.append(f"its {what} is left out: {error}")
        return None
    return str(value)


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    return tuple(str(tag) for tag in value if isinstance(tag, (str, int))) if isinstance(value, list) else ()


def _metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """What says something, and is no content."""
    kept = {key: _plain(value, 4) for key, value in values.items()}
    return {key: value for key, value in kept.items() if value not in (None, "", [], {})}


def _plain(value: Any, levels: int) -> Any:
    """A value that any table takes: no text that is none, none longer than it needs to be, nothing without a bottom."""
    match value:
        case str():
            text = value[:LONGEST_VALUE].replace("\0", "")
            return text if text.isascii() else text.encode("utf-8", "replace").decode()
        case float():
            return value if math.isfinite(value) else None
        case dict() if levels:
            return {str(key): _plain(inner, levels - 1) for key, inner in value.items()}
        case list() if levels:
            return [_plain(inner, levels - 1) for inner in value]
        case dict() | list():
            return None
    return value


def pick(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of these that is there and says something."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None
