"""Judges with known faults: they read the same request as any model and reply as text, over the same rubric and parser.

Every draw is a hash of what it belongs to (pair, judge, ballot), never of time or order, so that scheduling cannot change a vote.

A judge's opinion of a pair is right with some probability, or, on some pairs, is simply the first slot; each call then flips it
with a probability of its own pair: q = Phi(-s g) with g ~ Gamma(6)/6, whose median is `flip_rate` and of which 8 % lie above 40 %
at a median of 19 %, as measured on production judges.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

from pydantic import Field, ValidationError

from consensus.errors import UsageError
from consensus.nouns import Pair, Verdict
from consensus.sections.base import Section
from consensus.sections.endpoints import Judge
from labeling.providers.base import Allowed, Answer, CallError, Question, Transport, length
from labeling.rubric import render

Trouble = Literal["rate_limit", "server_error", "hang_up", "half_body", "html"]
TROUBLES: tuple[Trouble, ...] = ("rate_limit", "server_error", "hang_up", "half_body", "html")
_FENCE = r"BEGIN completion {slot} (\w+)\n(.*)\nEND completion {slot} \1"
_PROSE = "Both completions have their merits; it depends on what the reader is looking for."


class Service(Section):
    """What is wrong with the way to any simulated model."""

    failures: float = Field(default=0.0, ge=0, lt=1, description="share of calls that bring no reply")
    latency_s: float = Field(default=0.0, ge=0, description="mean seconds per call")

    def trouble(self, model: str, key: str, attempt: int) -> Trouble | None:
        """What goes wrong with a call, if anything."""
        if draw("fails", model, key, attempt) >= self.failures:
            return None
        return TROUBLES[int(draw("how", model, key, attempt) * len(TROUBLES))]

    def latency(self, model: str, key: str, attempt: int) -> float:
        """Seconds that a call takes: half of the mean for certain, half exponential."""
        mean = self.latency_s
        return mean * (0.5 - 0.5 * math.log(1 - draw("latency", model, key, attempt))) if mean else 0.0


class Simulated(Protocol):
    """A model that is simulated: a judge, or one that answers prompts."""

    @property
    def name(self) -> str:
        """By which it is asked."""

    @property
    def service(self) -> Service:
        """What is wrong with the way to it."""

    def message(self, messages: Sequence[Mapping[str, Any]], key: str, tools: Sequence[Any] = (), /) -> dict[str, Any]:
        """Its answer, as a message in OpenAI's form."""


class Faults(Service):
    """What is wrong with a simulated judge; given under `extra`."""

    accuracy: float = Field(default=0.8, ge=0, le=1, description="chance that one decided verdict is right")
    flip_rate: float = Field(
        default=0.0, ge=0, le=0.49, description="median over pairs of the chance that a call flips the opinion"
    )
    position_bias: float = Field(
        default=0.0, ge=-0.5, le=0.5, description="share of verdicts for the first slot, minus a half"
    )
    ties: float = Field(default=0.0, ge=0, le=1, description="share of pairs that the judge calls a tie")
    shared: float = Field(
        default=0.0, ge=0, le=1, description="share of pairs on which all simulated judges err together"
    )
    prose: float = Field(default=0.0, ge=0, le=1, description="share of replies without a verdict")


@dataclass(frozen=True)
class World:
    """What is true: which of two texts is better.

    Attributes:
        better: the two texts' hashes, sorted, to the better one's; where a pair is not in it, the higher hash is better.
    """

    better: dict[tuple[str, str], str]

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> World:
        """The world in which the gold of these pairs is true."""
        known = {}
        for pair in pairs:
            if pair.gold in (Verdict.A, Verdict.B):
                a, b = (text_hash(render(text)) for text in (pair.completion_a, pair.completion_b))
                known[(min(a, b), max(a, b))] = a if pair.gold is Verdict.A else b
        return cls(known)

    def first_is_better(self, first: str, second: str) -> bool:
        """Whether the first of two texts is the better one."""
        a, b = text_hash(first), text_hash(second)
        return self.better.get((min(a, b), max(a, b)), max(a, b)) == a


