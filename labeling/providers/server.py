"""The simulated judges as a real OpenAI-compatible server on loopback, troubles included."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from labeling.providers.base import length
from labeling.providers.server_batches import BatchDesk
from labeling.providers.simulated import Simulated, Trouble, text_hash

BATCH_S = 3.0  # seconds that a batch takes: long enough to see it run
REMEMBERED = 100_000  # calls whose attempts are still counted


def application(judges: Mapping[str, Simulated], *, batch_s: float = BATCH_S) -> web.Application:
    """A server of `POST /v1/chat/completions`, `GET /v1/models` and OpenAI's batches for judges by model name."""
    served: Counter[str] = Counter()
    attempts: OrderedDict[str, int] = OrderedDict()

    async def complete(request: web.Request) -> web.StreamResponse:
        try:
            body = orjson.loads(await request.read())
            judge = judges[body["model"]]
            messages = body["messages"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            known = ", ".join(judges)
            return _error(
                404 if isinstance(error, KeyError) else 400, f"no model or messages: {error}; models here: {known}"
            )
        # Identical calls are told apart by the ballot's id; without one, by how often this very body came.
        key = request.headers.get("X-Client-Request-Id") or text_hash(str(messages))
        attempts[key] = attempts.pop(key, 0) + 1
        if len(attempts) > REMEMBERED:
            attempts.popitem(last=False)
        if "X-Client-Request-Id" not in request.headers:
            key = f"{key}#{attempts[key]}"
        attempt = attempts.get(key, 1)
        await asyncio.sleep(judge.service.latency(judge.name, key, attempt))
        if trouble := judge.service.trouble(judge.name, key, attempt):
            return await _misbehave(request, trouble)
        served[judge.name] += 1
        return web.Response(body=_reply(judge, messages, key, body.get("tools") or ()), content_type="application/json")

    async def models(_: web.Request) -> web.Response:
        data = [{"id": name, "object": "model", "served": served[name]} for name in judges]
        return web.Response(body=orjson.dumps({"object": "list", "data": data}), content_type="application/json")

    app = web.Application(client_max_size=256 * 2**20)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    BatchDesk(judges, _reply, batch_s).add_routes(app)
    return app


async def serve(
    judges: Mapping[str, Simulated], port: int = 0, *, batch_s: float = BATCH_S
) -> tuple[web.AppRunner, int]:
    """Start the server on 127.0.0.1; the runner (await its `cleanup()` to stop) and the port, chosen by the system if 0."""
    runner = web.AppRunner(application(judges, batch_s=batch_s), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    return runner, int(runner.addresses[0][1])


def _reply(judge: Simulated, messages: list[dict[str, Any]], key: str, tools: Sequence[Any] = ()) -> bytes:
    message = judge.message(messages, key, tools)
    prompt_tokens, tokens = length(messages), length([message])
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}]
    return orjson.dumps(
        {
            "id": key[:40],
            "object": "chat.completion",
            "created": 0,
            "model": judge.name,
            "choices": choices,
            "usage": usage,
        }
    )


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = orjson.dumps({"error": {"message": message, "type": "simulated"}})
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


async def _misbehave(request: web.Request, trouble: Trouble) -> web.StreamResponse:
    match trouble:
        case "rate_limit":
            return _error(429, "slow down", {"Retry-After": "0.05"})
        case "server_error":
            return _error(500, "something broke")
        case "html":
            return web.Response(text="<html><body>Bad gateway</body></html>", content_type="text/html")
        case "half_body":
            response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"id": "half", "choices": [{"mess')
    if request.transport:
        request.transport.close()  # a hang-up, in the middle of a body or before one
    return web.Response()
