"""A model in this process (extra `train`): questions come one by one, as over a wire, and are answered in batches."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import Field, ValidationError

from consensus.errors import UsageError
from consensus.sections.base import Section
from consensus.sections.endpoints import Endpoint, Judge
from labeling.providers.base import Allowed, Answer, CallError, Question, length

# Only the room `training` may meet torch, and `labeling` does not look sideways: the model is named by an import string, and
# opened when it is asked for, as the front door does with the commands of all rooms.
_MODEL = "training.local", "LocalModel"
WRITE_AT_ONCE = 8192  # tokens of a batch of answers: each step of it reads all weights, whatever the batch
GATHER_S = 0.01  # how long a batch waits for company: an answer makes its asker ask again, a little later

_COMPUTING = (
    threading.Lock()
)  # one model at a time: each takes all cores, and several that share them take longer than in turn

Waiting = tuple[Question, "asyncio.Future[Answer]"]


class Mind(Protocol):
    """What `training.local.LocalModel` has."""

    @property
    def fingerprint(self) -> str:
        """Of weights, adapter, tokenizer and chat template."""

    @property
    def read_at_once(self) -> int:
        """Tokens of a judge's batch, by the hardware."""

    def verdicts(self, asked: Sequence[Any], /) -> list[Any]:
        """What it says as a judge, in one forward pass."""

    def completions(self, asked: Sequence[Any], /, *, temperature: float, max_tokens: int) -> list[Any]:
        """Sampled text."""


class Batching(Section):
    """How a local model is asked; given under `extra`."""

    batch_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens computed at once, at four characters each; by default 8,192, for a judge what the hardware reads best",
    )


@dataclass
class Local:
    """A model, and the one thread that computes with it, whatever it is asked."""

    mind: Mind
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "local-model"))

    @classmethod
    def open(cls, config: Endpoint) -> Local:
        """Load a model and its adapter.

        Raises:
            UsageError: the extra `train`, the model or the adapter is not there.
        """
        module, name = _MODEL
        return cls(getattr(importlib.import_module(module), name).open(config.model, config.adapter, config.folder))

    def judge(self, config: Judge) -> InBatches:
        """The way to its verdicts.

        Raises:
            UsageError: the judge has settings that a local one does not take.
        """
        if config.temperature:
            raise UsageError(
                f"judge {config.label!r} is local: it gives its likeliest verdict, and nothing is drawn: temperature has to be 0"
            )
        if config.begin is not None:
            raise UsageError(f"judge {config.label!r} is local, and begins its reply itself: take 'begin' out")

        def verdicts(questions: Sequence[Question]) -> list[Any]:
            return self.mind.verdicts([question.messages for question in questions])

        size = batching(config).batch_tokens or self.mind.read_at_once
        return InBatches(self, config.model, verdicts, 0.0, batch_tokens=size)

    def writer(self, config: Endpoint) -> InBatches:
        """The way to its completions.

        Raises:
            UsageError: it has settings that a local one does not take.
        """
        temperature, longest = 1.0 if config.temperature is None else config.temperature, config.max_tokens

        def completions(questions: Sequence[Question]) -> list[Any]:
            asked = [(question.messages, question.tools, _seed(question)) for question in questions]
            return self.mind.completions(asked, temperature=temperature, max_tokens=longest)

        size = batching(config).batch_tokens or WRITE_AT_ONCE
        return InBatches(self, config.model, completions, temperature, batch_tokens=size, reply_tokens=longest)

    def close(self) -> None:
        """Let go of the thread, once it has done what it is at."""
        self.thread.shutdown(cancel_futures=True)


@dataclass
class InBatches:
    """Answers what waits together: the oldest question and those about as long, as many as `batch_tokens` hold.

    Attributes:
        reply_tokens: the longest answer's.
    """

    local: Local
    model: str
    answers: Callable[[Sequence[Question]], list[Any]]
    temperature: float | None
    batch_tokens: int
    reply_tokens: int = 1
    name: str = "local"
    allowed: Allowed | None = None
    _waiting: list[Waiting] = field(default_factory=list)
    _worker: asyncio.Task[None] | None = None

    async def send(self, question: Question) -> Answer:
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answered))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answered

    def without(self, _: str) -> None:
        return None

    async def close(self) -> None:
        """Nothing is open but the model, which others may share."""

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(GATHER_S)
            self._waiting = [one for one in self._waiting if not one[1].done()]  # cancelled ones
            if not self._waiting:
                return
            batch = together(self._waiting, self.batch_tokens, self.reply_tokens)
            self._waiting = [one for one in self._waiting if one not in batch]
            try:
                said, took = await loop.run_in_executor(self.local.thread, self._in_turn, [q for q, _ in batch])
            except Exception as error:  # noqa: BLE001 - whoever asked is told, instead of waiting for ever
                said, took = [_failed(error)] * len(batch), 0.0
            for (_, answered), one in zip(batch, said, strict=True):
                if not answered.done():
                    self._tell(answered, one, took / len(batch))

    def _in_turn(self, questions: Sequence[Question]) -> tuple[list[Any], float]:
        """The answers, and the seconds they took."""
        with _COMPUTING:
            started = time.perf_counter()
            return self.answers(questions), time.perf_counter() - started

    def _tell(self, answered: asyncio.Future[Answer], said: Any, took: float) -> None:
        if isinstance(said, BaseException):
            answered.set_exception(said)
        elif hasattr(said, "reason"):
            answered.set_exception(CallError("bad_request", said.reason, retry=False))
        else:
            counts = (said.prompt_tokens, said.completion_tokens)
            more = {"fingerprint": self.local.mind.fingerprint, "tool_calls": said.tool_calls}
            answered.set_result(
                Answer(said.text, False, said.finish_reason, self.model, *counts, 0, took, said.tokens, **more)
            )


def together(waiting: Sequence[Waiting], tokens: int, reply: int) -> list[Waiting]:
    """The questions to answer next: the oldest, and those nearest to it in length, as long as all fit when padded."""
    sizes = {id(one): length(one[0].messages) for one in waiting}
    first = sizes[id(waiting[0])]
    chosen: list[Waiting] = []
    longest = 0
    for one in sorted(waiting, key=lambda one: abs(sizes[id(one)] - first)):
        longest = max(longest, sizes[id(one)] + reply)
        if chosen and longest * (len(chosen) + 1) > tokens:
            break
        chosen.append(one)
    return chosen


def batching(config: Endpoint) -> Batching:
    """How a local model is asked.

    Raises:
        UsageError: its `extra` says something else.
    """
    try:
        return Batching.model_validate(config.extra)
    except ValidationError as error:
        problem = error.errors()[0]
        where, known = ".".join(map(str, problem["loc"])), ", ".join(Batching.model_fields)
        raise UsageError(
            f"{config.word} {config.label!r}: extra.{where}: {problem['msg']}; a local one takes {known}"
        ) from None


def _seed(question: Question) -> int:
    """The question's own, else one that follows from its id: the same question has the same answer."""
    if question.seed is not None:
        return question.seed
    return int(hashlib.sha256(question.key.encode()).hexdigest()[:15], 16)


def _failed(error: Exception) -> Exception:
    """Running out of memory is nobody's bug; all else is."""
    if isinstance(error, MemoryError) or "memory" in str(error).lower():
        said = f"{str(error)[:300]}; lower extra.batch_tokens or max_parallel"
        return CallError("server_error", said, retry=False)
    return error
