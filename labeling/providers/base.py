"""What goes over the wire and what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# What providers say, with status 400 or 429, of an account without money or a key that is none; mere rate limits speak of
# billing too, so that word alone says nothing.
NO_ACCOUNT = ("insufficient_quota", "billing_hard_limit", "billing_not_active", "credit balance", "API key not valid")
_TEXTS = ("content", "refusal", "finish_reason", "model")
_RETRY_DELAY = re.compile(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')  # Google says it in the body only


@dataclass(frozen=True, slots=True)
class Question:
    """One call.

    Attributes:
        messages: in OpenAI's form, the rubric first.
        key: names the ballot; sent as X-Client-Request-Id, so that a call can be found in a provider's or gateway's log.
        attempt: from 1.
        seed: sent if the transport was opened with one, in its place.
        tools: what the model may call; real transports are opened with them, simulated models read them here.
    """

    messages: list[dict[str, Any]]
    key: str
    attempt: int = 1
    seed: int | None = None
    tools: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's reply.

    Attributes:
        text: the reply, or the refusal's words; may be empty.
        model: who answered, by its own word (with a gateway: by the gateway's).
        cached_tokens: part of `prompt_tokens` that came from the provider's cache.
        latency_s: seconds on the wire.
        tokens: the reply's tokens with their log-probabilities and alternatives, in OpenAI's form, where the judge asks for them.
        fingerprint: the provider's name for the version of its system (OpenAI's system_fingerprint); None if it says nothing.
        tool_calls: as `{id, type, function: {name, arguments}}`, arguments in JSON.
    """

    text: str
    refused: bool = False
    finish_reason: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    latency_s: float = 0.0
    tokens: Any = None
    fingerprint: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()


def read_answer(
    content: Any,
    refusal: Any,
    finish_reason: Any,
    model: Any,
    *,
    counts: tuple[Any, Any, Any],
    latency_s: float,
    tokens: Any = None,
    fingerprint: Any = None,
    tool_calls: Any = None,
) -> Answer:
    """What a provider said, checked: a reply is data from outside, and may hold anything.

    Args:
        content: text, or a list of parts of which the text is read.
        counts: tokens of prompt, completion, and cached part of the prompt; what is no count is not known.
        tool_calls: in OpenAI's form.
    Raises:
        CallError: there is no text where text belongs, or no call where one belongs.
    """
    if isinstance(content, list):
        content = "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    for name, value in zip(_TEXTS, (content, refusal, finish_reason, model), strict=True):
        if value is not None and not isinstance(value, str):
            raise CallError("bad_reply", f"{name} is no text but {str(value)[:100]!r}", latency_s=latency_s)
    prompt, completion, cached = map(_count, counts)
    refused = bool(refusal) or finish_reason in ("content_filter", "refusal")
    return Answer(
        content or refusal or "",
        refused,
        finish_reason,
        model,
        prompt,
        completion,
        min(cached or 0, prompt or 0),
        latency_s,
        tokens,
        fingerprint if isinstance(fingerprint, str) and fingerprint else None,
        _calls(tool_calls, latency_s) if tool_calls else (),
    )


def _calls(value: Any, latency_s: float) -> tuple[dict[str, Any], ...]:
    """Calls of tools without what only some providers add."""
    try:
        made = []
        for call in value:
            name, arguments = call["function"]["name"], call["function"].get("arguments") or "{}"
            if not (isinstance(name, str) and isinstance(arguments, str) and isinstance(call.get("id"), str | None)):
                raise TypeError
            made.append({"id": call.get("id"), "type": "function", "function": {"name": name, "arguments": arguments}})
        return tuple(made)
    except (TypeError, KeyError, AttributeError):
        raise CallError("bad_reply", f"tool_calls are none: {str(value)[:200]}", latency_s=latency_s) from None


def _count(value: Any) -> int | None:
    if value.__class__ is float:
        value = int(value) if 0 <= value < 2**31 else None
    return value if value.__class__ is int and 0 <= value < 2**31 else None