@dataclass(frozen=True)
class SimulatedJudge:
    """A judge's mind: from a request's messages to the text of a reply."""

    name: str
    faults: Faults
    world: World

    @classmethod
    def of(cls, judge: Judge, world: World) -> SimulatedJudge:
        """The simulated judge that a cycle file describes.

        Raises:
            UsageError: its `extra` is not a set of faults, or they contradict each other.
        """
        try:
            faults = Faults.model_validate(judge.extra)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            known = ", ".join(Faults.model_fields)
            raise UsageError(
                f"judge {judge.label!r}: extra.{where}: {problem['msg']}; a simulated judge takes {known}"
            ) from None
        made = cls(judge.model, faults, world)
        if not 0 <= made._chance_right <= 1:
            slot, q = min(1.0, made._slot_driven), made._mean_flip
            best = (1 - slot) * (1 - q) + slot / 2
            raise UsageError(
                f"judge {judge.label!r}: an accuracy of {faults.accuracy:g} cannot be had with a flip rate of {faults.flip_rate:g} "
                f"and a position bias of {faults.position_bias:g}; those leave {1 - best:.2f} to {best:.2f}"
            )
        return made

    @cached_property
    def _scale(self) -> float:
        from scipy.special import gammaincinv, ndtri

        return float(-ndtri(self.faults.flip_rate) / (gammaincinv(6, 0.5) / 6)) if self.faults.flip_rate else math.inf

    def _flip_chance(self, u: float) -> float:
        """The chance that one call flips the opinion on the pair with quantile u."""
        if math.isinf(self._scale):
            return 0.0
        from scipy.special import gammaincinv, ndtr

        return float(ndtr(-self._scale * gammaincinv(6, u) / 6))

    @cached_property
    def _mean_flip(self) -> float:
        return sum(self._flip_chance((k + 0.5) / 1000) for k in range(1000)) / 1000

    @cached_property
    def _slot_driven(self) -> float:
        """Share of pairs on which the slot alone is the opinion: gives exactly the position bias, flips included."""
        return 2 * abs(self.faults.position_bias) / (1 - 2 * self._mean_flip)

    @cached_property
    def _chance_right(self) -> float:
        """Chance that an opinion is right: gives exactly the accuracy per call, after flips and slot-driven pairs."""
        slot, q = self._slot_driven, self._mean_flip
        if slot >= 1:
            return 0.5 if slot == 1 else math.nan
        per_call = (self.faults.accuracy - slot / 2) / (1 - slot)
        return round((per_call - q) / (1 - 2 * q), 12)

    @property
    def service(self) -> Service:
        """What is wrong with the way to it."""
        return self.faults

    def message(self, messages: Sequence[Mapping[str, Any]], key: str, _: Sequence[Any] = ()) -> dict[str, Any]:
        """The reply to a ballot, as a message; a judge calls no tools."""
        return {"role": "assistant", "content": self.reply(messages, key)}

    def reply(self, messages: Sequence[Mapping[str, Any]], key: str) -> str:
        """The text of the reply to a ballot."""
        if self.faults.prose and draw("prose", self.name, key) < self.faults.prose:
            return _PROSE
        request = messages[-1]["content"]
        first, second = (_completion(request, slot) for slot in "AB")
        word = self._word(first, second, key)
        scores = {
            axis: _scores(word, draw("score", self.name, axis, first, second)) for axis in _axes(messages[0]["content"])
        }
        reasoning = "Neither is clearly better." if word == "tie" else f"Completion {word} serves the request better."
        return json.dumps({"reasoning": reasoning} | ({"scores": scores} if scores else {}) | {"verdict": word})

    def _word(self, first: str, second: str, key: str) -> str:
        pair = text_hash("".join(sorted((first, second))))
        if draw("tie", self.name, pair) < self.faults.ties:
            opinion = "tie"
        elif draw("slot", self.name, pair) < self._slot_driven:
            opinion = "A" if self.faults.position_bias > 0 else "B"
        else:
            together = draw("together", pair) < self.faults.shared
            right = draw("right", "" if together else self.name, pair) < self._chance_right
            opinion = "A" if self.world.first_is_better(first, second) is right else "B"
        if draw("flip", self.name, key) >= self._flip_chance(draw("margin", self.name, pair)):
            return opinion
        coin = "A" if draw("coin", self.name, key) < 0.5 else "B"
        return {"A": "B", "B": "A"}.get(opinion, coin)


@dataclass(frozen=True)
class InProcess:
    """Asks a simulated model without a network."""

    model: Simulated
    temperature: float | None = 0.0
    name: str = "simulated"
    allowed: Allowed | None = None

    async def send(self, question: Question) -> Answer:
        model, key, attempt = self.model, question.key, question.attempt
        latency = model.service.latency(model.name, key, attempt)
        await asyncio.sleep(latency)
        if trouble := model.service.trouble(model.name, key, attempt):
            kind = {"hang_up": "connection", "half_body": "connection", "html": "bad_reply"}.get(trouble, trouble)
            raise CallError(kind, f"simulated {trouble}", latency_s=latency)
        said = model.message(question.messages, key, question.tools)
        calls, counts = said.get("tool_calls", ()), (length(question.messages), length([said]))
        finish = "tool_calls" if calls else "stop"
        return Answer(said["content"] or "", False, finish, model.name, *counts, 0, latency, tool_calls=tuple(calls))

    def without(self, _: str) -> Transport | None:
        return None

    async def close(self) -> None:
        """Nothing is open."""


def _completion(request: str, slot: str) -> str:
    found = re.search(_FENCE.format(slot=slot), request, re.DOTALL)
    return found[2] if found else request


def _axes(system: str) -> list[str]:
    return re.findall(r'"(\w+)": \{"A": 1-5', system)


def _scores(word: str, u: float) -> dict[str, int]:
    better, worse = 3 + int(u * 3), 1 + int(u * 7) % 3
    return {"tie": {"A": worse, "B": worse}, "A": {"A": better, "B": worse}, "B": {"A": worse, "B": better}}[word]


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but its parts."""
    return int(text_hash("\x1f".join(map(str, parts)))[:13], 16) / 16**13
