"""The HTTP client of the fast transport, against servers that send exactly these bytes."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import zlib
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.providers import http
from labeling.providers.http import Direct, Proxied, carrier

BODY = b'{"choices": [{"message": {"content": "caf\xc3\xa9"}}]}'
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
PLAIN = LENGTH % (len(BODY), BODY)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:30], BODY[30:]))
    + b"0\r\n\r\n"
)
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + PLAIN
TO_THE_END = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + BODY


class Bytes:
    """Answers each request with the next piece of its script, the last one for ever; counts connections, keeps requests."""

    def __init__(self, *script, cut=None, then_close=False, tls=None, wait_s=0.0):
        self.script, self.cut, self.then_close, self.tls, self.wait_s = script, cut or [], then_close, tls, wait_s
        self.connections, self.requests = 0, []

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.requests.append((head, body))
                answer = self.script[min(len(self.requests), len(self.script)) - 1]
                await asyncio.sleep(self.wait_s)
                await self.answer(writer, answer(body) if callable(answer) else answer)
                if self.then_close:
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        writer.close()

    async def answer(self, writer, data):
        begin = 0
        for end in [*sorted(self.cut), len(data)]:
            writer.write(data[begin:end])
            await writer.drain()
            await asyncio.sleep(0)
            begin = end

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        scheme = "https" if self.tls else "http"
        try:
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat?x=1"
        finally:
            server.close()


def posted(server, *, times=1, timeout_s=5.0, make=Direct, headers=None, pause_s=0.0):
    """The responses to so many requests, one after the other, errors included."""

    async def go():
        client, found = make(), []
        async with server.running() as url:
            for k in range(times):
                try:
                    found.append(await client.post(url, headers or {"a": "b"}, b"data %d" % k, timeout_s=timeout_s))
                except (OSError, ValueError) as error:
                    found.append(error)
                await asyncio.sleep(pause_s)
            await client.close()
        return found

    return asyncio.run(go())


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([PLAIN, CHUNKED, EARLY]), st.lists(st.integers(1, 140), max_size=6, unique=True))
def test_a_response_reads_the_same_however_it_is_cut_on_the_way(data, cut):
    (found,) = posted(Bytes(data, cut=[at for at in cut if at < len(data)]))
    assert (found.status, found.content) == (200, BODY)


def test_one_connection_carries_one_request_after_the_other():
    server = Bytes(PLAIN, CHUNKED, PLAIN)
    assert [found.content for found in posted(server, times=3)] == [BODY] * 3
    assert (server.connections, [body for _, body in server.requests]) == (1, [b"data 0", b"data 1", b"data 2"])


def test_the_request_is_what_http_wants():
    server = Bytes(PLAIN)
    posted(server, headers={"authorization": "Bearer x", "content-type": "application/json"})
    lines = server.requests[0][0].decode().lower().split("\r\n")
    assert lines[0] == "post /v1/chat?x=1 http/1.1"
    assert lines[1].startswith("host: 127.0.0.1:")
    assert {"authorization: bearer x", "content-type: application/json", "content-length: 6"} <= set(lines)


def test_header_names_come_in_small_letters():
    (found,) = posted(Bytes(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"))
    assert (found.status, found.headers["retry-after"], found.content) == (429, "7", b"")


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (b"gzip", gzip.compress(BODY, mtime=0)),
        (b"GZIP", gzip.compress(BODY, mtime=0)),
        (b"deflate", zlib.compress(BODY)),
        (b"deflate", zlib.compress(BODY)[2:-4]),  # without the envelope, as some servers send it
    ],
)
def test_a_packed_body_is_unpacked(encoding, packed):
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(packed))
    assert posted(Bytes(head + packed))[0].content == BODY


@pytest.mark.parametrize("encoding", [b"br", b"gzip"])
def test_a_body_that_cannot_be_unpacked_is_an_error_and_the_next_call_goes_through(encoding):
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: 3\r\n\r\nabc" % encoding
    first, second = posted(Bytes(packed, PLAIN), times=2)
    assert isinstance(first, ConnectionError)
    assert second.content == BODY


def test_a_body_without_a_length_ends_with_the_connection():
    assert posted(Bytes(TO_THE_END, then_close=True))[0].content == BODY


HALF_HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: y\r\n"
ONLY_EARLY = EARLY[: EARLY.index(PLAIN)]


@pytest.mark.parametrize("data", [b"", PLAIN[:20], PLAIN[:-3], CHUNKED[:-5], HALF_HEAD, ONLY_EARLY])
def test_a_connection_that_ends_too_early_is_an_error(data):
    (found,) = posted(Bytes(data, then_close=True))
    assert isinstance(found, ConnectionResetError)
    assert "before its answer was complete" in str(found)


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize("data", [b"SSH-2.0-OpenSSH_9.2\r\n", SWITCH])
def test_what_is_no_http_is_an_error(data, caplog):
    (found,) = posted(Bytes(data))
    assert "no HTTP" in str(found)
    assert not caplog.records  # asyncio logs what a protocol lets through


def test_a_body_without_a_head_line_ends_with_the_connection():
    assert posted(Bytes(b"HTTP/1.1 200 OK\r\n\r\n" + BODY, then_close=True))[0].content == BODY


def test_what_follows_a_body_does_not_say_how_to_read_it():
    server = Bytes(CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n")
    assert posted(server)[0].content == BODY


def test_a_connection_whose_request_was_answered_before_it_was_sent_is_not_used_again():
    connections = 0

    async def too_large(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")

    async def go():
        client = Direct()
        server = await asyncio.start_server(too_large, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        found = [(await client.post(url, {}, bytes(20_000_000), timeout_s=5)).status for _ in range(2)]
        await client.close()
        server.close()
        return found

    assert asyncio.run(go()) == [413, 413]
    assert connections == 2


def test_a_connection_that_the_server_will_close_is_not_used_again():
    closing = PLAIN.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    server = Bytes(closing)
    assert [found.content for found in posted(server, times=2)] == [BODY, BODY]
    assert server.connections == 2


def test_a_connection_that_was_closed_while_it_rested_is_not_used_again():
    server = Bytes(PLAIN, then_close=True)
    assert [found.content for found in posted(server, times=3, pause_s=0.05)] == [BODY] * 3
    assert server.connections == 3


def test_a_connection_that_rested_too_long_is_not_used_again(monkeypatch):
    monkeypatch.setattr(http, "IDLE_S", 0.01)
    server = Bytes(PLAIN)
    posted(server, times=2, pause_s=0.05)
    assert server.connections == 2


def test_an_answer_that_nobody_waits_for_any_more_is_never_taken_for_another():
    """The first request runs out of time; its late answer must not become the second one's."""
    late = LENGTH % (5, b"first")
    server = Bytes(late, PLAIN, wait_s=0.15)

    async def go():
        client = Direct()
        async with server.running() as url:
            with pytest.raises(TimeoutError):
                await client.post(url, {}, b"1", timeout_s=0.05)
            found = await client.post(url, {}, b"2", timeout_s=5)
            await client.close()
        return found

    assert asyncio.run(go()).content == BODY
    assert server.connections == 2


