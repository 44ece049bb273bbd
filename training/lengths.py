"""How many tokens a row has, and whether a model's chat template tells it of tools at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from consensus.errors import UsageError
from training.rows import Row


def counter(tokenizer: Any) -> Callable[[Sequence[Row]], list[int]]:
    """Counts the tokens of rows: of the prompt with the longer completion, through the tokenizer's chat template.

    Raises:
        UsageError: (when it counts) a row has tools or tool calls, and the template does not render them: the model would be
            trained on calls that it never sees.
    """

    def count(rows: Sequence[Row]) -> list[int]:
        if not rows:
            return []
        texts = [rendered(tokenizer, row, side) for row in rows for side in ("chosen", "rejected")]
        sizes = [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
        return [max(pair) for pair in zip(sizes[::2], sizes[1::2], strict=True)]

    return count


def rendered(tokenizer: Any, row: Row, side: str) -> str:
    """The prompt with a completion, as the model reads it.

    Raises:
        UsageError: the template drops a tool.
    """
    turns = [{k: v for k, v in turn.items() if v is not None} for turn in [*row["prompt"], *row[side]]]
    tools = json.loads(row["tools"]) if row["tools"] else None
    text = str(tokenizer.apply_chat_template(turns, tools=tools, tokenize=False))
    if lost := next((name for name in tool_names(turns, tools) if name not in text), None):
        raise UsageError(
            f"pair {row['pair_id']} has the tool {lost!r}, which the chat template of the model does not render: it would be "
            "trained on calls that it never reads; choose a model whose template knows tools"
        )
    return text


def tool_names(turns: Sequence[Row], tools: Any) -> list[str]:
    """The functions that are offered or called."""
    offered = [tool.get("function", tool) for tool in tools or () if isinstance(tool, dict)]
    called = [call["function"] for turn in turns for call in turn.get("tool_calls") or ()]
    return [str(one["name"]) for one in [*offered, *called] if one.get("name")]
