"""Messages of any convention as OpenAI chat messages, so that equal conversations are equal values.

A message has `role` and `content` (text, or a list of parts where one is no text or there are several; None beside tool
calls), and where there are any `tool_calls`, `tool_call_id`, `name`, `reasoning_content`, `refusal`. The arguments of a call
are JSON without blanks: instrumentations parse them, and what stood between the tokens is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labeling.jsontext import quick_json
from labeling.pairs import short
from labeling.traces.names import CALL_PARTS, REDACTED, RESULT_PARTS, ROLES, TEXT_PARTS, THOUGHT_PARTS
from labeling.traces.tools import compact, parsed, tool_call, tool_result

Message = dict[str, Any]
_BODIES = dict.fromkeys(("messages", "choices", "output", "body", "contents", "prompt", "message", "input")).keys()
_KINDS = TEXT_PARTS | CALL_PARTS | RESULT_PARTS | THOUGHT_PARTS | {"message", "image_url", "refusal"}
_BODY_KEYS = frozenset({"content", "parts", "tool_calls", "function_call"})


def messages(value: Any, role: str) -> list[Message]:
    """The messages that a value holds: text, one message, several, a request, or a reply; or any of them as JSON text.

    Args:
        role: of text that stands alone.
    Raises:
        ValueError: it holds something else.
    """
    value = _loaded(value)
    match value:
        case None:
            found = []
        case str():
            found = _message({"role": role, "content": value})
        case dict():
            found = _of_object(value, role)
        case list():
            found = _of_list(value, role)
        case _:
            raise ValueError(f"{short(value)} is no message")
    return _linked([message for message in found if _says_something(message)])


def split(said: list[Message]) -> tuple[list[Message], list[Message]]:
    """A conversation cut behind the last turn of a user or a tool: the prompt, and what was answered.

    Without such a turn all of it is prompt, up to the first answer.
    """
    asked = [at for at, message in enumerate(said, 1) if message["role"] in ("user", "tool")]
    if not asked:
        asked = [at for at, message in enumerate(said) if message["role"] == "assistant"] or [len(said)]
        return said[: asked[0]], said[asked[0] :]
    return said[: asked[-1]], said[asked[-1] :]


def is_redacted(value: Any) -> bool:
    """Whether an instrumentation put a placeholder where content was."""
    return isinstance(value, str) and value in REDACTED


def _loaded(value: Any) -> Any:
    """The messages that JSON text holds; JSON that is no message is text like any other."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{", '"'):
        return value
    try:
        inner = quick_json(value)
    except ValueError:
        return value
    if isinstance(inner, str):
        again = _loaded(inner)
        return value if isinstance(again, str) else again
    return inner if _looks_like_messages(inner) else value


def _looks_like_messages(value: Any) -> bool:
    """Whether JSON text was written by an instrumentation: users paste JSON, and models answer with it."""
    match value:
        case [_, *_]:
            return all(isinstance(one, dict) and (_has_role(one) or one.get("type") in _KINDS) for one in value)
        case {"messages": list() as said}:
            return _looks_like_messages(said)
        case {"choices": [{"message": dict()}, *_]}:
            return True
        case {"model": str(), "input": said} | {"model": str(), "output": said}:
            return isinstance(said, list) and _looks_like_messages(said)
        case dict():
            return _has_role(value)
    return False


def _has_role(value: dict[str, Any]) -> bool:
    """Whether an object says who said something, and what."""
    said = (("role", _BODY_KEYS), ("from", {"value"}), ("type", {"content"}))
    return any(str(value.get(name)) in ROLES and not keys.isdisjoint(value) for name, keys in said)


def _is_message(value: dict[str, Any]) -> bool:
    return "content" in value or _has_role(value) or any(isinstance(value.get(key), list) for key in _BODY_KEYS)


