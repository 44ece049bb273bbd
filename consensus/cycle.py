"""What a cycle is: the cycle file as a whole. Its sections are in `consensus/sections/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from consensus.rule import Rule
from consensus.sections.base import Misfit, Section
from consensus.sections.endpoints import Account, Gateway, Judge, Limits
from consensus.sections.evaluation import Evaluation, Gate
from consensus.sections.generation import Generation
from consensus.sections.inputs import Input
from consensus.sections.panel import Audit, Consensus, CycleName, Rubric, Sampling
from consensus.sections.training import Training

MOST_JUDGES = 16  # the view `labels` packs a pair's votes into one number, six bits a judge


class Cycle(Section):
    """A whole cycle file."""

    judges: tuple[Judge, ...]
    cycle: CycleName = CycleName()
    store: Path = Field(default=Path("consensus.duckdb"), description="the DuckDB file; relative to the cycle file")
    input: Input = Input()
    generation: Generation | None = None
    rubric: Rubric = Rubric()
    consensus: Consensus = Consensus()
    sampling: Sampling = Sampling()
    gateway: Gateway | None = None
    limits: Limits = Limits()
    audit: Audit = Audit()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    gate: Gate = Gate()

    @model_validator(mode="after")
    def _fits_together(self) -> Cycle:
        names = [judge.label for judge in self.judges]
        if not names:
            raise Misfit("'judges' is empty; a panel needs at least one judge, better three", "judges")
        if len(names) > MOST_JUDGES:
            raise Misfit(f"there are {len(names)} judges, and a panel has {MOST_JUDGES} at most", "judges")
        for seat, name in enumerate(names):
            if name in names[:seat]:
                raise Misfit(f"two judges are called {name!r}; give one of them a 'name'", "judges", seat)
        if nobody := sorted((self.limits.__pydantic_extra__ or {}).keys() - self.providers):
            raise ValueError(f"limits.{nobody[0]}: no judge has this provider, and it is no setting of 'limits'")
        if (self.sampling.judges_per_pair or 0) > len(names):
            raise Misfit(
                f"sampling.judges_per_pair is {self.sampling.judges_per_pair}, but there are {len(names)} judges",
                "sampling",
                "judges_per_pair",
            )
        if self.rule.min_agree > self.asked_per_pair:
            raise Misfit(
                f"consensus.min_agree is {self.rule.min_agree}, but only {self.asked_per_pair} judges are asked about a pair",
                "consensus",
                "min_agree",
            )
        return self

    @property
    def providers(self) -> set[str]:
        """The providers of the judges, of the model that is trained, and of the checkpoints that are compared."""
        models = (*self.judges, *([self.generation] if self.generation else []), *self.evaluation.contestants)
        return {model.provider for model in models}

    def account(self, provider: str) -> Account:
        """What the provider allows; nothing is limited where the file says nothing."""
        return (self.limits.__pydantic_extra__ or {}).get(provider, Account())

    @property
    def name(self) -> str:
        """The cycle's name."""
        return self.cycle.name

    @property
    def judge_names(self) -> list[str]:
        """The judges in the order of their places."""
        return [judge.label for judge in self.judges]

    @property
    def asked_per_pair(self) -> int:
        """Judges asked about each pair."""
        return self.sampling.judges_per_pair or len(self.judges)

    @property
    def rule(self) -> Rule:
        """The panel's rule in the form the arithmetic takes."""
        return Rule(
            min_agree=self.consensus.min_agree or self.asked_per_pair // 2 + 1,
            drop_if_split=self.consensus.drop_pair_if_split,
            both_orders=self.sampling.orders == "both",
            rotate=self.sampling.rotate_completion_order,
            per_pair=self.sampling.judges_per_pair,
        )

    def meaning(self, rubric: str) -> dict[str, Any]:
        """What may not change within a cycle, since votes before and after would not mean the same.

        The rule is not part of it: labels are recomputed from the votes, so another rule may be run over old votes.
        """
        judges = {judge.label: judge.identity(rubric) for judge in self.judges}
        return {
            "judges": judges,
            "seats": self.judge_names,
            "seed": self.cycle.seed,
            "rotate_completion_order": self.sampling.rotate_completion_order,
            "judges_per_pair": self.asked_per_pair,
        }
