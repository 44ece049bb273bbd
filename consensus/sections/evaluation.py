"""What is measured of a checkpoint, and what it must show to be promoted."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from consensus.sections.base import Misfit, Name, Section
from consensus.sections.generation import Generation

SOURCES = ("metric", "audit", "production")
LIMITS = ("at_least", "at_most", "drop_at_most", "rise_at_most", "ratio_at_most")


class Contestant(Generation):
    """A checkpoint that answers held-out prompts; its name stands for its weights."""

    word: ClassVar[str] = "checkpoint"

    temperature: float | None = Field(default=0.0, ge=0, le=2, description="null asks without one")
    n: int = Field(default=1, ge=1, le=1, description="one answer of each prompt")
    production: bool = Field(default=False, description="always false: production's answer does not take part")
    pairing: Literal["all"] = Field(default="all", description="always all: candidate against baseline")


class Evaluation(Section):
    """Whether a checkpoint is better than another: both answer held-out prompts, and the panel judges the answers."""

    candidate: Contestant | None = Field(
        default=None, description="the checkpoint in question; keys as under generation"
    )
    baseline: Contestant | None = Field(default=None, description="the checkpoint that it should beat")
    prompts: int | None = Field(
        default=None, ge=1, description="held-out prompts that both answer, drawn by a hash; by default all"
    )
    orders: Literal["one", "both"] = Field(
        default="both", description="both: every judge sees both orders, and abstains where its two verdicts differ"
    )
    gold: Path | None = Field(
        default=None,
        description="people's answers on some of the judged pairs: the file of --review, with gold filled in",
    )

    @model_validator(mode="after")
    def _two_of_them(self) -> Evaluation:
        if (self.candidate is None) != (self.baseline is None):
            missing = "candidate" if self.candidate is None else "baseline"
            raise Misfit(f"a head to head needs both checkpoints; {missing!r} is missing", "evaluation")
        if self.candidate and self.baseline and self.candidate.label == self.baseline.label:
            raise Misfit(
                f"both checkpoints are called {self.candidate.label!r}; give one of them a 'name'",
                "evaluation",
                "baseline",
            )
        if any(each and each.production for each in (self.candidate, self.baseline)):
            raise Misfit("production's answer does not take part in a head to head", "evaluation")
        return self

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """Candidate and baseline; nobody without a head to head."""
        return tuple(each for each in (self.candidate, self.baseline) if each)


class Guard(Section):
    """A limit that holds whatever the checkpoint gains: one of `metric`, `audit`, `production`, and one limit."""

    metric: Name | None = Field(
        default=None, description="of the evaluation's results, e.g. win, reward_correct, length"
    )
    audit: Name | None = Field(
        default=None, description="a figure of the audit, of the panel or of every judge, e.g. repeat_flip"
    )
    production: Name | None = Field(default=None, description="what production measured, e.g. tool_use_accuracy")
    by: Literal["category"] | None = Field(
        default=None, description="category: the limit holds for each category by itself"
    )
    at_least: float | None = Field(default=None, description="the checkpoint's value is not below")
    at_most: float | None = Field(default=None, description="the checkpoint's value is not above")
    drop_at_most: float | None = Field(
        default=None, ge=0, description="it is below the baseline's by no more, in its unit"
    )
    rise_at_most: float | None = Field(
        default=None, ge=0, description="it is above the baseline's by no more, in its unit"
    )
    ratio_at_most: float | None = Field(
        default=None, gt=0, description="it is at most so many times the baseline's, e.g. length 1.15"
    )
    unsure: Literal["hold", "pass"] = Field(
        default="hold",
        description="hold: no promotion unless the interval is within the limit; pass: unless it is wholly beyond",
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Guard:
        for names, what in ((SOURCES, "says what is guarded"), (LIMITS, "is its limit")):
            given = [name for name in names if getattr(self, name) is not None]
            if len(given) != 1:
                raise ValueError(f"a guard has exactly one of {', '.join(names)}, which {what}; this has {len(given)}")
        if self.audit and self.limit not in ("at_least", "at_most"):
            raise ValueError("an audit has no baseline: its guard takes at_least or at_most")
        if self.by and not self.metric:
            raise ValueError("only the evaluation's results have categories: 'by' goes with 'metric'")
        return self

    @property
    def source(self) -> str:
        """`metric`, `audit` or `production`."""
        return next(name for name in SOURCES if getattr(self, name) is not None)

    @property
    def name(self) -> str:
        """What is guarded."""
        return str(getattr(self, self.source))

    @property
    def limit(self) -> str:
        """The kind of limit, e.g. `at_most`."""
        return next(name for name in LIMITS if getattr(self, name) is not None)

    @property
    def bound(self) -> float:
        """The limit's number."""
        return float(getattr(self, self.limit))


class Gate(Section):
    """When a checkpoint is promoted: its gain over the baseline is surely above `min_effect`, and every guard holds."""

    metric: Name = Field(default="win", description="of the evaluation's results: win, reward_correct, ...")
    baseline: Name | None = Field(
        default=None, description="the checkpoint to beat; by default the one that the results were measured against"
    )
    min_effect: float = Field(
        default=0.0,
        description="the gain that must be surpassed, in the metric's unit; below 0 it is a loss that is borne",
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="of the interval that decides, all looks together"
    )
    looks: int = Field(
        default=1,
        ge=1,
        le=20,
        description="how often the gate may be asked as results come in; say so before the first",
    )
    guard: tuple[Guard, ...] = Field(default=(), description="limits that hold whatever is gained")
