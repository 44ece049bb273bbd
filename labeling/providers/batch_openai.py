"""OpenAI's batches: a file of requests is uploaded, a batch is made of it, results come as files.

Source: https://developers.openai.com/api/reference/resources/batches
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import aiohttp
import orjson

from labeling.providers.base import CallError, error_of
from labeling.providers.batch import Draft, Http, Remote, Row, Sought, number_of, pages, text_of
from labeling.providers.parity import Call

TAG = "judge_consensus_batch"  # the metadata's key


class OpenAIBatches:
    """The protocol, as OpenAI and compatible servers speak it."""

    most_requests, most_bytes = 50_000, 200_000_000
    frame = (b"", b"\n", b"\n")

    def __init__(self, call: Call, session: aiohttp.ClientSession, timeout_s: float) -> None:
        self._base = call.url.removesuffix("/chat/completions")
        self.endpoint = f"{self._base}/batches"
        headers = {name: value for name, value in call.headers.items() if name != "content-type"}
        self._http = Http(session, headers, timeout_s)

    def row(self, key: str, body: dict[str, Any]) -> bytes:
        return orjson.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body})

    async def check(self) -> None:
        await self._http.json("GET", f"{self.endpoint}?limit=1")

    async def upload(self, draft: Draft) -> str:
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", draft.finished(), filename=f"{draft.tag}.jsonl", content_type="application/jsonl")
        return text_of(await self._http.json("POST", f"{self._base}/files", form), "id")

    async def create(self, draft: Draft) -> Remote:
        asked = {"input_file_id": draft.file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        data = orjson.dumps({**asked, "metadata": {TAG: draft.tag}})
        return self._remote(await self._http.json("POST", self.endpoint, data, "application/json"))

    async def look(self, remote_id: str) -> Remote:
        return self._remote(await self._http.json("GET", f"{self.endpoint}/{remote_id}"))

    async def find(self, sought: Sought) -> Remote | None:
        async for batch in pages(self._http, self.endpoint, "after", 100):
            told = batch.get("metadata") or {}
            if told.get(TAG) == sought.tag or (sought.file_id and batch.get("input_file_id") == sought.file_id):
                return self._remote(batch)
        return None  # all were looked at: compatible servers do not promise that the newest come first

    async def results(self, remote: Remote) -> AsyncIterator[Row]:
        for file_id in remote.files:
            async for line in self._http.lines(f"{self._base}/files/{file_id}/content"):
                yield _openai_row(line)

    def _remote(self, batch: dict[str, Any]) -> Remote:
        said, counts = text_of(batch, "status").lower(), batch.get("request_counts") or {}
        files = tuple(str(batch[name]) for name in ("output_file_id", "error_file_id") if batch.get(name))
        state: Literal["running", "ended", "rejected"] = "running"
        if said in ("completed", "expired", "cancelled"):
            state = "ended"
        elif said == "failed":
            state, said = ("ended", said) if files else ("rejected", _why_failed(batch))
        done = [number_of(counts.get(name), 0) for name in ("completed", "failed")]
        return Remote(text_of(batch, "id"), state, said, int(sum(done)) if counts else None, files)


def _openai_row(line: bytes) -> Row:
    try:
        found = orjson.loads(line)
        key, response, error = found["custom_id"], found.get("response"), found.get("error")
        if not isinstance(key, str):
            return Row(line)
        if error or not response:
            return Row(line, key, error=_row_error(error or {}))
        status, body = response["status_code"], orjson.dumps(response["body"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Row(line)
    if status != 200:
        return Row(line, key, error=error_of(int(status), body.decode(), {}))
    return Row(line, key, body)


def _row_error(error: dict[str, Any]) -> CallError:
    code, message = str(error.get("code")), str(error.get("message"))
    kinds = {"batch_expired": "expired", "batch_cancelled": "canceled", "request_timeout": "timeout"}
    return CallError(kinds.get(code, "server_error"), f"{code}: {message}")


def _why_failed(batch: dict[str, Any]) -> str:
    errors = (batch.get("errors") or {}).get("data") or ()
    told = [f"{error.get('code')}: {error.get('message')}" for error in errors[:3] if isinstance(error, dict)]
    return "; ".join(told) or "failed, without a reason"
