"""Local servers that speak the two batch protocols, with every fault that a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

import orjson
from aiohttp import web

from tests.labeling.servers import anthropic_error, anthropic_reply, openai_error, openai_reply

VERDICT_A = '{"reasoning": "A answers.", "verdict": "A"}'
Fault = Literal["hang_up_before", "hang_up_after"] | int | None


@dataclass
class Made:
    """A batch that exists at the provider."""

    id: str
    rows: dict[str, dict[str, Any]]  # bodies by custom_id
    asked: dict[str, Any]
    created_at: datetime
    status: str | None = None  # instead of the server's


@dataclass
class Provider:
    """What both have in common: batches in memory, and knobs for how they go wrong.

    Attributes:
        ended: whether batches have ended.
        status: of batches that have ended, where the protocol tells them apart.
        creation, looking, listing: what goes wrong with these calls: a status, or a hang-up before or after the deed.
        online: bodies that came to the online endpoint.
        bend: changes the lines of results.
        cut: end the results in the middle of the bytes: with a length that tells, or silently.
        on_create: called when a batch is about to be made; True makes it.
    """

    ended: bool = True
    status: str = "completed"
    creation: Fault = None
    looking: Fault = None
    listing: Fault = None
    keeps_metadata: bool = True
    bend: Callable[[list[dict[str, Any]]], list[Any]] = lambda lines: lines
    error: dict[str, dict[str, Any]] = field(default_factory=dict)  # results that are errors, by custom_id
    errors: list[dict[str, str]] = field(default_factory=list)  # why a batch failed
    cut: Literal["loud", "silent"] | None = None
    on_create: Callable[[], bool] = lambda: True
    made: list[Made] = field(default_factory=list)
    online: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**28)
        self.routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return int(self._runner.addresses[0][1])

    def routes(self, app: web.Application) -> None:
        raise NotImplementedError

    @property
    def asked(self) -> list[str]:
        """Every id that was ever submitted."""
        return [key for batch in self.made for key in batch.rows]

    async def make(self, request: web.Request, rows: dict[str, dict[str, Any]], asked: dict[str, Any]) -> web.Response:
        self.calls.append("create")
        if isinstance(self.creation, int):
            return self.refuse(self.creation)
        if self.on_create() and self.creation != "hang_up_before":
            self.made.append(Made(f"batch-{len(self.made) + 1}", rows, asked, datetime.now(UTC)))
        if self.creation:
            request.transport.close()
            return web.Response()
        return answer(self.told(self.made[-1]))

    async def look(self, request: web.Request) -> web.Response:
        self.calls.append("look")
        if isinstance(self.looking, int):
            return self.refuse(self.looking)
        return answer(self.told(next(made for made in self.made if made.id == request.match_info["id"])))

    async def list(self, request: web.Request) -> web.Response:
        self.calls.append("list")
        if isinstance(self.listing, int):
            return self.refuse(self.listing)
        cursor = request.query.get("after") or request.query.get("after_id")
        newest = list(reversed(self.made))
        start = [batch.id for batch in newest].index(cursor) + 1 if cursor else 0
        page = newest[start : start + 2]  # pages are small, so that they are turned
        return answer({"data": [self.told(b) for b in page], "has_more": len(newest) > start + 2})

    async def results(self, request: web.Request, lines: list[Any]) -> web.StreamResponse:
        data = b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in self.bend(lines))
        if not self.cut:
            return web.Response(body=data, content_type="application/x-jsonl")
        part = data[: int(len(data) * 0.7)]
        if self.cut == "silent":
            return web.Response(body=part)
        response = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await response.prepare(request)
        await response.write(part)
        await asyncio.sleep(0.05)
        request.transport.close()
        return response

    def told(self, batch: Made) -> dict[str, Any]:
        raise NotImplementedError

    def refuse(self, status: int) -> web.Response:
        raise NotImplementedError


@dataclass
class OpenAI(Provider):
    """https://developers.openai.com/api/reference/resources/batches"""

    files: dict[str, bytes] = field(default_factory=dict)
    judge = {"provider": "openai", "model": "gpt-4o-2024-11-20"}  # noqa: RUF012

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{id}/content", self.content)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.list)
        app.router.add_get("/v1/batches/{id}", self.look)

    async def chat(self, request: web.Request) -> web.Response:
        self.online.append(orjson.loads(await request.read()))
        return answer(openai_reply(VERDICT_A))

    async def upload(self, request: web.Request) -> web.Response:
        self.calls.append("upload")
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files) + 1}"
        self.files[name] = form["file"].file.read()
        return answer({"id": name, "object": "file", "purpose": "batch"})

    async def create(self, request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
        lines = [orjson.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert all((line["method"], line["url"]) == ("POST", "/v1/chat/completions") for line in lines)
        return await self.make(request, {line["custom_id"]: line["body"] for line in lines}, asked)

    async def content(self, request: web.Request) -> web.StreamResponse:
        self.calls.append("results")
        kind, _, name = request.match_info["id"].partition("-of-")
        batch = next(batch for batch in self.made if batch.id == name)
        if kind == "errors":
            return web.Response(
                body=b"".join(orjson.dumps(self.line(k, self.error[k])) + b"\n" for k in self.failed(batch))
            )
        good = {"response": {"status_code": 200, "request_id": "r", "body": openai_reply(VERDICT_A)}, "error": None}
        return await self.results(request, [self.line(key, good) for key in batch.rows if key not in self.error])

    def line(self, key: str, result: dict[str, Any]) -> dict[str, Any]:
        return {"id": f"batch_req_{key}", "custom_id": key, "response": None, "error": None, **result}

    def failed(self, batch: Made) -> list[str]:
        return [key for key in batch.rows if key in self.error]

    def told(self, batch: Made) -> dict[str, Any]:
        ended, failed = self.ended, self.failed(batch)
        status = batch.status or (self.status if ended else "in_progress")
        return {
            "id": batch.id,
            "object": "batch",
            "status": status,
            "errors": {"object": "list", "data": self.errors} if status == "failed" else None,
            "input_file_id": batch.asked["input_file_id"],
            "metadata": batch.asked["metadata"] if self.keeps_metadata else None,
            "output_file_id": f"output-of-{batch.id}" if ended and status != "failed" else None,
            "error_file_id": f"errors-of-{batch.id}" if ended and failed else None,
            "created_at": int(batch.created_at.timestamp()),
            "request_counts": {
                "total": len(batch.rows),
                "completed": len(batch.rows) - len(failed) if ended and status == "completed" else 0,
                "failed": len(failed) if ended else 0,
            },
        }

    def refuse(self, status: int) -> web.Response:
        return answer(openai_error("no", "error", "error"), status)


@dataclass
class Anthropic(Provider):
    """https://platform.claude.com/docs/en/api/messages/batches"""

    judge = {"provider": "anthropic", "model": "claude-sonnet-4-5"}  # noqa: RUF012

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/messages", self.message)
        app.router.add_post("/v1/messages/batches", self.create)
        app.router.add_get("/v1/messages/batches", self.list)
        app.router.add_get("/v1/messages/batches/{id}", self.look)
        app.router.add_get("/v1/messages/batches/{id}/results", self.content)

    async def message(self, request: web.Request) -> web.Response:
        self.online.append(orjson.loads(await request.read()))
        return answer(anthropic_reply(VERDICT_A))

    async def create(self, request: web.Request) -> web.Response:
        assert request.headers["x-api-key"]
        asked = orjson.loads(await request.read())
        return await self.make(request, {row["custom_id"]: row["params"] for row in asked["requests"]}, {})

    async def content(self, request: web.Request) -> web.StreamResponse:
        self.calls.append("results")
        batch = next(batch for batch in self.made if batch.id == request.match_info["id"])
        good = {"type": "succeeded", "message": anthropic_reply(VERDICT_A)}
        lines = [{"custom_id": key, "result": self.error.get(key, good)} for key in batch.rows]
        return await self.results(request, lines)

    def told(self, batch: Made) -> dict[str, Any]:
        n, failed = len(batch.rows), sum(key in self.error for key in batch.rows)
        done = {"processing": 0, "succeeded": n - failed, "errored": failed, "canceled": 0, "expired": 0}
        open_ = {"processing": n, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": batch.status or ("ended" if self.ended else "in_progress"),
            "request_counts": done if self.ended else open_,
            "created_at": batch.created_at.isoformat().replace("+00:00", "Z"),
            "results_url": "http://elsewhere.invalid/results" if self.ended else None,
        }

    def refuse(self, status: int) -> web.Response:
        return answer(anthropic_error("no", "error"), status)


def answer(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