def _of_object(value: dict[str, Any], role: str) -> list[Message]:
    if isinstance(choices := value.get("choices"), list):
        return _of_choice(choices[0]) if choices else []
    if isinstance(value.get("kwargs"), dict) and "content" in value["kwargs"]:  # LangChain's own form
        kind = (value.get("id") or [""])[-1]
        return _message({"type": str(kind).removesuffix("Message").lower(), **value["kwargs"]})
    if _is_message(value) or value.get("type") in CALL_PARTS | RESULT_PARTS:
        return _message({"role": role, **value} if "type" not in value and "from" not in value else value, role)
    if (body := next((value[key] for key in _BODIES if value.get(key)), None)) is not None:
        before = value.get("instructions") or value.get("system")
        opening = messages(before, "system") if before and role == "user" else []
        return opening + messages(body, role)
    if not value:
        return []
    if role == "assistant":  # an answer in JSON, which the export has read already
        return [{"role": role, "content": compact(value)}]
    raise ValueError(f"no messages in an object of {', '.join(short(key) for key in list(value)[:8])}")


def _of_choice(choice: Any) -> list[Message]:
    if not isinstance(choice, dict):
        raise ValueError(f"a choice is an object, not {short(choice)}")
    return messages(choice.get("message") or choice.get("text"), "assistant")


def _of_list(value: list[Any], role: str) -> list[Message]:
    found: list[Message] = []
    for one in value:
        if isinstance(one, list):  # a batch of one
            found += _of_list(one, role) if len(value) == 1 else _refuse(one)
        elif isinstance(one, dict) and one.get("type") in TEXT_PARTS and "role" not in one:
            return _message({"role": role, "content": value}, role)  # a message's content, without the message
        elif isinstance(one, dict) and one.get("type") in CALL_PARTS and found and found[-1]["role"] == "assistant":
            _join(found, _message(one, "assistant"))  # the responses API has a turn's calls one by one
        else:
            found += messages(one, role) if isinstance(one, str) else _message(one, role)
    return found


def _join(found: list[Message], calls: list[Message]) -> None:
    found[-1] = found[-1] | {"tool_calls": found[-1].get("tool_calls", []) + calls[0]["tool_calls"]}
    found[-1]["content"] = found[-1].get("content") or None


def _refuse(value: Any) -> list[Message]:
    raise ValueError(f"{short(value)} is no message")


@dataclass(slots=True)
class _Parts:
    """What the parts of one message come to."""

    content: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    refusal: str | None = None

    def add(self, part: Any) -> None:
        """One part, in any of the conventions."""
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not isinstance(part, dict):
            raise ValueError(f"{short(part)} is no part of a message")
        kind = part.get("type") or ("text" if "text" in part else None)
        if kind in TEXT_PARTS:
            text = part.get("text", part.get("content"))
            if is_redacted(text):
                return
            self.content.append({"type": "text", "text": text if isinstance(text, str) else compact(text or "")})
        elif kind in CALL_PARTS:
            self.calls.append(tool_call(part))
        elif kind in RESULT_PARTS:
            self.results.append(tool_result(part))
        elif kind in THOUGHT_PARTS:
            thought = part.get("content") or part.get("thinking") or part.get("text")
            self.thoughts += [thought] if isinstance(thought, str) else []
        elif kind == "refusal":
            self.refusal = str(part.get("refusal") or part.get("content") or "")
        else:
            self.content.append(_media(part))

    def said(self) -> str | list[dict[str, Any]] | None:
        """The content: one text as text."""
        if len(self.content) == 1 and self.content[0].get("type") == "text":
            text: str = self.content[0]["text"]
            return text
        return self.content or None


