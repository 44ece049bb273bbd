"""Labels as preference data in TRL's conversational form: `prompt`, `chosen`, `rejected`, `tools`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from consensus.nouns import Text
from consensus.store import Labeled

Message = dict[str, Any]
_FUNCTION = pa.struct([("name", pa.string()), ("arguments", pa.string())])
_CALL = pa.struct([("id", pa.string()), ("type", pa.string()), ("function", _FUNCTION)])
PLAIN = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
WITH_TOOLS = pa.list_(
    pa.struct(
        [("role", pa.string()), ("content", pa.string()), ("name", pa.string())]
        + [("tool_call_id", pa.string()), ("tool_calls", pa.list_(_CALL))]
    )
)


def rows(labeled: Iterable[Labeled], chances: Mapping[str, float] | None = None) -> Iterator[dict[str, Any]]:
    """One row a kept pair.

    `support` is the share of the panel's votes for the chosen side. `tools` is a JSON string, since tools differ in shape;
    so is `outcomes`, what production said of its own answer to the prompt.

    Args:
        chances: by pair, how likely the label is right; `p_chosen` is null without, as a share of votes is no probability.
    """
    chances = chances or {}
    for item in labeled:
        pair, label = item.pair, item.label
        if not label.kept or label.verdict is None:
            continue
        tools, outcomes = pair.extra.get("tools"), pair.extra.get("outcomes")
        yield {
            "prompt": messages(pair.prompt, "user"),
            "chosen": messages(pair.completion(label.verdict), "assistant"),
            "rejected": messages(pair.completion(label.verdict.swapped()), "assistant"),
            "tools": tools if tools is None or isinstance(tools, str) else _json(tools),
            "pair_id": pair.pair_id,
            "support": label.support,
            "p_chosen": chances.get(pair.pair_id),
            "category": pair.category,
            "outcomes": _json(outcomes) if outcomes else None,
        }


def messages(text: Text, role: str) -> list[Message]:
    """Chat messages; plain text is one message of `role`. Arguments of tool calls are JSON strings, as OpenAI has them."""
    if isinstance(text, str):
        return [{"role": role, "content": text}]
    return [_message(message) for message in text]


def _message(message: Mapping[str, Any]) -> Message:
    plain: Message = {"role": message["role"], "content": _content(message.get("content"))}
    for field in ("name", "tool_call_id"):
        if isinstance(message.get(field), str):
            plain[field] = message[field]
    if calls := message.get("tool_calls"):
        plain["tool_calls"] = [_call(call) for call in calls]
    return plain


def _content(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(texts) if len(texts) == len(content) else _json(content)


def _call(call: Any) -> dict[str, Any]:
    function = call.get("function", call) if isinstance(call, dict) else {"name": str(call)}
    arguments = function.get("arguments")
    given = arguments if isinstance(arguments, str) else _json(arguments if arguments is not None else {})
    identifier = call.get("id") if isinstance(call, dict) else None
    return {"id": identifier, "type": "function", "function": {"name": function.get("name"), "arguments": given}}


def write_jsonl(data: Iterable[Mapping[str, Any]], file: Path) -> int:
    """Write rows as JSON lines; how many. The file appears whole or not at all."""
    part, n = file.with_name(f"{file.name}.part"), 0
    with part.open("w", encoding="utf-8") as out:
        for row in data:
            out.write(_json(row) + "\n")
            n += 1
    part.replace(file)
    return n


def write_parquet(data: Iterable[Mapping[str, Any]], file: Path) -> int:
    """Write rows as Parquet; how many. The file appears whole or not at all."""
    table = list(data)
    tooled = any(message.keys() - {"role", "content"} for row in table for message in _all_messages(row))
    turns = WITH_TOOLS if tooled else PLAIN
    schema = pa.schema(
        [("prompt", turns), ("chosen", turns), ("rejected", turns), ("tools", pa.string()), ("pair_id", pa.string())]
        + [("support", pa.float64()), ("p_chosen", pa.float64()), ("category", pa.string())]
        + [("outcomes", pa.string())]
    )
    part = file.with_name(f"{file.name}.part")
    pq.write_table(pa.Table.from_pylist(table, schema), part)
    part.replace(file)
    return len(table)


def _all_messages(row: Mapping[str, Any]) -> Iterator[Message]:
    for side in ("prompt", "chosen", "rejected"):
        yield from row[side]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def card(figures: Mapping[str, Any], sentence: str, calibration: str) -> str:
    """A Hugging Face dataset card that says where the labels come from and what they are worth."""
    judges = "\n".join(f"- {judge['judge']}: {judge['votes']:,} votes" for judge in figures["judges"])
    lost = "\n".join(
        f"- {reason}: {n:,}" for reason, n in figures["reasons"].items() if reason not in ("agreed", "plurality")
    )
    return f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train.parquet
tags:
- preference
- dpo
- judge-consensus
---

# Preferences of cycle {figures["cycle"]}

{figures["kept"]:,} of {figures["pairs"]:,} pairs, kept because enough judges of a panel agreed on them. Rows are in
TRL's conversational preference format (`prompt`, `chosen`, `rejected`, `tools`), with `pair_id`, `category`,
`outcomes` (what production said of its own answer, where that is known) and `support`, the share of the panel's votes for the
chosen side. {calibration}

{sentence}.

## Judges

{judges}

## Pairs that were left out

{lost or "none"}
"""
