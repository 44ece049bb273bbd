"""The panel, ready to be asked: every judge with its transport, rubric and price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from consensus.cycle import Cycle
from consensus.nouns import Ballot, Failure, Pair, Verdict, Vote, digest
from consensus.sections.endpoints import Judge
from labeling.model import Connections, Model, no_answer
from labeling.providers.base import Answer, CallError, NotConnected, Question, Transport
from labeling.providers.routes import litellm, price
from labeling.reply import Reply, parse, verdict_margin
from labeling.rubric import Messages, Rubric

if TYPE_CHECKING:
    from labeling.providers.simulated import World

REPLY_TOKENS = 110  # a judge's usual reply: the reasoning and the verdict ...
AXIS_TOKENS = 14  # ... and each axis' scores


@dataclass(kw_only=True)
class PanelJudge(Model):
    """A judge that can be asked."""

    config: Judge
    rubric: Rubric
    why_default: str = ""

    async def ask(self, pair: Pair, ballot: Ballot, /, *, attempt: int = 1) -> Vote | Failure:
        """Put one ballot to the judge, once.

        Returns:
            A failure if no answer came, or if a model answered that is neither the judge's nor one of its fallbacks.
        """
        question = Question(self.messages(pair, ballot), self.key(ballot), attempt)
        try:
            answer, temperature = await self.send(question)
        except CallError as error:
            return no_answer(ballot, error)
        return self.judged(ballot, answer, temperature)

    def messages(self, pair: Pair, ballot: Ballot) -> Messages:
        """The request for a ballot, with the beginning of the reply where the cycle file gives one."""
        request = self.rubric.messages(pair, ballot, seed=self.seed)
        return request if self.config.begin is None else [*request, {"role": "assistant", "content": self.config.begin}]

    def key(self, ballot: Ballot) -> str:
        """The ballot's id on the wire."""
        return digest([self.cycle, ballot.pair_id, ballot.judge, ballot.shown, ballot.repeat])[:32]

    def judged(self, ballot: Ballot, answer: Answer, temperature: float | None) -> Vote | Failure:
        """What an answer says of a ballot; a failure if it has no text, or if it is another model's."""
        if failure := self.unless_another(ballot, answer):
            return failure
        answer = begun(answer, self.config.begin)
        if not answer.text.strip() and not answer.refused:
            return self.empty(ballot, answer)
        reply = Reply(Verdict.ABSTAIN) if answer.refused else parse(answer.text, ballot.shown)
        margin = verdict_margin(answer.tokens) if answer.tokens and reply.verdict in (Verdict.A, Verdict.B) else None
        return Vote(
            ballot,
            reply.verdict,
            answer.text,
            reply.scores,
            answer.model,
            temperature,
            answer.finish_reason,
            self.spent(answer),
            margin,
            fingerprint=answer.fingerprint,
        )

    def tokens(self, pair: Pair, ballot: Ballot, /) -> tuple[int, int]:
        """A request's length in tokens, estimated at four characters each, and the usual reply's."""
        request = self.messages(pair, ballot)
        return sum(len(message["content"]) for message in request) // 4, self.reply_tokens

    @property
    def reply_tokens(self) -> int:
        """A reply's expected length in tokens."""
        return min(self.config.max_tokens, REPLY_TOKENS + AXIS_TOKENS * len(self.rubric.axes))


def begun(answer: Answer, begin: str | None) -> Answer:
    """An answer with its beginning, which was put into the judge's mouth; some servers repeat it, some do not."""
    if begin is None or not answer.text or answer.refused or answer.text.startswith(begin):
        return answer
    first = {"token": begin, "logprob": 0.0, "top_logprobs": []}
    tokens = [first, *answer.tokens] if isinstance(answer.tokens, list) else answer.tokens
    return replace(answer, text=begin + answer.text, tokens=tokens)


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
        self._connections = Connections(cycle)

    async def __aenter__(self) -> Self:
        try:
            for config in self.cycle.judges:
                if config.called:
                    self.judges[config.label] = self._open(config)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for judge in self.judges.values():
            await judge.transport.close()
        await self._connections.close()

    def priced(self) -> dict[str, PanelJudge]:
        """The judges that are called, without a connection: enough to price them, no key needed."""
        called = [judge for judge in self.cycle.judges if judge.called]
        return {judge.label: self._judge(judge, NotConnected()) for judge in called}

    def _open(self, config: Judge) -> PanelJudge:
        if config.provider == "simulated" and config.api_base is None:
            from labeling.providers.simulated import InProcess, SimulatedJudge

            return self._judge(config, InProcess(SimulatedJudge.of(config, self._world), config.temperature))
        if config.provider == "local":
            return self._judge(config, self._connections.local(config).judge(config))
        way = self._connections.way(config)
        schema = (
            self._schema(way.provider, way.model) if config.begin is None else None
        )  # the rest of a reply fits none
        transport, why = self._connections.open(config, way, schema)
        return self._judge(config, transport, why)

    def _judge(self, config: Judge, transport: Transport, why_default: str = "") -> PanelJudge:
        return PanelJudge(
            config=config,
            rubric=self.rubric,
            transport=transport,
            price=price(config),
            cycle=self.cycle.name,
            seed=self.cycle.cycle.seed,
            why_default=why_default,
        )

    @cached_property
    def _world(self) -> World:
        from labeling.providers.simulated import World

        return World.of(self._truth)

    def _schema(self, provider: str, model: str) -> Mapping[str, Any] | None:
        """The reply contract, for providers that enforce one."""
        enforced = provider in ("hosted_vllm", "openai", "azure") or litellm().supports_response_schema(model, provider)
        schema = {"name": "judgment", "strict": True, "schema": self.rubric.schema}
        return {"type": "json_schema", "json_schema": schema} if enforced else None