def test_more_than_one_answer_to_one_request_is_not_kept_for_the_next():
    server = Bytes(PLAIN + LENGTH % (5, b"extra"), PLAIN)
    assert [found.content for found in posted(server, times=2)] == [BODY, BODY]
    assert server.connections == 2


def test_cancelling_closes_the_connection():
    server = Bytes(PLAIN, wait_s=10)

    async def go():
        client = Direct()
        async with server.running() as url:
            call = asyncio.create_task(client.post(url, {}, b"1", timeout_s=30))
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.sleep(0.02)
            return len(client._open)

    assert asyncio.run(go()) == 0


def test_many_at_once_get_their_own_answers():
    server = Bytes(lambda body: LENGTH % (len(body), body))

    async def go():
        client = Direct()
        async with server.running() as url:
            bodies = [str(k).encode() * (k % 50 + 1) for k in range(200)]
            found = await asyncio.gather(*(client.post(url, {}, body, timeout_s=5) for body in bodies))
            await client.close()
        return [response.content for response in found] == bodies

    assert asyncio.run(go())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"])
def test_a_server_that_is_not_there_is_an_error(url):
    with pytest.raises(OSError, match=r".+"):
        asyncio.run(Direct().post(url, {}, b"", timeout_s=5))


def test_a_header_cannot_smuggle_in_another():
    (found,) = posted(Bytes(PLAIN), headers={"authorization": "Bearer x\r\nx-evil: 1"})
    assert isinstance(found, ValueError)


@pytest.fixture
def certificate(tmp_path):
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    try:
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context, tmp_path / "cert.pem"


def test_tls_is_checked_against_the_trusted_certificates(certificate, monkeypatch):
    tls, file = certificate
    assert isinstance(posted(Bytes(PLAIN, tls=tls))[0], ssl.SSLCertVerificationError)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert posted(Bytes(PLAIN, tls=tls), times=2)[1].content == BODY


def test_behind_a_proxy_aiohttp_carries(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(carrier(), Direct)
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert isinstance(carrier(), Direct)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert isinstance(carrier(), Proxied)


def test_a_proxy_gets_the_request(monkeypatch):
    server = Bytes(PLAIN)

    async def go():
        async with server.running() as url:
            monkeypatch.setenv("http_proxy", url.rsplit("/v1", 1)[0])
            monkeypatch.setenv("no_proxy", "")
            monkeypatch.setenv("NO_PROXY", "")
            client = Proxied()
            found = await client.post("http://judge.invalid/v1/chat", {"a": "b"}, b"data", timeout_s=5)
            await client.close()
        return found

    assert asyncio.run(go()).content == BODY
    assert server.requests[0][0].startswith(b"POST http://judge.invalid/v1/chat HTTP/1.1\r\n")