def _message(value: Any, role: str = "user") -> list[Message]:
    """One message; several where it holds the results of several tools."""
    if not isinstance(value, dict):
        return _refuse(value)
    kind = value.get("type")
    if kind in RESULT_PARTS:
        return [tool_result(value)]
    if kind in CALL_PARTS:
        return [{"role": "assistant", "content": None, "tool_calls": [tool_call(value)]}]
    if kind in THOUGHT_PARTS and "role" not in value:
        return []
    name = next((value[key] for key in ("role", "from", "type") if value.get(key)), role)
    if name not in ROLES and not (isinstance(name, str) and name.lower() in ROLES):
        raise ValueError(f"{short(name)} is no role")
    message: Message = {"role": ROLES.get(name) or ROLES[name.lower()]}
    parts = _parts(value)
    for call in _calls(value):
        parts.calls.append(tool_call(call))
    message["content"] = parts.said()
    _extras(message, value, parts)
    if not parts.results:
        return [message]
    rest = [message] if _says_something(message) and message["role"] != "tool" else []
    return parts.results + rest


def _parts(value: dict[str, Any]) -> _Parts:
    content = next((value[key] for key in ("parts", "content", "value", "text") if value.get(key) is not None), None)
    parts = _Parts()
    if isinstance(content, list):
        for part in content:
            parts.add(part)
    elif isinstance(content, str):
        if not is_redacted(content):
            parts.content.append({"type": "text", "text": content})
    elif content is not None:
        parts.content.append({"type": "text", "text": compact(content)})
    return parts


def _calls(value: dict[str, Any]) -> list[Any]:
    extra = value.get("additional_kwargs")
    calls = parsed(value.get("tool_calls") or (extra.get("tool_calls") if isinstance(extra, dict) else None))
    if not isinstance(calls, list | None):
        raise ValueError("tool_calls is not a list")
    return (calls or []) + ([value["function_call"]] if isinstance(value.get("function_call"), dict) else [])


def _extras(message: Message, value: dict[str, Any], parts: _Parts) -> None:
    """What a message has beside role and content."""
    if parts.calls:
        message["tool_calls"] = parts.calls
        message["content"] = message["content"] or None
    if message["role"] == "tool":
        message["content"] = message["content"] or ""
        call_id = value.get("tool_call_id") or value.get("id")
        if isinstance(call_id, str) and call_id:
            message["tool_call_id"] = call_id
    if isinstance(name := value.get("name"), str) and name:
        message["name"] = name
    thought = value.get("reasoning_content") or "\n".join(parts.thoughts)
    if isinstance(thought, str) and thought:
        message["reasoning_content"] = thought
    refusal = value.get("refusal") or parts.refusal
    if isinstance(refusal, str) and refusal:
        message["refusal"] = refusal


def _media(part: dict[str, Any]) -> dict[str, Any]:
    """A part that is no text: an image of the GenAI conventions as OpenAI has it, the others as they came."""
    kind, modality = part.get("type"), part.get("modality")
    if kind == "blob" and modality == "image":
        url = f"data:{part.get('mime_type') or 'image/png'};base64,{part.get('content') or ''}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "uri" and modality == "image":
        return {"type": "image_url", "image_url": {"url": part.get("uri") or ""}}
    return {key: value for key, value in part.items() if value is not None}


def _linked(said: list[Message]) -> list[Message]:
    """The same messages, where some conventions forget which call a result answers: they come in the calls' order."""
    if all(message["role"] != "tool" or "tool_call_id" in message for message in said):
        return said
    waiting: list[str] = []
    for at, message in enumerate(said):
        if calls := message.get("tool_calls"):
            waiting = [call["id"] for call in calls if "id" in call]
        elif message["role"] == "tool":
            call_id = message.get("tool_call_id")
            if call_id in waiting:
                waiting.remove(call_id)
            elif call_id is None and waiting:
                said[at] = message | {"tool_call_id": waiting.pop(0)}
    return said


def _says_something(message: Message) -> bool:
    fields = ("content", "tool_calls", "refusal", "reasoning_content")
    return message["role"] == "tool" or any(message.get(name) for name in fields)


def parts_of(text: Any) -> Any:
    """The parts that text is the JSON of, as flat attributes hold content that is more than text; else the text."""
    value = parsed(text)
    known = isinstance(value, list) and all(isinstance(part, dict) and "type" in part for part in value)
    return value if known and value else text
