"""HTTP for the fast transport: POST a body, get status, headers and body; connections are kept and used again.

An HTTP client does more for a call than the call itself needs (cookies, redirects, streams, hooks), and that was half of a
judgment's processor time. Here asyncio opens connections, llhttp (through httptools) reads what comes, and nothing is between.
Where the environment names a proxy, aiohttp goes through it.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import httptools

IDLE_S = 15.0  # a connection that was not used for so long may be gone at the other end without our knowing


class Response(NamedTuple):
    """What came back; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Carrier(Protocol):
    """Carries requests to any number of servers at once; the labeler limits how many."""

    async def post(self, url: str, headers: Mapping[str, str], data: bytes, *, timeout_s: float) -> Response:
        """Send one request and wait for the whole response.

        Raises:
            TimeoutError: it was not there within `timeout_s`, connecting included.
            OSError: no connection, or it broke, or what came is no HTTP.
            ValueError: address or headers that cannot be sent.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


def carrier() -> Carrier:
    """What fits the environment."""
    return Proxied() if getproxies().keys() & {"http", "https", "all"} else Direct()


class _Place(NamedTuple):
    host: str
    port: int
    tls: bool


@lru_cache(maxsize=256)
def _target(url: str) -> tuple[_Place, str]:
    """Where to connect to, and the request's first lines."""
    parts = urlsplit(url)
    tls, host = parts.scheme == "https", parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    named = host.encode("idna").decode() if not host.isascii() else f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, 443 if tls else 80) else f":{parts.port}"
    head = f"POST {path} HTTP/1.1\r\nhost: {named}{port}\r\naccept: */*\r\naccept-encoding: gzip, deflate\r\n"
    return _Place(host, parts.port or (443 if tls else 80), tls), head


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _head(start: str, headers: Mapping[str, str], length: int) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    head = f"{start}{''.join(lines)}content-length: {length}\r\n\r\n"
    if head.count("\n") != start.count("\n") + len(lines) + 2 or head.count("\r") != head.count("\n"):
        raise ValueError("a header holds a line break")
    return head.encode("latin-1")


class Direct:
    """Connections of our own, the one that was used last first."""

    def __init__(self) -> None:
        self._idle: dict[_Place, list[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: Mapping[str, str], data: bytes, *, timeout_s: float) -> Response:
        place, start = _target(url)
        head = _head(start, headers, len(data))
        async with asyncio.timeout(timeout_s):
            connection = self._kept(place) or await self._connect(place)
            try:
                response = await connection.ask(head, data)
            except BaseException:  # cancelled or too late: the answer to this may still come, and must not be another's
                connection.abort()
                raise
        if connection.reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.setdefault(place, []).append(connection)
        else:
            connection.abort()
        return response

    def _kept(self, place: _Place) -> _Connection | None:
        kept = self._idle.get(place)
        while kept:
            connection = kept.pop()
            if connection.rests() and asyncio.get_running_loop().time() - connection.idle_since < IDLE_S:
                return connection
            connection.abort()
        return None

    async def _connect(self, place: _Place) -> _Connection:
        options: dict[str, Any] = {} if _is_address(place.host) else {"happy_eyeballs_delay": 0.25}
        if place.tls:
            self._tls = self._tls or ssl.create_default_context()
            options["ssl"] = self._tls
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._open), place.host, place.port, **options)
        return connection

    async def close(self) -> None:
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # transports close in the next round of the loop


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time. Its on_ methods are what httptools calls."""

    def __init__(self, everybody: set[_Connection]) -> None:
        self.reusable = True
        self.idle_since = 0.0
        self._everybody = everybody
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Response] | None = None
        self._headers: dict[str, str] = {}
        self._told = False  # the head is there, blank line included
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def ask(self, head: bytes, data: bytes) -> asyncio.Future[Response]:
        """Send a request; the future has the response."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None:
            self._fail(ConnectionResetError("the server closed the connection"))
        else:
            self._transport.writelines((head, data))
        return self._answer

    def rests(self) -> bool:
        """Whether another request may go over it."""
        return self.reusable and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._everybody.add(self)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionError(f"what came is no HTTP: {error}"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable, self._transport = False, None
        self._everybody.discard(self)
        if error is None and self._ends_with_connection():
            self._finish()
        said = f": {error}" if error else ""
        self._fail(ConnectionResetError(f"the server closed the connection before its answer was complete{said}"))

    def on_message_begin(self) -> None:
        self._headers, self._body, self._told = {}, [], False
        if self._answer is None:  # a second answer to one request
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._told:  # what comes after the body says nothing of how to read it
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._told = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:  # before that the server only says that it goes on
            self.reusable = self.reusable and self._parser.should_keep_alive() and self._sent()
            self._finish()

    def _sent(self) -> bool:
        """Whether the whole request has left; a server that answers before may never read the rest."""
        return self._transport is not None and not self._transport.get_write_buffer_size()

    def _ends_with_connection(self) -> bool:
        final = self._told and self._parser.get_status_code() >= 200
        return final and not self._headers.keys() & {"content-length", "transfer-encoding"}

    def _finish(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        try:
            content = _plain(b"".join(self._body), self._headers.get("content-encoding", "").lower())
        except (zlib.error, ValueError) as error:
            answer.set_exception(ConnectionError(f"the body cannot be unpacked: {error}"))
        else:
            answer.set_result(Response(self._parser.get_status_code(), self._headers, content))

    def _fail(self, error: OSError) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)


def _plain(content: bytes, encoding: str) -> bytes:
    """A body without its content encoding."""
    if not encoding or encoding == "identity" or not content:
        return content
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"it is encoded as {encoding!r}, which was not asked for")
    try:
        return zlib.decompress(content, 47)  # gzip or zlib, by its first bytes
    except zlib.error:
        return zlib.decompress(content, -15)  # what some servers call deflate


class Proxied:
    """aiohttp, which knows what proxies want."""

    def __init__(self) -> None:
        self._session: Any = None

    async def post(self, url: str, headers: Mapping[str, str], data: bytes, *, timeout_s: float) -> Response:
        import aiohttp

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=0, ttl_dns_cache=300)  # 0 means no limit
            self._session = aiohttp.ClientSession(connector=connector, trust_env=True)
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.post(url, data=data, headers=headers, timeout=timeout) as response:
                content = await response.read()
                told = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.status, told, content)
        except aiohttp.ClientError as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