@dataclass
class CallError(Exception):
    """A call that brought no answer.

    Attributes:
        kind: see `Failure.kind`.
        retry: whether the same call may succeed later.
        fatal: the judge cannot work at all as it is set up (key, model name, no money left).
        retry_after_s: the wait that the provider asked for.
    """

    kind: str
    message: str
    retry: bool = True
    fatal: bool = False
    retry_after_s: float | None = None
    latency_s: float | None = None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a provider says that it allows: requests and tokens a minute; None where it does not say."""

    rpm: float | None = None
    tpm: float | None = None


class Transport(Protocol):
    """Carries questions to one model."""

    @property
    def name(self) -> str:
        """`fast`, `default` or `simulated`, as `doctor` shows it."""
        ...

    @property
    def temperature(self) -> float | None:
        """What is sent; None if the model is asked without one."""
        ...

    @property
    def allowed(self) -> Allowed | None:
        """What the last reply that named limits said."""
        ...

    async def send(self, question: Question, /) -> Answer:
        """Ask once.

        Raises:
            CallError: no answer came.
        """
        ...

    def without(self, parameter: str, /) -> Transport | None:
        """The same transport that no longer sends `temperature`, `response_format` or `seed`; None if it did not send it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class NotConnected:
    """The transport of a judge that is only priced, not asked."""

    name = "none"
    allowed: Allowed | None = None
    temperature: float | None = None

    async def send(self, _: Question) -> Answer:
        """Never."""
        raise CallError("bad_request", "this judge was opened without a connection", retry=False, fatal=True)

    def without(self, _: str) -> Transport | None:
        """Nothing is sent."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


def error_of(status: int, body: str, headers: Mapping[str, str], latency_s: float | None = None) -> CallError:
    """What an HTTP status other than 200 means for the ballot and for the judge."""
    said = f"HTTP {status}: {_short(body)}"
    wait = retry_after(headers)
    if wait is None and (delay := _RETRY_DELAY.search(body)):
        wait = float(delay[1])
    if status in (401, 402, 403) or (status in (400, 429) and any(sign in body for sign in NO_ACCOUNT)):
        return CallError("auth", said, retry=False, fatal=True, status=status, latency_s=latency_s)
    if status == 429:
        return CallError("rate_limit", said, retry_after_s=wait, status=status, latency_s=latency_s)
    if status == 404:
        return CallError("bad_request", said, retry=False, fatal=True, status=status, latency_s=latency_s)
    if status in (408, 409, 425) or status >= 500:
        return CallError("server_error", said, retry_after_s=wait, status=status, latency_s=latency_s)
    return CallError("bad_request", said, retry=False, status=status, latency_s=latency_s)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `retry-after` (seconds or an HTTP date); None without either.

    The LiteLLM proxy hands a provider's on with `llm_provider-` before the name.
    """
    millis, wait = (
        headers.get(name) or headers.get(f"llm_provider-{name}") for name in ("retry-after-ms", "retry-after")
    )
    try:
        if millis is not None:
            return max(0.0, float(millis) / 1000)
        return None if wait is None else max(0.0, float(wait))
    except ValueError:
        return _until(wait or "")


# Headers that count by the minute; others' have the same names and mean a day (Groq's x-ratelimit-limit-requests).
_ALLOWED = {
    "openai": ("x-ratelimit-limit-requests", ("x-ratelimit-limit-tokens",)),
    "anthropic": (
        "anthropic-ratelimit-requests-limit",
        ("anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-output-tokens-limit"),
    ),
}


def allowed(provider: str, headers: Mapping[str, str]) -> Allowed | None:
    """The limits that a reply's headers name; None without any, or if the provider's headers do not count by the minute."""
    if provider not in _ALLOWED:
        return None
    requests, tokens = _ALLOWED[provider]
    rpm, each = _positive(headers.get(requests)), [_positive(headers.get(name)) for name in tokens]
    tpm = sum(count for count in each if count) if all(each) else None
    return Allowed(rpm, tpm) if rpm or tpm else None


def _positive(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and 0 < int(text) < 2**53 else None


def _until(date: str) -> float | None:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _short(body: str, length: int = 500) -> str:
    text = " ".join(body.split())
    return text if len(text) <= length else f"{text[:length]}..."


def parameters(
    judge_temperature: float | None, max_tokens: int, response_format: Any, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Request parameters in OpenAI's words; what is None is left out."""
    given = {"temperature": judge_temperature, "max_tokens": max_tokens, "response_format": response_format, **extra}
    return {name: value for name, value in given.items() if value is not None}


def length(messages: Iterable[Mapping[str, Any]]) -> int:
    """Messages in tokens, estimated at four characters each."""
    parts = (part for message in messages for part in (message.get("content"), message.get("tool_calls")) if part)
    return sum(len(part) if isinstance(part, str) else len(str(part)) for part in parts) // 4
