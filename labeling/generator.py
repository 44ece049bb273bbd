"""The model that is trained, ready to be asked for completions."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Failure, digest
from consensus.prompts import Completion, Draw, Prompt
from consensus.sections.generation import Generation
from labeling.drawing import completion_of, seed_of, sendable
from labeling.model import Connections, Model, no_answer
from labeling.providers.base import CallError, NotConnected, Question, Transport, length
from labeling.providers.routes import price

USUAL_REPLY = 250  # tokens, where production's answer does not tell
TOOL_SETS = 256  # ways that are kept open, one for each set of tools


class _Way(Model):
    """The model with one set of tools."""

    optional: ClassVar[Mapping[str, tuple[str, ...]]] = {**Model.optional, "seed": ("seed",)}


class Generator(Model):
    """The model of the section `generation`; an async context manager.

    litellm translates tools once for every set of them: traffic has few sets, and a call is then as cheap as a judge's.
    """

    config: Generation

    def __init__(self, cycle: Cycle, generation: Generation) -> None:
        super().__init__(generation, NotConnected(), price(generation), cycle.name, cycle.cycle.seed)
        self._connections = Connections(cycle)
        self._ways: dict[str, _Way] = {}

    async def __aenter__(self) -> Self:
        try:
            self.transport = self._way(()).transport
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for way in self._ways.values():
            await way.transport.close()
        await self._connections.close()

    async def ask(self, prompt: Prompt, draw: Draw, /, *, attempt: int = 1) -> Completion | Failure[Draw]:
        """Draw one completion, once.

        Returns:
            A failure if no answer came, or if a model answered that is neither this one nor one of its fallbacks.
        """
        seed = seed_of(self.seed, draw) if self.config.seeds else None
        question = Question(sendable(prompt.messages), self.key(draw), attempt, seed, prompt.tools)
        way = self._way(prompt.tools)
        try:
            answer, temperature = await way.send(question)
        except CallError as error:
            return no_answer(draw, error)
        finally:
            self.transport = way.transport  # the limits that its replies name are the account's
        if failure := self.unless_another(draw, answer):
            return failure
        messages = completion_of(answer)
        if not messages and answer.refused:
            return Failure(draw, "empty", "the provider filtered the answer", self.spent(answer), retry=False)
        if not messages:
            return self.empty(draw, answer)
        return Completion(draw, messages, answer.model, temperature, answer.finish_reason, self.spent(answer))

    def key(self, draw: Draw) -> str:
        """The draw's id on the wire."""
        return digest([self.cycle, "completion", draw.prompt_id, draw.model, draw.sample])[:32]

    def tokens(self, prompt: Prompt, _: Draw, /) -> tuple[int, int]:
        """A request's length in tokens, estimated at four characters each, and an answer's, as long as production's."""
        reply = length(prompt.production) or USUAL_REPLY
        tools = len(str(prompt.tools)) // 4 if prompt.tools else 0
        return length(prompt.messages) + tools, min(self.config.max_tokens, reply)

    def _way(self, tools: Sequence[Mapping[str, Any]]) -> _Way:
        key = (
            digest(tools) if tools and self.config.provider != "local" else ""
        )  # a local one reads them with the question
        if key not in self._ways:
            if len(self._ways) > TOOL_SETS:
                del self._ways[next(name for name in self._ways if name)]
            self._ways[key] = _Way(self.config, self._open(tools), self.price, self.cycle, self.seed)
        return self._ways[key]

    def _open(self, tools: Sequence[Mapping[str, Any]]) -> Transport:
        if self.config.provider == "simulated" and self.config.api_base is None:
            from labeling.providers.simulated import InProcess
            from labeling.providers.simulated_model import SimulatedModel

            return InProcess(SimulatedModel.of(self.config), self.config.temperature)
        if self.config.provider == "local":
            return self._connections.local(self.config).writer(self.config)
        more: dict[str, Any] = {"seed": 1} if self.config.seeds else {}  # each draw's own stands in its place
        if tools:
            more["tools"] = copy.deepcopy(tools)  # litellm changes what it is given
        return self._connections.open(self.config, self._connections.way(self.config), **more)[0]


def generation_of(cycle: Cycle) -> Generation:
    """The cycle's generation.

    Raises:
        UsageError: it has none.
    """
    if cycle.generation is None:
        raise UsageError(
            "the cycle file has no 'generation:'; it names the model whose completions are compared, e.g.\n"
            "generation:\n  provider: openai\n  model: my-checkpoint\n  api_base: http://127.0.0.1:8000/v1\n  n: 4"
        )
    return cycle.generation
