"""The cycles of a store one after the other: what each kept and cost, and what was measured of the checkpoint it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from consensus.gates import Said, decisions
from consensus.outcomes import outcomes
from consensus.scores import Score, scores
from consensus.store import Store
from consensus.summary import summary
from evaluation.audit.result import Figure
from evaluation.production.prediction import Production, production
from evaluation.production.rates import rates


@dataclass(frozen=True, slots=True)
class Past:
    """One cycle.

    Attributes:
        spent: US dollars, of calls whose price is known.
        gold: share of the kept pairs with gold whose label agrees with people; None without gold.
    """

    cycle: str
    pairs: int
    kept: int
    spent: float
    gold: Figure | None


@dataclass(frozen=True, slots=True)
class History:
    """All that a store knows beyond one cycle's votes.

    Attributes:
        cycle: the one that the report is about.
        cycles: in the order in which they were begun.
        scores: of all checkpoints, in the order in which they were first measured.
        gates: what the gate said last of every contest.
    """

    cycle: str
    cycles: tuple[Past, ...]
    scores: tuple[Score, ...]
    production: Production
    gates: tuple[Said, ...] = ()

    def gate(self, checkpoint: str, baseline: str | None) -> Said | None:
        """The last word of the gate on a checkpoint against a baseline."""
        said = [one for one in self.gates if (one.contest.checkpoint, one.contest.baseline) == (checkpoint, baseline)]
        return said[-1] if said else None

    def of(self, metric: str) -> list[Score]:
        """The scores of a metric, the last of each checkpoint and baseline."""
        last = {(score.checkpoint, score.baseline): score for score in self.scores if score.metric == metric}
        return list(last.values())

    def as_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        known = {"cycles": [asdict(past) for past in self.cycles], "scores": [asdict(score) for score in self.scores]}
        return known | {"production": self.production.as_dict(), "gates": [asdict(said) for said in self.gates]}


def history(store: Store, cycle: str) -> History:
    """What the store knows of all its cycles."""
    measured = scores(store)
    return History(
        cycle,
        tuple(_past(store, name) for name in store.cycle_names()),
        tuple(measured),
        production(measured, rates(outcomes(store))),
        tuple(decisions(store)),
    )


def _past(store: Store, cycle: str) -> Past:
    found = summary(store, cycle)
    gold: Mapping[str, Any] | None = found["gold"]
    agreed = None
    if gold:
        low, high = (float("nan") if gold[name] is None else gold[name] for name in ("low", "high"))
        agreed = Figure("label_accuracy", gold["share"], low, high, gold["n"])
    return Past(cycle, found["pairs"], found["kept"], store.spent(cycle), agreed)


def newest(found: Sequence[Score], cycle: str) -> Score | None:
    """Of these scores the last of the cycle, else the last; None of none."""
    mine = [score for score in found if score.cycle == cycle] or list(found)
    return mine[-1] if mine else None
