"""What is asked of the model that is trained: a prompt's conversation as a provider takes it, and its draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from consensus.nouns import digest
from consensus.prompts import Completion, Draw, Message, Prompt
from consensus.sections.generation import Generation
from labeling.providers.base import Answer


@dataclass
class Drawing:
    """A prompt whose completions are drawn; what the labeler knows as a task.

    Attributes:
        completions: by their sample's number.
        given_up: draws that brought no answer.
    """

    prompt: Prompt
    model: str
    n: int
    completions: dict[int, list[Message]] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    given_up: set[Draw] = field(default_factory=set)
    pending: int = 0

    @property
    def subject(self) -> Prompt:
        """What is answered."""
        return self.prompt

    @property
    def begun(self) -> bool:
        """Whether a completion is there already."""
        return bool(self.completions)

    def wave(self) -> list[Draw]:
        """All draws that are open: they go out one behind the other, so that a server's prefix cache serves them."""
        open_ = [sample for sample in range(self.n) if sample not in self.completions]
        draws = [Draw(self.prompt.prompt_id, self.model, sample) for sample in open_]
        return [draw for draw in draws if draw not in self.given_up]

    def heard(self, completion: Completion) -> None:
        """A draw was answered."""
        self.completions[completion.draw.sample] = completion.messages


def as_asked(prompt: Prompt, generation: Generation) -> Prompt:
    """The prompt as the model sees it: under another system prompt, without tools, if the cycle file says so."""
    messages = prompt.messages
    if generation.system_prompt is not None:
        first = next((at for at, m in enumerate(messages) if m["role"] not in ("system", "developer")), len(messages))
        messages = [{"role": "system", "content": generation.system_prompt}, *messages[first:]]
    return replace(prompt, messages=messages, tools=prompt.tools if generation.tools else [])


def sendable(messages: Sequence[Message]) -> list[Message]:
    """A conversation as providers take it: without what only an answer has, and with an id for every call of a tool.

    Traces may have lost the ids; a call and its result then get the same one, in their order.
    """
    sent: list[Message] = []
    waiting: list[str] = []
    for at, message in enumerate(messages):
        plain = {name: message[name] for name in ("role", "content", "name") if message.get(name) is not None}
        plain.setdefault("content", message.get("refusal"))
        if calls := message.get("tool_calls"):
            ids = [call.get("id") or f"call_{at}_{number}" for number, call in enumerate(calls)]
            plain["tool_calls"] = [
                {"id": name, "type": "function", "function": dict(call.get("function", call))}
                for name, call in zip(ids, calls, strict=True)
            ]
            waiting = [name for name, call in zip(ids, calls, strict=True) if not call.get("id")]
        if message["role"] == "tool":
            plain["tool_call_id"] = message.get("tool_call_id") or (waiting.pop(0) if waiting else f"call_{at}")
        sent.append(plain)
    return sent


def seed_of(cycle_seed: int, draw: Draw) -> int:
    """A seed of its own for every draw, in [0, 2^31)."""
    return int(digest([cycle_seed, draw.prompt_id, draw.sample])[:8], 16) >> 1


def completion_of(answer: Answer) -> list[Message]:
    """An answer as messages; none if it says nothing."""
    said: Message = {"role": "assistant", "content": _storable(answer.text) or None}
    if answer.tool_calls:
        said["tool_calls"] = [_deep(call) for call in answer.tool_calls]
    return [said] if answer.tool_calls or answer.text.strip() else []


def _deep(value: Any) -> Any:
    match value:
        case str():
            return _storable(value)
        case dict():
            return {key: _deep(inner) for key, inner in value.items() if inner is not None}
    return value


def _storable(text: str) -> str:
    """Text without what neither a table nor a judge can take: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
