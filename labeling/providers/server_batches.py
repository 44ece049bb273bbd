"""The simulated judges' batches, as OpenAI's API has them: files up, batches made of them, results as files. In memory."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from labeling.providers.simulated import Simulated

Answer = Callable[[Simulated, list[dict[str, Any]], str], bytes]


@dataclass
class Job:
    """A batch at work.

    Attributes:
        rows: its requests; None until they are read.
        output, errors: files of results, once it has ended.
    """

    id: str
    asked: dict[str, Any]
    created_at: float
    rows: list[dict[str, Any]] | None = None
    refused: str | None = None
    output: str | None = None
    errors: str | None = None
    failed: int = 0


class BatchDesk:
    """Takes batches, and has them answered after a while.

    Args:
        answer: a reply's body, from judge, messages and the request's id.
        takes_s: seconds that a batch takes.
    """

    def __init__(self, judges: Mapping[str, Simulated], answer: Answer, takes_s: float) -> None:
        self._judges, self._answer, self._takes_s = judges, answer, takes_s
        self._files: dict[str, bytes] = {}
        self._jobs: dict[str, Job] = {}
        self._attempts: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def add_routes(self, app: web.Application) -> None:
        """Take its place in a server."""
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_post("/v1/batches", self._create)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._look)

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form.get("file")
        if form.get("purpose") != "batch" or not isinstance(file, web.FileField):
            return _json({"error": {"message": "a file with purpose 'batch' is expected"}}, 400)
        name = self._keep(file.file.read())
        return _json({"id": name, "object": "file", "purpose": "batch", "filename": file.filename})

    async def _content(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["id"])
        return _json({"error": {"message": "no such file"}}, 404) if found is None else web.Response(body=found)

    async def _create(self, request: web.Request) -> web.Response:
        asked = orjson.loads(await request.read())
        if asked.get("input_file_id") not in self._files or asked.get("endpoint") != "/v1/chat/completions":
            return _json({"error": {"message": "input_file_id or endpoint is not known here"}}, 400)
        job = Job(f"batch_{next(self._numbers)}", asked, time.time())
        self._jobs[job.id] = job
        return _json(self._told(job))

    async def _list(self, _: web.Request) -> web.Response:
        data = [self._told(job) for job in reversed(self._jobs.values())]
        return _json({"object": "list", "data": data, "has_more": False})

    async def _look(self, request: web.Request) -> web.Response:
        job = self._jobs.get(request.match_info["id"])
        if job is None:
            return _json({"error": {"message": "no such batch"}}, 404)
        if job.rows is None and time.time() >= job.created_at + self._takes_s:
            self._work(job)
        return _json(self._told(job))

    def _work(self, job: Job) -> None:
        """Answer every request; as at OpenAI, one that is no request makes the whole batch fail."""
        lines = self._files[job.asked["input_file_id"]].splitlines()
        try:
            job.rows = [orjson.loads(line) for line in lines if line.strip()]
            work = [(row["custom_id"], self._judges[row["body"]["model"]], row["body"]["messages"]) for row in job.rows]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            job.rows, job.refused = [], f"no request for a model here: {error}"
            return
        good, bad = [], []
        for key, judge, messages in work:
            self._attempts[key] += 1
            if trouble := judge.service.trouble(judge.name, key, self._attempts[key]):
                bad.append(_line(key, 500, {"error": {"message": f"simulated {trouble}"}}))
            else:
                good.append(_line(key, 200, orjson.loads(self._answer(judge, messages, key))))
        job.failed = len(bad)
        job.output, job.errors = (self._keep(b"".join(part)) if part else None for part in (good, bad))

    def _keep(self, data: bytes) -> str:
        name = f"file-{next(self._numbers)}"
        self._files[name] = data
        return name

    def _told(self, job: Job) -> dict[str, Any]:
        ended = job.rows is not None
        total = len(job.rows or ())
        counts = {"total": total, "completed": total - job.failed if ended else 0, "failed": job.failed}
        return {
            "id": job.id,
            "object": "batch",
            "status": "failed" if job.refused else "completed" if ended else "in_progress",
            "errors": {"data": [{"code": "invalid_request", "message": job.refused}]} if job.refused else None,
            "request_counts": counts,
            "output_file_id": job.output,
            "error_file_id": job.errors,
            "created_at": int(job.created_at),
            **{name: job.asked.get(name) for name in ("input_file_id", "endpoint", "completion_window", "metadata")},
        }


def _line(key: str, status: int, body: dict[str, Any]) -> bytes:
    response = {"status_code": status, "request_id": key, "body": body}
    return orjson.dumps({"id": f"batch_req_{key}", "custom_id": key, "response": response, "error": None}) + b"\n"


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
