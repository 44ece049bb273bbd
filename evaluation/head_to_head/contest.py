"""Who meets whom, on which prompts, under which names in the store; and the pairs that the panel judges."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Pair, Verdict, digest
from consensus.prompt_store import Prompts
from consensus.prompts import Message, Prompt
from consensus.sections.evaluation import Contestant
from consensus.store import Store
from labeling.audit_run import judges_asked, renamed
from labeling.drawing import Drawing, as_asked
from labeling.pairing import normalised


@dataclass(frozen=True, slots=True)
class Meeting:
    """A prompt with both answers, empty where one is still missing.

    Attributes:
        pair: what is judged; None where an answer is missing, or both are the same.
    """

    prompt: Prompt
    candidate: list[Message]
    baseline: list[Message]
    pair: Pair | None

    @property
    def answered(self) -> bool:
        """Whether both answers are there."""
        return bool(self.candidate and self.baseline)


@dataclass(frozen=True)
class Contest:
    """Candidate against baseline on held-out prompts.

    A checkpoint's answers and the panel's votes stand in the store under names of their own, as side runs of the cycle: the cycle
    pays, and neither its labels nor its audits know of them.

    Attributes:
        cycle: whose panel judges, and which pays.
        prompts: that both answer, in the order in which they are asked.
    """

    cycle: Cycle
    candidate: Contestant
    baseline: Contestant
    prompts: tuple[Prompt, ...] = field(repr=False)

    @classmethod
    def of(cls, store: Store, cycle: Cycle) -> Contest:
        """The contest that the section `evaluation` describes.

        Raises:
            UsageError: it names no checkpoints, no prompt is held out, or no judge can be asked.
        """
        found = cycle.evaluation
        if found.candidate is None or found.baseline is None:
            raise UsageError(
                "the cycle file names no checkpoints to compare; give both under 'evaluation:', e.g.\n"
                "evaluation:\n  candidate: {provider: openai, model: my-adapter, api_base: http://127.0.0.1:8000/v1}\n"
                "  baseline: {provider: openai, model: my-base, api_base: http://127.0.0.1:8000/v1}"
            )
        judges_asked(cycle, None)
        return cls(cycle, found.candidate, found.baseline, held_out_prompts(store, cycle))

    @property
    def contestants(self) -> tuple[Contestant, Contestant]:
        """Candidate and baseline."""
        return self.candidate, self.baseline

    @cached_property
    def judging(self) -> Cycle:
        """The side run in which the panel judges: the judges that can be asked, in both orders or as configured.

        All of them are asked about every pair, since people's word is asked by the number of votes for a side.
        """
        judges = tuple(judge for judge in self.cycle.judges if judge.called)
        asked = self.cycle.sampling.judges_per_pair
        sampling = {
            "orders": self.cycle.evaluation.orders,
            "stop": "never",
            "judges_per_pair": min(asked, len(judges)) if asked else None,
        }
        cycle = self.cycle.model_copy(
            update={"judges": judges, "sampling": self.cycle.sampling.model_copy(update=sampling)}
        )
        if cycle.rule.min_agree > cycle.asked_per_pair:
            raise UsageError(
                f"consensus.min_agree is {cycle.rule.min_agree}, but only {cycle.asked_per_pair} judges of this cycle can be "
                "asked: the others are recorded"
            )
        settings = [[each.label, each.config_hash] for each in self.contestants]
        return renamed(cycle, f"{self._side}/{self.baseline.label} {digest(settings)[:8]}")

    def answering(self, contestant: Contestant) -> Cycle:
        """The side run in which a checkpoint's answers stand; other contests on the same cycle use them, too."""
        return renamed(self.cycle, f"{self.cycle.name}/eval/{contestant.label}/answers")

    @property
    def _side(self) -> str:
        return f"{self.cycle.name}/eval/{self.candidate.label}"

    def drawings(self, store: Store, contestant: Contestant) -> Iterator[Drawing]:
        """The answers that a checkpoint still owes."""
        for prompt, completions in self._answers(store, contestant):
            if not completions:
                yield Drawing(as_asked(prompt, contestant), contestant.label, 1)

    def meetings(self, store: Store) -> Iterator[Meeting]:
        """Every prompt with what is there of its answers."""
        both = (self._answers(store, each) for each in self.contestants)
        for (prompt, ours), (_, theirs) in zip(*both, strict=True):
            candidate, baseline = ours.get(0, []), theirs.get(0, [])
            yield Meeting(prompt, candidate, baseline, self.pair(prompt, candidate, baseline))

    def pair(self, prompt: Prompt, candidate: list[Message], baseline: list[Message]) -> Pair | None:
        """What is judged: which answer is called a is decided by a hash; None where one is missing or both are the same."""
        if not candidate or not baseline or normalised(candidate) == normalised(baseline):
            return None
        key = digest([self.judging.name, prompt.prompt_id, candidate, baseline])
        sides = [(candidate, self.candidate.label), (baseline, self.baseline.label)]
        (a, model_a), (b, model_b) = sides if int(key[-1], 16) & 1 else reversed(sides)
        extra: dict[str, Any] = {"model_a": model_a, "model_b": model_b}
        if prompt.tools:
            extra["tools"] = prompt.tools
        return Pair(f"e-{key[:20]}", prompt.messages, a, b, category=category_of(prompt), extra=extra)

    def candidate_side(self, pair: Pair) -> Verdict:
        """Which completion is the candidate's."""
        return Verdict.A if pair.extra["model_a"] == self.candidate.label else Verdict.B

    def _answers(self, store: Store, contestant: Contestant) -> Iterator[tuple[Prompt, dict[int, list[Message]]]]:
        return Prompts(store).with_completions(self.answering(contestant).name, contestant, self.prompts)


def held_out_prompts(store: Store, cycle: Cycle) -> tuple[Prompt, ...]:
    """The cycle's held-out prompts, or as many of them as are asked for, by a hash: asked for more, it is these and others.

    Raises:
        UsageError: none is held out.
    """
    from training.preferences import held_out_pairs

    pairs = [pair for pair, _ in store.work_on(cycle.name, held_out_pairs(store, cycle), {})]
    if not pairs:
        raise UsageError(
            f"no prompt of cycle {cycle.name!r} is held out, and a checkpoint is not tested on what it was trained on; "
            "the cycle needs pairs, and training.validation above 0"
        )
    pairs.sort(key=lambda pair: digest(["evaluation", pair.prompt_id]))
    return tuple(_prompt(pair) for pair in pairs[: cycle.evaluation.prompts])


def category_of(prompt: Prompt) -> str | None:
    """The category of the pairs that the prompt comes from."""
    return prompt.stratum.get("category")


def _prompt(pair: Pair) -> Prompt:
    """A pair's prompt, as a checkpoint is asked it."""
    messages = pair.prompt if isinstance(pair.prompt, list) else [{"role": "user", "content": pair.prompt}]
    tools = pair.extra.get("tools") or []
    known: Sequence[dict[str, Any]] = json.loads(tools) if isinstance(tools, str) else tools
    return Prompt(pair.prompt_id, messages, list(known), stratum={"category": pair.category})
