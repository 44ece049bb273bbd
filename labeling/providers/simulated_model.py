"""A model that answers prompts with made-up text: what generation is rehearsed on, offline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from consensus.errors import UsageError
from consensus.sections.endpoints import Endpoint
from labeling.providers.simulated import Service, draw, text_hash
from labeling.rubric import render

_WORDS = (
    *("the", "order", "was", "sent", "today", "please", "check", "your", "account", "again", "we", "can"),
    *("refund", "it", "within", "five", "days", "or", "send", "another", "one"),
)


class Habits(Service):
    """How a simulated model answers; given under `extra`."""

    same: float = Field(default=0.1, ge=0, le=1, description="share of draws that say what others of the prompt say")
    calls: float = Field(default=0.3, ge=0, le=1, description="share of draws that call a tool, where there are any")
    words: int = Field(default=40, ge=1, le=10_000, description="mean length of an answer")
    drafts: int = Field(
        default=1,
        ge=1,
        le=100,
        description="of so many drafts the best is the answer: it beats k times out of k + 1 a model with one",
    )


@dataclass(frozen=True)
class SimulatedModel:
    """Answers by a hash of what it is asked and of the call's id: the same call brings the same answer."""

    name: str
    habits: Habits

    @classmethod
    def of(cls, config: Endpoint) -> SimulatedModel:
        """The simulated model that a cycle file describes.

        Raises:
            UsageError: its `extra` is no set of habits.
        """
        try:
            return cls(config.model, Habits.model_validate(config.extra))
        except ValidationError as error:
            problem = error.errors()[0]
            where, known = ".".join(map(str, problem["loc"])), ", ".join(Habits.model_fields)
            raise UsageError(
                f"{config.word} {config.label!r}: extra.{where}: {problem['msg']}; a simulated one takes {known}"
            ) from None

    @property
    def service(self) -> Service:
        """What is wrong with the way to it."""
        return self.habits

    def message(self, messages: Sequence[Mapping[str, Any]], key: str, tools: Sequence[Any] = ()) -> dict[str, Any]:
        """The answer to a conversation: the draft that is better where nobody knows better, see `World`."""
        keys = [key, *(f"{key} {n}" for n in range(1, self.habits.drafts))]
        return max((self._draft(messages, each, tools) for each in keys), key=lambda said: text_hash(render([said])))

    def _draft(self, messages: Sequence[Mapping[str, Any]], key: str, tools: Sequence[Any]) -> dict[str, Any]:
        asked = text_hash(json.dumps(messages, sort_keys=True, default=str))
        usual = draw("same", self.name, asked, key) < self.habits.same
        drawn = (self.name, asked, "usual" if usual else key)
        if tools and draw("calls", *drawn) < self.habits.calls:
            tool = tools[int(draw("which", *drawn) * len(tools))]
            arguments = json.dumps({"query": self._text((*drawn, "arguments"), 4)})
            function = {"name": tool["function"]["name"], "arguments": arguments}
            call = {"id": f"call_{text_hash(key)[:12]}", "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        length = round(self.habits.words * (0.5 + draw("length", *drawn)))
        return {"role": "assistant", "content": self._text(drawn, max(1, length))}

    def _text(self, drawn: tuple[str, ...], words: int) -> str:
        said = [_WORDS[int(draw("word", *drawn, at) * len(_WORDS))] for at in range(words)]
        return f"{' '.join(said)}.".capitalize()
