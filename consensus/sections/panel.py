"""The panel: its rule, what it is asked, and its audit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from consensus.sections.base import Name, Section


class CycleName(Section):
    """What this cycle is called."""

    name: Name = Field(default="cycle-1", description="votes and labels are kept under this name in the store")
    seed: int = Field(default=0, description="decides fences and every random choice")


class Consensus(Section):
    """The panel's rule."""

    min_agree: int | None = Field(
        default=None,
        ge=1,
        description="verdicts for one side that keep a pair; by default more than half of the judges asked",
    )
    drop_pair_if_split: bool = Field(default=True, description="else the side that leads is kept, if one leads")


class Sampling(Section):
    """Which ballots are asked."""

    judges_per_pair: int | None = Field(
        default=None, ge=1, description="by default all; fewer are drawn by a hash of the pair"
    )
    rotate_completion_order: bool = Field(default=True, description="show completion b first in half of the ballots")
    orders: Literal["one", "both"] = Field(
        default="one", description="both: every judge sees both orders, and abstains where its two verdicts differ"
    )
    stop: Literal["settled", "confident", "never"] = Field(
        default="settled",
        description="settled: ask a judge while the label is open; confident: or until the votes are sure; never: ask everybody",
    )
    confidence: float = Field(
        default=0.9, gt=0.5, lt=1, description="with confident: the chance of a side at which judging stops"
    )
    first: Literal["cheapest", "balanced"] = Field(
        default="cheapest", description="who is tried first; balanced: everybody equally often"
    )
    audit_share: float = Field(
        default=0.1, ge=0, le=1, description="random share of pairs that is always asked completely"
    )


class Rubric(Section):
    """What the judges are asked to look at."""

    file: Path | None = Field(default=None, description="a text of your own; by default configs/rubrics/pairwise.md")
    axes: tuple[Name, ...] = Field(
        default=("task_completion", "tool_use", "factuality", "instruction_following", "safety", "clarity"),
        description="scored 1 to 5 for both completions; [] asks for none",
    )


class Audit(Section):
    """Which requests `audit --ask` asks again; what the cycle paid for already is not paid twice."""

    pairs: int = Field(default=200, ge=1, description="pairs, drawn by a hash and spread over the prompts")
    repeats: int = Field(
        default=5, ge=1, le=1000, description="identical requests per judge, pair and order, the label's own included"
    )
    orders: Literal["one", "both"] = Field(
        default="both", description="one: the order in which the judge's vote makes the label"
    )
