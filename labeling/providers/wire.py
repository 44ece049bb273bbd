"""The fast transport: litellm translates, connections of our own carry.

`litellm.acompletion` spends many times the processor time of the call itself on logging, callbacks and clients. Here litellm
resolves provider, address, headers and parameters once per judge (see parity.py), and only the call itself is left. A judge takes
this transport only if url, headers and body equal what litellm would send; what signs requests or fetches tokens per call stays
on the default.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from labeling.providers.base import Allowed, Answer, CallError, Question, Transport, allowed, error_of
from labeling.providers.completion import Completion
from labeling.providers.http import Carrier
from labeling.providers.parity import Body, NotEqual, prepare
from labeling.providers.routes import Route


class Wire:
    """Asks over connections that all fast judges share.

    Raises:
        NotEqual: see `prepare`.
    """

    name = "fast"

    def __init__(self, route: Route, parameters: dict[str, Any], timeout_s: float, carrier: Carrier) -> None:
        self.call = prepare(route, parameters)
        self.route, self._parameters, self._carrier = route, parameters, carrier
        self._timeout_s = timeout_s
        self.allowed: Allowed | None = None
        sent = self.call.parameters.get("temperature")
        self.temperature = None if sent is None else float(sent)

    async def send(self, question: Question) -> Answer:
        call = self.call
        try:
            data = orjson.dumps(call.body(question.messages, question.seed))
        except Exception as error:  # noqa: BLE001 - a conversation may hold what a provider has no words for
            message = f"the request cannot be put in {self.route.provider}'s form: {type(error).__name__}: {error}"
            raise CallError("bad_request", message[:500], retry=False) from None
        headers = call.headers | self.route.headers(question.key)
        started = time.perf_counter()
        try:
            response = await self._carrier.post(call.url, headers, data, timeout_s=self._timeout_s)
        except TimeoutError:
            raise CallError(
                "timeout", f"no answer within {self._timeout_s:g} s", latency_s=time.perf_counter() - started
            ) from None
        except OSError as error:
            message = f"{type(error).__name__}: {error}"
            raise CallError("connection", message, latency_s=time.perf_counter() - started) from None
        except ValueError as error:
            message = f"its address or headers cannot be sent: {error}"
            raise CallError("bad_request", message, retry=False, fatal=True) from None
        latency = time.perf_counter() - started
        self.allowed = allowed(self.route.provider, response.headers) or self.allowed
        if response.status != 200:
            raise error_of(response.status, response.content.decode("utf-8", "replace"), response.headers, latency)
        return self.read(Body(*response), latency)

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
            return Wire(self.route, kept, self._timeout_s, self._carrier)
        except NotEqual:
            return Completion(self.route, kept, self._timeout_s)

    async def close(self) -> None:
        """Nothing: the connections belong to the panel."""
