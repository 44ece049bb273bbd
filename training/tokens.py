"""Preference rows as tokens, by the model's own chat template, split where TRL splits them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consensus.errors import UsageError

_MARK = "zq_marker_7"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair's token ids; the prompt is what both sequences share before the completions begin."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def length(self) -> int:
        """Of the prompt with the longer completion."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


def tokenize(rows: Iterable[Mapping[str, Any]], tokenizer: Any) -> list[Tokens]:
    """The tokens of preference rows (`prompt`, `chosen`, `rejected` as chat messages, `tools` as JSON or None).

    Tools and tool calls that the chat template would drop are written into the messages' text.

    Raises:
        UsageError: a completion has no tokens, or the template refuses the messages; with the pair's id.
    """
    render = _Renderer(tokenizer)
    return [render.tokens(row) for row in rows]


def as_read(
    messages: Iterable[Mapping[str, Any]], tools: Sequence[Any], tokenizer: Any
) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """A conversation and its tools as `tokenize` gives them to the chat template: what it would drop is in the text."""
    render = _Renderer(tokenizer)
    read = render._readable(messages)
    return (_told(read, list(tools)), None) if tools and not render.renders_tools else (read, list(tools) or None)


class _Renderer:
    """Applies a chat template to rows, and knows what it drops."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        asked: list[dict[str, Any]] = [{"role": "user", "content": "?"}]
        function = {"name": _MARK, "description": "?", "parameters": {"type": "object", "properties": {}}}
        call = {"id": "1", "type": "function", "function": {"name": _MARK, "arguments": "{}"}}
        called = [*asked, {"role": "assistant", "content": "", "tool_calls": [call]}]
        self.renders_tools = self._shows(asked, [{"type": "function", "function": function}])
        self.renders_calls = self._shows(called, None)

    def _shows(self, messages: list[dict[str, Any]], tools: Any) -> bool:
        try:
            return _MARK in self.tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
        except Exception:  # noqa: BLE001 - a template is a program of its own; one that breaks on tools does not render them
            return False

    def tokens(self, row: Mapping[str, Any]) -> Tokens:
        tools = json.loads(row["tools"]) if row.get("tools") else None
        prompt, chosen, rejected = (self._readable(row[side]) for side in ("prompt", "chosen", "rejected"))
        if tools and not self.renders_tools:
            prompt, tools = _told(prompt, tools), None
        try:
            asked = self._ids(prompt, tools, add_generation_prompt=True)
            first, second = (self._ids(prompt + side, tools) for side in (chosen, rejected))
        except Exception as error:  # whatever the template raises
            raise UsageError(f"the model's chat template refuses pair {row.get('pair_id')!r}: {error}") from error
        shared = min(_shared(asked, side) for side in (first, second))
        if shared in (len(first), len(second)) or shared == 0:
            raise UsageError(
                f"pair {row.get('pair_id')!r} has a completion without tokens under the model's chat template"
            )
        return Tokens(asked[:shared], first[shared:], second[shared:])

    def _ids(self, messages: Sequence[Mapping[str, Any]], tools: Any, **how: Any) -> list[int]:
        ids: list[int] = self.tokenizer.apply_chat_template(
            messages, tools=tools, tokenize=True, return_dict=True, **how
        )["input_ids"]
        return ids

    def _readable(self, messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Without the empty fields that columns bring, and with calls as text where the template has no place for them."""
        read = []
        for message in messages:
            plain = {key: value for key, value in message.items() if value is not None}
            if not self.renders_calls and (calls := plain.pop("tool_calls", None)):
                said = "\n".join(
                    f"<tool_call>{json.dumps(call['function'], ensure_ascii=False)}</tool_call>" for call in calls
                )
                plain["content"] = f"{plain.get('content') or ''}\n{said}".strip()
            read.append(plain)
        return read


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens that are the same from the beginning."""
    return next(
        (n for n, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )


def _told(prompt: list[dict[str, Any]], tools: Any) -> list[dict[str, Any]]:
    """The prompt with its tools in the system message."""
    text = f"Tools: {json.dumps(tools, ensure_ascii=False)}"
    if prompt and prompt[0]["role"] == "system":
        return [{**prompt[0], "content": f"{prompt[0]['content']}\n\n{text}"}, *prompt[1:]]
    return [{"role": "system", "content": text}, *prompt]
