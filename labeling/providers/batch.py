"""Providers' batch APIs: many requests at once, answered within a day, for about half the price.

Two protocols: OpenAI's (a file of requests is uploaded, a batch is made of it, results come as files), which compatible servers
speak too, and Anthropic's (the requests are the batch). Neither takes an idempotency key, so that a batch whose creation was not
seen to the end has to be looked for among the account's batches: by our tag, or the input file, or, at Anthropic, which keeps
neither, by when it was made, its size and the ids of its results.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Literal, Protocol

import aiohttp
import orjson

from labeling.providers.base import CallError, error_of

UNREACHED = "unreachable"  # a connection that was never made: nothing was sent
NOT_SENT = ("auth", "rate_limit", "bad_request", UNREACHED)  # kinds after which nothing exists that did not before


@dataclass(frozen=True, slots=True)
class Remote:
    """A batch as its provider tells of it.

    Attributes:
        state: rejected means that no request of it was or will be asked.
        said: the provider's own word for the state; with its reason if it was rejected.
        done: requests that are over, one way or another; None if the provider does not say.
        files: where its results are.
    """

    id: str
    state: Literal["running", "ended", "rejected"]
    said: str
    done: int | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of results.

    Attributes:
        key: the request's id; None where the line cannot be read.
        reply: the body of a reply, as the online API would send it; else `error` says what there is instead.
    """

    line: bytes
    key: str | None = None
    reply: bytes | None = None
    error: CallError | None = None


@dataclass(frozen=True, slots=True)
class Sought:
    """What is known of a batch that may exist.

    Attributes:
        since: when it was sent at the earliest, UTC without a zone.
        keys: the ids of its requests.
        known: ids of batches that are others.
    """

    tag: str
    file_id: str | None
    since: datetime
    keys: Collection[str]
    known: Collection[str]


@dataclass
class Draft:
    """Requests gathered for one batch, on disk: two hundred megabytes are not for the memory.

    Attributes:
        frame: what stands before, between and after the requests.
        file_id: the provider's name of them, once they are uploaded.
    """

    tag: str
    frame: tuple[bytes, bytes, bytes]
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    requests: int = 0
    size: int = 0
    file_id: str | None = None

    def add(self, row: bytes) -> None:
        """Add one request."""
        before, between, _ = self.frame
        self.size += self.file.write((between if self.requests else before) + row)
        self.requests += 1

    def finished(self) -> IO[bytes]:
        """The whole, to be read from its beginning."""
        self.file.write(self.frame[2])
        self.file.seek(0)
        return self.file

    def close(self) -> None:
        """Give the disk back."""
        self.file.close()


class BatchApi(Protocol):
    """A provider's batches, for one judge. Every method may raise CallError."""

    endpoint: str
    most_requests: int
    most_bytes: int
    frame: tuple[bytes, bytes, bytes]

    def row(self, key: str, body: dict[str, Any]) -> bytes:
        """One request as it stands in a draft."""
        ...

    async def check(self) -> None:
        """Learn whether the API is there and the key is good; changes nothing."""
        ...

    async def upload(self, draft: Draft, /) -> str | None:
        """Take the requests to the provider, if that is a step of its own; the file's id. Costs nothing."""
        ...

    async def create(self, draft: Draft) -> Remote:
        """Make the batch. Unless the error is one of `NOT_SENT`, the batch may exist nevertheless."""
        ...

    async def look(self, remote_id: str) -> Remote:
        """How a batch stands."""
        ...

    async def find(self, sought: Sought) -> Remote | None:
        """A batch that was sent, although its id is not known; None if it does not exist (yet).

        Raises:
            CallError: of kind `unsure`, it cannot be told now.
        """
        ...

    def results(self, remote: Remote) -> AsyncIterator[Row]:
        """The results of a batch that has ended, in any order."""
        ...


class Http:
    """JSON and lines over a session; every fault is a CallError."""

    def __init__(self, session: aiohttp.ClientSession, headers: dict[str, str], timeout_s: float) -> None:
        self._session, self._headers, self._timeout_s = session, headers, timeout_s

    async def json(self, method: str, url: str, data: Any = None, content_type: str | None = None) -> dict[str, Any]:
        """One call; an upload may take long, but not stand still."""
        content = b"".join([chunk async for chunk in self._chunks(method, url, data, content_type)])
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise CallError("bad_reply", f"HTTP 200, but no JSON object: {content[:200]!r}")
        return found

    async def lines(self, url: str) -> AsyncIterator[bytes]:
        """A JSONL file, line by line, however long a line is."""
        rest = b""
        async for chunk in self._chunks("GET", url, None, None):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(None, map(bytes.strip, lines)):
                yield line
        if rest := rest.strip():
            yield rest

    async def _chunks(self, method: str, url: str, data: Any, content_type: str | None) -> AsyncIterator[bytes]:
        headers = {**self._headers, **({"content-type": content_type} if content_type else {})}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=self._timeout_s)
        try:
            # The key is for this address only: a redirect is an error.
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                if not 200 <= response.status < 300:
                    raise error_of(response.status, await response.text(errors="replace"), response.headers)
                async for chunk in response.content.iter_any():
                    yield chunk
        except TimeoutError:
            raise CallError("timeout", f"{method} {url}: nothing came for {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise CallError(UNREACHED, f"{method} {url}: {error}") from None
        except aiohttp.ClientError as error:
            raise CallError("connection", f"{method} {url}: {type(error).__name__}: {error}") from None


async def pages(http: Http, url: str, cursor: str, limit: int) -> AsyncIterator[dict[str, Any]]:
    """An account's batches, the newest first."""
    after = ""
    while True:
        page = await http.json("GET", f"{url}?limit={limit}{after}")
        found = [batch for batch in page.get("data") or () if isinstance(batch, dict)]
        for batch in found:
            yield batch
        if not page.get("has_more") or not found:
            return
        after = f"&{cursor}={text_of(found[-1], 'id')}"


def text_of(found: dict[str, Any], name: str) -> str:
    """A text that a provider's answer must have.

    Raises:
        CallError: it has not.
    """
    value = found.get(name)
    if not isinstance(value, str) or not value or "/" in value:  # ids become parts of addresses
        raise CallError("bad_reply", f"the provider's answer has no {name!r}: {str(found)[:200]}")
    return value


def number_of(value: Any, default: float) -> float:
    """A number, or what it is taken for if it is none."""
    return value if isinstance(value, (int, float)) else default
