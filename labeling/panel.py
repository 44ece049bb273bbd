"""The panel, ready to be asked: every judge with its transport, rubric and price."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from consensus.cycle import Cycle, Judge, Price
from consensus.nouns import Ballot, Failure, Pair, Spent, Verdict, Vote, digest
from labeling.providers.base import Answer, CallError, NotConnected, Question, Transport, parameters
from labeling.providers.routes import litellm, price, route
from labeling.reply import Reply, parse, verdict_margin
from labeling.rubric import Rubric

if TYPE_CHECKING:
    from labeling.providers.http import Carrier
    from labeling.providers.simulated import World

_VERSION = re.compile(r"(-(preview|latest|exp|beta))?([-@:](\d{4}[\d-]*|\d{2}-\d{2,4}|00\d|latest|v\d[\w.]*))?")


@dataclass
class PanelJudge:
    """A judge that can be asked."""

    config: Judge
    rubric: Rubric
    transport: Transport
    price: Price | None
    cycle: str
    seed: int
    why_default: str = ""

    @property
    def name(self) -> str:
        """The judge's name."""
        return self.config.label

    async def ask(self, pair: Pair, ballot: Ballot, *, attempt: int = 1) -> Vote | Failure:
        """Put one ballot to the judge, once.

        Returns:
            A failure if no answer came, or if a model answered that is neither the judge's nor one of its fallbacks.
        """
        question = Question(self.rubric.messages(pair, ballot, seed=self.seed), self.key(ballot), attempt)
        while True:
            transport = self.transport  # another call may change it while this one waits
            try:
                return self.judged(ballot, await transport.send(question), transport.temperature)
            except CallError as error:
                if not self._ask_without(error, transport):
                    spent = Spent(latency_s=error.latency_s)
                    return Failure(
                        ballot, error.kind, error.message, spent, error.retry, error.fatal, error.retry_after_s
                    )

    def key(self, ballot: Ballot) -> str:
        """The ballot's id on the wire."""
        return digest([self.cycle, ballot.pair_id, ballot.judge, ballot.shown, ballot.repeat])[:32]

    def cost(self, prompt_tokens: int | None, completion_tokens: int | None, cached_tokens: int = 0) -> float | None:
        """US dollars; None without a price or a count."""
        if self.price is None or prompt_tokens is None or completion_tokens is None:
            return None
        cached_price = self.price.input if self.price.cached_input is None else self.price.cached_input
        dollars = (prompt_tokens - cached_tokens) * self.price.input + cached_tokens * cached_price
        return (dollars + completion_tokens * self.price.output) / 1e6

    def answers_as(self, served: str | None) -> bool:
        """Whether a model's name is the judge's own (a fallback's is not)."""
        return served is None or same_model(self.config.model, served)

    def judged(self, ballot: Ballot, answer: Answer, temperature: float | None) -> Vote | Failure:
        """What an answer says of a ballot; a failure if it has no text, or if it is another model's."""
        cost = self.cost(answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
        spent = Spent(answer.prompt_tokens, answer.completion_tokens, cost, answer.latency_s)
        if not self.answers_as(answer.model) and not any(
            same_model(name, answer.model or "") for name in self.config.fallbacks
        ):
            message = (
                f"asked {self.config.model!r}, but {answer.model!r} answered; "
                f"if its answers may count as this judge's, list it under 'fallbacks'"
            )
            return Failure(ballot, "wrong_model", message, spent, retry=True)
        if not answer.text.strip() and not answer.refused:
            cut = answer.finish_reason == "length"
            message = (
                f"the reply was cut before any text; raise max_tokens ({self.config.max_tokens})"
                if cut
                else "the reply has no text"
            )
            return Failure(ballot, "empty", message, spent, retry=not cut)
        reply = Reply(Verdict.ABSTAIN) if answer.refused else parse(answer.text, ballot.shown)
        margin = verdict_margin(answer.tokens) if answer.tokens and reply.verdict in (Verdict.A, Verdict.B) else None
        finish = answer.finish_reason
        return Vote(ballot, reply.verdict, answer.text, reply.scores, answer.model, temperature, finish, spent, margin)

    def _ask_without(self, error: CallError, sent: Transport) -> bool:
        """Whether the provider refused a parameter that the judge can do without; from then on it is not sent.

        Calls that were in flight together are refused together: the first one changes the transport, the others follow.
        """
        if error.status not in (400, 422):
            return False
        words = {
            "temperature": ("temperature",),
            "response_format": ("response_format", "json_schema", "output_format", "schema"),
        }
        for parameter, signs in words.items():
            if not any(sign in error.message for sign in signs):
                continue
            if self.transport is not sent:
                return True
            if other := sent.without(parameter):
                self.transport = other
                return True
        return False


@lru_cache(maxsize=1000)
def same_model(asked: str, served: str) -> bool:
    """Whether a served model's name means the asked one: equal up to the provider before it and a version or date behind."""
    asked, served = (name.lower().rpartition("/")[2] for name in (asked, served))
    return served.startswith(asked) and _VERSION.fullmatch(served[len(asked) :]) is not None


class Panel:
    """The judges of a cycle that are called, opened together; an async context manager.

    Args:
        truth: pairs with gold, which simulated judges know.
    Raises:
        UsageError: a judge has no key, or its settings make no sense.
    """

    def __init__(self, cycle: Cycle, rubric: Rubric, truth: Iterable[Pair] = ()) -> None:
        self.cycle, self.rubric, self._truth = cycle, rubric, truth
        self.judges: dict[str, PanelJudge] = {}

    async def __aenter__(self) -> Self:
        try:
            for config in self.cycle.judges:
                if config.called:
                    self.judges[config.label] = await self._open(config)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for judge in self.judges.values():
            await judge.transport.close()
        if "carrier" in self.__dict__:
            await self.carrier.close()

    def priced(self) -> dict[str, PanelJudge]:
        """The judges that are called, without a connection: enough to price them, no key needed."""
        seed, name = self.cycle.cycle.seed, self.cycle.name
        return {
            judge.label: PanelJudge(judge, self.rubric, NotConnected(), price(judge), name, seed)
            for judge in self.cycle.judges
            if judge.called
        }

    async def _open(self, config: Judge) -> PanelJudge:
        transport, why = await self._transport(config)
        return PanelJudge(config, self.rubric, transport, price(config), self.cycle.name, self.cycle.cycle.seed, why)

    async def _transport(self, config: Judge) -> tuple[Transport, str]:
        if config.provider == "simulated" and config.api_base is None:
            from labeling.providers.simulated import InProcess, SimulatedJudge

            return InProcess(SimulatedJudge.of(config, self._world), config.temperature), ""
        from labeling.providers.completion import Completion
        from labeling.providers.parity import NotEqual
        from labeling.providers.wire import Wire

        way = route(config, self.cycle.gateway)
        extra = {} if config.provider == "simulated" else config.extra
        asked = parameters(config.temperature, config.max_tokens, self._schema(way.provider, way.model), extra)
        try:
            return Wire(way, asked, self.cycle.limits.timeout_s, self.carrier), ""
        except NotEqual as error:
            return Completion(way, asked, self.cycle.limits.timeout_s), str(error)

    @cached_property
    def _world(self) -> World:
        from labeling.providers.simulated import World

        return World.of(self._truth)

    def _schema(self, provider: str, model: str) -> Mapping[str, Any] | None:
        """The reply contract, for providers that enforce one."""
        enforced = provider in ("hosted_vllm", "openai", "azure") or litellm().supports_response_schema(model, provider)
        schema = {"name": "judgment", "strict": True, "schema": self.rubric.schema}
        return {"type": "json_schema", "json_schema": schema} if enforced else None

    @cached_property
    def carrier(self) -> Carrier:
        """The connections that all fast judges share."""
        from labeling.providers.http import carrier

        return carrier()
