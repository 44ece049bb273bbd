"""Tools of any convention as OpenAI has them: what can be called, calls, and results; and JSON that stands in text."""

from __future__ import annotations

import json
from typing import Any

from labeling.jsontext import quick_json
from labeling.pairs import short
from labeling.traces.names import REDACTED, TEXT_PARTS


def tool_definitions(value: Any) -> list[dict[str, Any]]:
    """The tools that a model could call, in OpenAI's form.

    Raises:
        ValueError: it is no list of tools.
    """
    value = parsed(value)
    if isinstance(value, dict):  # by name
        named = [(name, parsed(tool)) for name, tool in value.items()]
        value = [{"name": name, **tool} if isinstance(tool, dict) else tool for name, tool in named]
    if not isinstance(value, list | None):
        raise ValueError(f"{short(value)} is no list of tools")
    return [_tool(parsed(tool)) for tool in value or ()]


def tool_call(value: Any) -> dict[str, Any]:
    """A call of a tool: OpenAI's `{id, function: {name, arguments}}`, or flat with args, input or arguments."""
    value = parsed(value)
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict):
        raise ValueError(f"{short(value)} is no call of a tool")
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("a call of a tool does not name the tool")
    arguments = next((function[key] for key in ("arguments", "args", "input") if function.get(key)), None)
    call_id = value.get("call_id") or value.get("id")
    call = {"type": "function", "function": {"name": name, "arguments": compact(arguments or "{}")}}
    return {"id": call_id, **call} if isinstance(call_id, str) and call_id else call


def tool_result(value: dict[str, Any]) -> dict[str, Any]:
    """What a tool answered."""
    said = next((value[key] for key in ("response", "result", "output", "content") if value.get(key) is not None), "")
    if isinstance(said, list) and said and all(isinstance(p, dict) and p.get("type") in TEXT_PARTS for p in said):
        said = "".join(str(part.get("text", part.get("content", ""))) for part in said)
    call_id = next((value[key] for key in ("tool_call_id", "tool_use_id", "call_id", "id") if value.get(key)), None)
    said = said if isinstance(said, str) else compact(said)
    message = {"role": "tool", "content": "" if said in REDACTED else said}  # nobody said the placeholder
    return message | ({"tool_call_id": call_id} if isinstance(call_id, str) else {})


def parsed(value: Any) -> Any:
    """What JSON text of a list or an object says; all else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return quick_json(value)
        except ValueError:
            return value
    return value


def compact(value: Any) -> str:
    """A value as JSON without blanks; text that is JSON of a list or an object likewise, other text as it is."""
    if isinstance(value, str):
        try:
            loaded = json.loads(value)  # orjson would make a float of an integer of more than 64 bits
        except (ValueError, RecursionError):
            return value
        if not isinstance(loaded, (dict, list)):
            return value
        value = loaded
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tool(value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and "tool" in value:  # OpenInference
        value = value["tool"]
    if isinstance(value, dict) and "json_schema" in value:
        value = parsed(value["json_schema"])
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError(f"{short(value)} is no tool")
    described = {"name": function["name"], "description": function.get("description")}
    described["parameters"] = parsed(function.get("parameters") or function.get("input_schema"))
    described["strict"] = function.get("strict")
    return {"type": "function", "function": {key: said for key, said in described.items() if said is not None}}
