"""The other end of the benchmarks: a server so light that it is not the bottleneck.

python -m tests.benchmarks.light_server PORT LATENCY_S [SLOW_SHARE SLOW_S FAIL_SHARE]

It answers every POST after a fixed wait; a share of calls may be slow, a share may fail once. GET /seen returns the times of
arrival, GET /waits how long each answer was made to wait, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

REPLY = (
    b'{"id":"x","object":"chat.completion","created":1,"model":"%s","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"{\\"reasoning\\": \\"Completion A does what was asked and B does not.\\", \\"verdict\\": \\"A\\"}"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":900,"completion_tokens":40,"total_tokens":940}}'
)
HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Light(asyncio.Protocol):
    """HTTP/1.1 as far as these benchmarks need it."""

    latency = 0.0
    slow_share = slow_s = fail_share = 0.0
    seen: list[float] = []  # noqa: RUF012 - one server a process
    waits: list[float] = []  # noqa: RUF012
    failed: set[bytes] = set()  # noqa: RUF012
    dice = random.Random(1)

    def connection_made(self, transport):
        self.transport, self.buffer = transport, bytearray()

    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = bytes(self.buffer[end + 4 : end + 4 + length])
            del self.buffer[: end + 4 + length]
            self.answer(head, body)

    def answer(self, head, body):
        if head.startswith(b"GET"):
            reply = json.dumps(self.waits if b"/waits" in head else self.seen).encode()
            self.transport.write(HEAD % (b"200 OK", len(reply)) + reply)
            return
        self.seen.append(time.time())
        at = body.find(b'"model":"')
        reply, status, wait = REPLY % body[at + 9 : body.find(b'"', at + 9)], b"200 OK", self.latency
        if self.fail_share and body not in self.failed and self.dice.random() < self.fail_share:
            self.failed.add(body)
            reply, status = b'{"error": {"message": "try again"}}', b"500 Internal Server Error"
        elif self.slow_share and self.dice.random() < self.slow_share:
            wait = self.slow_s
        self.waits.append(wait)
        asyncio.get_running_loop().call_later(wait, self.send, HEAD % (status, len(reply)) + reply)

    def send(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)


async def main(port, latency, slow_share=0.0, slow_s=0.0, fail_share=0.0):
    Light.latency, Light.slow_share, Light.slow_s, Light.fail_share = latency, slow_share, slow_s, fail_share
    server = await asyncio.get_running_loop().create_server(Light, "127.0.0.1", int(port), backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*map(float, sys.argv[1:])))
