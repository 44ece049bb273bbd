"""A model that is asked one call at a time: its transport, its price, and the parameters it turns out not to take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from consensus.cycle import Cycle
from consensus.nouns import AskedT, Failure, Spent
from consensus.sections.endpoints import Endpoint, Price
from labeling.providers.base import Answer, CallError, Question, Transport, parameters
from labeling.providers.routes import Route, route

if TYPE_CHECKING:
    from pathlib import Path

    from labeling.providers.http import Carrier
    from labeling.providers.local import Local

_VERSION = re.compile(r"(-(preview|latest|exp|beta))?([-@:](\d{4}[\d-]*|\d{2}-\d{2,4}|00\d|latest|v\d[\w.]*))?")


@dataclass
class Model:
    """A model that can be asked."""

    config: Endpoint
    transport: Transport
    price: Price | None
    cycle: str
    seed: int

    optional: ClassVar[Mapping[str, tuple[str, ...]]] = {  # what it can do without, and how a refusal of it reads
        "temperature": ("temperature",),
        "response_format": ("response_format", "json_schema", "output_format", "schema"),
    }

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.config.label

    async def send(self, question: Question) -> tuple[Answer, float | None]:
        """Ask once, and at once again without a parameter that was refused; the answer, and the temperature that was sent.

        Raises:
            CallError: no answer came.
        """
        while True:
            transport = self.transport  # another call may change it while this one waits
            try:
                return await transport.send(question), transport.temperature
            except CallError as error:
                if not self._ask_without(error, transport):
                    raise

    def cost(self, prompt_tokens: int | None, completion_tokens: int | None, cached_tokens: int = 0) -> float | None:
        """US dollars; None without a price or a count."""
        if self.price is None or prompt_tokens is None or completion_tokens is None:
            return None
        cached_price = self.price.input if self.price.cached_input is None else self.price.cached_input
        dollars = (prompt_tokens - cached_tokens) * self.price.input + cached_tokens * cached_price
        return (dollars + completion_tokens * self.price.output) / 1e6

    def spent(self, answer: Answer) -> Spent:
        """What an answer cost."""
        cost = self.cost(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
        return Spent(answer.prompt_tokens, answer.completion_tokens, cost, answer.latency_s)

    def answers_as(self, served: str | None) -> bool:
        """Whether a model's name is its own (a fallback's is not)."""
        return served is None or same_model(self.config.model, served)

    def unless_another(self, asked: AskedT, answer: Answer) -> Failure[AskedT] | None:
        """The failure that an answer is if a model gave it that is neither this one nor one of its fallbacks."""
        if self.answers_as(answer.model) or any(same_model(name, answer.model or "") for name in self.config.fallbacks):
            return None
        message = (
            f"asked {self.config.model!r}, but {answer.model!r} answered; "
            f"if its answers may count as this {self.config.word}'s, list it under 'fallbacks'"
        )
        return Failure(asked, "wrong_model", message, self.spent(answer), retry=True)

    def empty(self, asked: AskedT, answer: Answer) -> Failure[AskedT]:
        """The failure that an answer without any text is."""
        cut = answer.finish_reason == "length"
        message = (
            f"the reply was cut before any text; raise max_tokens ({self.config.max_tokens})"
            if cut
            else "the reply has no text"
        )
        return Failure(asked, "empty", message, self.spent(answer), retry=not cut)

    def _ask_without(self, error: CallError, sent: Transport) -> bool:
        """Whether the provider refused a parameter that can be left out; from then on it is not sent.

        Calls that were in flight together are refused together: the first one changes the transport, the others follow.
        """
        if error.status not in (400, 422):
            return False
        for parameter, signs in self.optional.items():
            if not any(sign in error.message for sign in signs):
                continue
            if self.transport is not sent:
                return True
            if other := sent.without(parameter):
                self.transport = other
                return True
        return False


def no_answer(asked: AskedT, error: CallError) -> Failure[AskedT]:
    """A call's error as a failure of what was asked."""
    spent = Spent(latency_s=error.latency_s)
    return Failure(asked, error.kind, error.message, spent, error.retry, error.fatal, error.retry_after_s)


@lru_cache(maxsize=1000)
def same_model(asked: str, served: str) -> bool:
    """Whether a served model's name means the asked one: equal up to the provider before it and a version or date behind."""
    asked, served = (name.lower().rpartition("/")[2] for name in (asked, served))
    return served.startswith(asked) and _VERSION.fullmatch(served[len(asked) :]) is not None


class Connections:
    """The ways to the models of a cycle, over connections that they share; close it after all of their transports."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self._local: dict[tuple[str, Path | None], Local] = {}

    async def close(self) -> None:
        """Let go of the connections, and of models in this process."""
        if "carrier" in self.__dict__:
            await self.carrier.close()
        for local in self._local.values():
            local.close()

    def local(self, config: Endpoint) -> Local:
        """A model in this process, which is loaded once.

        Raises:
            UsageError: it cannot be loaded.
        """
        from labeling.providers.local import Local

        name = config.model, config.adapter
        if name not in self._local:
            self._local[name] = Local.open(config)
        return self._local[name]

    def way(self, config: Endpoint) -> Route:
        """Where a model's calls go.

        Raises:
            UsageError: it has no key.
        """
        return route(config, self.cycle.gateway)

    def open(self, config: Endpoint, way: Route, response_format: Any = None, **more: Any) -> tuple[Transport, str]:
        """The fast transport, or the default one and why.

        Args:
            more: further parameters of every call.
        """
        from labeling.providers.completion import Completion
        from labeling.providers.parity import NotEqual
        from labeling.providers.wire import Wire

        extra = way.fresh_extra({} if config.provider == "simulated" else config.extra)
        asked = parameters(config.temperature, config.max_tokens, response_format, {**more, **extra})
        try:
            return Wire(way, asked, self.cycle.limits.timeout_s, self.carrier), ""
        except NotEqual as error:
            return Completion(way, asked, self.cycle.limits.timeout_s), str(error)

    @cached_property
    def carrier(self) -> Carrier:
        """The connections that all fast transports share."""
        from labeling.providers.http import carrier

        return carrier()
