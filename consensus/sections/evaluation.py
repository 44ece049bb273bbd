"""What is measured of a checkpoint, and what it must show to be promoted."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from consensus.sections.base import Misfit, Name, Section

SOURCES = ("metric", "audit", "production")
LIMITS = ("at_least", "at_most", "drop_at_most", "rise_at_most", "ratio_at_most")


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
                raise Misfit(f"a guard has exactly one of {', '.join(names)}, which {what}; this has {len(given)}")
        if self.audit and self.limit not in ("at_least", "at_most"):
            raise Misfit("an audit has no baseline: its guard takes at_least or at_most", self.limit)
        if self.by and not self.metric:
            raise Misfit("only the evaluation's results have categories: 'by' goes with 'metric'", "by")
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
