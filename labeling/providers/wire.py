"""The fast transport: litellm translates, one pooled aiohttp session carries.

`litellm.acompletion` spends many times the processor time of the call itself on logging, callbacks and clients. Here litellm
resolves provider, address, headers and parameters once per judge (see parity.py), and only the call itself is left. A judge takes
this transport only if url, headers and body equal what litellm would send; what signs requests or fetches tokens per call stays
on the default.
"""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import orjson

from labeling.providers.base import Answer, CallError, Question, Transport, error_of
from labeling.providers.completion import Completion
from labeling.providers.parity import Body, NotEqual, prepare
from labeling.providers.routes import Route


class Wire:
    """Asks over a session that all fast judges share.

    Raises:
        NotEqual: see `prepare`.
    """

    name = "fast"

    def __init__(
        self, route: Route, parameters: dict[str, Any], timeout_s: float, session: aiohttp.ClientSession
    ) -> None:
        self.call = prepare(route, parameters)
        self.route, self._parameters, self._session = route, parameters, session
        self._timeout_s = timeout_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        sent = self.call.parameters.get("temperature")
        self.temperature = None if sent is None else float(sent)

    async def send(self, question: Question) -> Answer:
        call = self.call
        data = orjson.dumps(call.body(question.messages))
        headers = {**call.headers, "x-client-request-id": question.key}
        started = time.perf_counter()
        try:
            async with self._session.post(call.url, data=data, headers=headers, timeout=self._timeout) as response:
                content = await response.read()
                status, replied = response.status, response.headers
        except TimeoutError:
            raise CallError(
                "timeout", f"no answer within {self._timeout_s:g} s", latency_s=time.perf_counter() - started
            ) from None
        except aiohttp.ClientError as error:
            raise CallError(
                "connection", f"{type(error).__name__}: {error}", latency_s=time.perf_counter() - started
            ) from None
        latency = time.perf_counter() - started
        if status != 200:
            raise error_of(status, content.decode("utf-8", "replace"), replied, latency)
        return self.read(Body(status, replied, content), latency)

    def read(self, body: Body, latency: float) -> Answer:
        """A reply with status 200, as litellm reads it.

        Raises:
            CallError: it is none.
        """
        try:
            return self.call.answer(body, latency)
        except CallError:
            raise
        except Exception as error:  # noqa: BLE001 - half bodies, HTML, other JSON: litellm's configs raise what they like
            message = f"HTTP 200, but not a reply ({type(error).__name__}): {body.text[:500]}"
            raise CallError("bad_reply", message, latency_s=latency) from None

    def without(self, parameter: str) -> Transport | None:
        if parameter not in self._parameters:
            return None
        kept = {name: value for name, value in self._parameters.items() if name != parameter}
        try:
            return Wire(self.route, kept, self._timeout_s, self._session)
        except NotEqual:
            return Completion(self.route, kept, self._timeout_s)

    async def close(self) -> None:
        """Nothing: the session belongs to the panel."""
