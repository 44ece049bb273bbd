"""What a judge is asked: the rubric first and unchanging, then prompt and completions, verbatim between fences.

The fence carries a nonce that is derived from the cycle's seed, the cell (judge, pair, order) and the judged text itself:
no completion can contain it, and repeated calls on one cell are byte-identical (else a flip audit would measure the nonce).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Ballot, Pair, Shown, Text, digest
from consensus.shipped import shipped

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Rubric:
    """The text that every judge of a cycle reads first, and the axes it scores."""

    text: str
    axes: tuple[str, ...] = ()

    @classmethod
    def of(cls, cycle: Cycle) -> Rubric:
        """The rubric that a cycle names, or the shipped one.

        Raises:
            UsageError: its file cannot be read or is empty.
        """
        file = cycle.rubric.file or shipped("rubrics/pairwise.md")
        try:
            text = file.read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the rubric {file}: {error}") from None
        if not text or "\0" in text:
            raise UsageError(f"the rubric {file} {'has NUL characters' if text else 'is empty'}")
        return cls(text, cycle.rubric.axes)

    @cached_property
    def system(self) -> str:
        """The unchanging part of the request, first so that providers' prompt caches serve it."""
        if not self.axes:
            return self.text
        example = ", ".join(f'{_json(axis)}: {{"A": 1-5, "B": 1-5}}' for axis in self.axes)
        return (
            f'{self.text}\nAdd "scores" to the object, 1 (poor) to 5 (excellent) per axis: {{"scores": {{{example}}}}}'
        )

    @property
    def schema(self) -> dict[str, Any]:
        """The reply contract as a JSON schema, for providers that enforce one."""
        properties: dict[str, Any] = {"reasoning": {"type": "string"}}
        if self.axes:
            score = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
            both = _object({"A": score, "B": score})
            properties["scores"] = _object(dict.fromkeys(self.axes, both))
        properties["verdict"] = {"type": "string", "enum": ["A", "B", "tie"]}
        return _object(properties)

    def messages(self, pair: Pair, ballot: Ballot, *, seed: int) -> Messages:
        """The request for one ballot; the same bytes for every repeat of it."""
        first, second = pair.completion_a, pair.completion_b
        if ballot.shown is Shown.BA:
            first, second = second, first
        parts = {"prompt": render(pair.prompt), "completion A": render(first), "completion B": render(second)}
        nonce = fence_nonce(parts, ballot, seed)
        fenced = [f"BEGIN {name} {nonce}\n{text}\nEND {name} {nonce}" for name, text in parts.items()]
        question = (
            f"The code of this message is {nonce}. Which completion is better, A or B? Answer with the JSON object."
        )
        return [
            {"role": "system", "content": self.system},
            {"role": "user", "content": "\n\n".join([*fenced, question])},
        ]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def fence_nonce(parts: dict[str, str], ballot: Ballot, seed: int) -> str:
    """Sixteen hex digits that stand nowhere in the judged text."""
    judged = "\0".join(parts.values())
    text = hashlib.sha256(judged.encode("utf-8", "surrogatepass")).hexdigest()
    salt = 0
    while (nonce := digest([seed, ballot.judge, ballot.pair_id, ballot.shown, salt, text])[:16]) in judged:
        salt += 1
    return nonce


def render(text: Text) -> str:
    """Text as it is; chat messages one after the other, complete, with tool calls, their arguments and results."""
    if isinstance(text, str):
        return text
    return "\n\n".join(_render_message(message) for message in text)


def _render_message(message: dict[str, Any]) -> str:
    role = str(message.get("role", "unknown"))
    names = [str(message[field]) for field in ("name", "tool_call_id") if message.get(field)]
    lines = [f"[{' '.join([role, *names])}]"]
    if reasoning := message.get("reasoning_content"):
        lines.append(f"(reasoning) {reasoning}")
    if content := _render_content(message.get("content")):
        lines.append(content)
    if refusal := message.get("refusal"):
        lines.append(f"(refusal) {refusal}")
    lines += [_render_call(call) for call in message.get("tool_calls") or ()]
    if call := message.get("function_call"):
        lines.append(_render_call({"function": call}))
    return "\n".join(lines)


def _render_content(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Sequence):
        return "\n".join(map(_render_part, content))
    return _json(content)


def _render_part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else _json(part)


def _render_call(call: Any) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return f"-> calls {_json(call)}"
    arguments = function.get("arguments")
    given = arguments if isinstance(arguments, str) else _json(arguments)
    mark = f" ({call['id']})" if call.get("id") else ""
    return f"-> calls {function.get('name')}({given}){mark}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
