"""Anthropic's batches: the requests are the batch, and results come as lines.

Source: https://platform.claude.com/docs/en/api/messages/batches
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson

from labeling.providers.base import CallError, error_of
from labeling.providers.batch import Draft, Http, Remote, Row, Sought, number_of, pages, text_of
from labeling.providers.parity import Call

CLOCKS_DIFFER = timedelta(hours=1)  # between this machine and the provider, at the most
_STATUS = {  # of Anthropic's words for errors
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
}


class AnthropicBatches:
    """The protocol. Anthropic keeps no name or metadata of a batch: it is known by time, size and the ids of its results."""

    most_requests, most_bytes = 100_000, 256_000_000
    frame = (b'{"requests":[', b",", b"]}")

    def __init__(self, call: Call, session: aiohttp.ClientSession, timeout_s: float) -> None:
        self.endpoint = f"{call.url}/batches"
        headers = {name: value for name, value in call.headers.items() if name != "content-type"}
        self._http = Http(session, headers, timeout_s)

    def row(self, key: str, body: dict[str, Any]) -> bytes:
        return orjson.dumps({"custom_id": key, "params": body})

    async def check(self) -> None:
        await self._http.json("GET", f"{self.endpoint}?limit=1")

    async def upload(self, _: Draft) -> None:
        """There is no such step."""

    async def create(self, draft: Draft) -> Remote:
        return self._remote(await self._http.json("POST", self.endpoint, draft.finished(), "application/json"))

    async def look(self, remote_id: str) -> Remote:
        return self._remote(await self._http.json("GET", f"{self.endpoint}/{remote_id}"))

    async def find(self, sought: Sought) -> Remote | None:
        since, running = (sought.since - CLOCKS_DIFFER).replace(tzinfo=UTC), None
        async for batch in pages(self._http, self.endpoint, "after_id", 1000):
            if _moment(batch.get("created_at"), since) < since:
                break
            if batch.get("id") in sought.known or sum(_counts(batch).values()) != len(sought.keys):
                continue
            remote = self._remote(batch)
            if remote.state == "running":
                running = remote.id
            elif await self._first_key(remote) in sought.keys:
                return remote
        if running:
            said = f"the running batch {running} has its size; whether it is this one shows when it has ended"
            raise CallError("unsure", said)
        return None

    async def _first_key(self, remote: Remote) -> str | None:
        async for row in self.results(remote):
            return row.key
        return None

    async def results(self, remote: Remote) -> AsyncIterator[Row]:
        # Its `results_url` is this address; made here, so that no reply can send the key elsewhere.
        async for line in self._http.lines(f"{self.endpoint}/{remote.id}/results"):
            yield _anthropic_row(line)

    def _remote(self, batch: dict[str, Any]) -> Remote:
        said, counts = text_of(batch, "processing_status"), _counts(batch)
        done = sum(n for name, n in counts.items() if name != "processing")
        return Remote(text_of(batch, "id"), "ended" if said == "ended" else "running", said, done if counts else None)


def _anthropic_row(line: bytes) -> Row:
    try:
        found = orjson.loads(line)
        key, result = found["custom_id"], found["result"]
        if not isinstance(key, str):
            return Row(line)
        if (kind := result["type"]) == "succeeded":
            return Row(line, key, orjson.dumps(result["message"]))
        if kind == "errored":
            told = result["error"].get("error") or result["error"]
            return Row(line, key, error=error_of(_STATUS.get(told["type"], 500), orjson.dumps(told).decode(), {}))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Row(line)
    return Row(line, key, error=CallError(str(kind), f"the provider says {kind!r} of this request"))


def _counts(batch: dict[str, Any]) -> dict[str, int]:
    counts = batch.get("request_counts")
    return {name: int(number_of(n, 0)) for name, n in counts.items()} if isinstance(counts, dict) else {}


def _moment(value: Any, default: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return default
    return found if found.tzinfo else found.replace(tzinfo=UTC)
