"""Local servers that speak the providers' real wire formats, and the bodies of their replies and errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import orjson
from aiohttp import web

os.environ.setdefault("NO_PROXY", "127.0.0.1")  # a proxy of the caller's would answer in the place of these servers


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]  # names in small letters
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with a request: it answers, late or in half, or hangs up, or falls silent halfway."""

    body: Any = None  # bytes and text go as they are, anything else as JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    after_s: float = 0.0
    breaks: Literal["before", "halfway", "silent"] | None = None

    @property
    def data(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, str):
            return self.body.encode()
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


Line = Reply | dict[str, Any] | Callable[[Received], "Reply | dict[str, Any]"]


class Server:
    """Answers every POST on 127.0.0.1 by the next line of its script, the last one for ever; records what came.

    A line is a reply, the body of one, or a function that makes either from the request.
    """

    def __init__(self, *script: Line) -> None:
        self.received: list[Received] = []
        self._script = script
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, orjson.loads(await request.read())))
        reply = self._reply(self.received[-1])
        if reply.after_s:
            await self._wait(reply.after_s)
        if reply.breaks:
            return await self._break(request, reply)
        return web.Response(
            body=reply.data, status=reply.status, headers=reply.headers, content_type=reply.content_type
        )

    def _reply(self, received: Received) -> Reply:
        line = self._script[min(len(self.received), len(self._script)) - 1]
        said = line(received) if callable(line) else line
        return said if isinstance(said, Reply) else Reply(said)

    async def _wait(self, seconds: float) -> None:
        """Wait, but not beyond the server's end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)

    async def _break(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": reply.content_type, "Content-Length": "100000"})
        if reply.breaks != "before":
            await response.prepare(request)
            await response.write(reply.data[: len(reply.data) // 2])
        if reply.breaks == "silent":
            await self._wait(60)
        if request.transport:
            request.transport.close()
        return response


def openai_reply(
    text: str | None,
    *,
    model: str = "gpt-4o-2024-11-20",
    finish: str = "stop",
    refusal: str | None = None,
    tokens: tuple[int, int] = (1200, 80),
    cached: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """POST /v1/chat/completions, as OpenAI answers it; `more` goes into the body as it is."""
    message = {"role": "assistant", "content": text, "refusal": refusal, "annotations": []}
    spent, made = tokens
    return {
        "id": "chatcmpl-CQ8yZ0JmvXrTnB2a4D7wLk1s",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": spent,
            "completion_tokens": made,
            "total_tokens": spent + made,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_cbf1785567",
        **more,
    }


def vllm_reply(
    text: str | None,
    *,
    model: str = "Qwen/Qwen3-8B",
    finish: str = "stop",
    tokens: tuple[int, int] = (1200, 80),
    cached: int = 0,
) -> dict[str, Any]:
    """POST /v1/chat/completions, as vLLM answers it: fields of its own, null where OpenAI has a list."""
    message = {
        "role": "assistant",
        "content": text,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "tool_calls": [],
        "reasoning_content": None,
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish, "stop_reason": None}
    spent, made = tokens
    return {
        "id": "chatcmpl-6f1a3d0b5e9c4f0f8f6f6b7d6a1c2e3f",
        "object": "chat.completion",
        "created": 1760000000,
        "model": model,
        "choices": [choice | {"token_ids": None}],
        "service_tier": None,
        "system_fingerprint": None,
        "usage": {
            "prompt_tokens": spent,
            "total_tokens": spent + made,
            "completion_tokens": made,
            "prompt_tokens_details": {"cached_tokens": cached} if cached else None,
        },
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    }


def anthropic_reply(
    text: str | None,
    *,
    model: str = "claude-sonnet-4-5-20250929",
    stop: str = "end_turn",
    tokens: tuple[int, int] = (1200, 80),
    cached: int = 0,
    tool: tuple[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """POST /v1/messages; `tokens` counts the cached ones in, Anthropic's `input_tokens` does not.

    Args:
        tool: name and input of a tool use, as models answer for which JSON is enforced by a tool.
    """
    content: list[dict[str, Any]] = [] if text is None else [{"type": "text", "text": text}]
    if tool:
        content.append({"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": tool[0], "input": tool[1]})
    return {
        "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if tool else stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": tokens[0] - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": tokens[1],
            "service_tier": "standard",
        },
    }


def gemini_reply(
    text: str | None,
    *,
    model: str = "gemini-2.5-pro",
    finish: str = "STOP",
    tokens: tuple[int, int] = (1200, 80),
    cached: int = 0,
    blocked: str | None = None,
) -> dict[str, Any]:
    """POST /v1beta/models/...:generateContent; `blocked` is the reason for which the prompt itself was refused."""
    spent, made = tokens
    usage: dict[str, Any] = {"promptTokenCount": spent, "totalTokenCount": spent + made}
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": spent}]
    if made:
        usage["candidatesTokenCount"] = made
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    reply: dict[str, Any] = {"usageMetadata": usage, "modelVersion": model, "responseId": "x1bmaLnvBqWv1e8PkK"}
    if blocked:
        return reply | {"promptFeedback": {"blockReason": blocked}}
    content = {"role": "model"} if text is None else {"parts": [{"text": text}], "role": "model"}
    return reply | {"candidates": [{"content": content, "finishReason": finish, "index": 0}]}


def openai_error(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """An error's body, as OpenAI sends it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def vllm_error(message: str, kind: str, code: int) -> dict[str, Any]:
    """An error's body, as vLLM sends it: the code is the HTTP status."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic_error(message: str, kind: str) -> dict[str, Any]:
    """An error's body, as Anthropic sends it."""
    return {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }


def gemini_error(message: str, code: int, status: str, *details: Mapping[str, Any]) -> dict[str, Any]:
    """An error's body, as the Gemini API sends it."""
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


SILENCE = Reply(openai_reply('{"verdict": "A"}'), breaks="silent")
HTML = Reply("<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", content_type="text/html")
NO_JSON = Reply('{"id": "chatcmpl-1", "choices": [{"message": {"content": "half')
NO_CHOICES = Reply({"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "m", "choices": []})
NO_REPLY = Reply({"status": "ok"})
HANG_UP = Reply({}, breaks="before")
HALF_BODY = Reply(openai_reply('{"verdict": "A"}'), breaks="halfway")
