"""The gate's decision: the gain, the guards, and what would be needed to decide where nothing can be said."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from consensus.gates import Contest
from consensus.sections.evaluation import Gate
from consensus.statistics.paired import Paired, Verdict, paired, verdict
from consensus.statistics.planning import detectable_effect, prompts_to_detect
from consensus.statistics.sequential import Look, planned
from evaluation.gate.guards import Ruling, Standing
from evaluation.gate.items import Items

POWER = 0.8
EFFECTS = (0.02, 0.03, 0.05)
"""Gains in shares for which the gate says how many prompts would show them."""


@dataclass(frozen=True, slots=True)
class Needed:
    """How many prompts would show a gain, in four of five cases; pairs per prompt as they are.

    Attributes:
        effect: the true gain, above the gate's `min_effect`.
        seen: whether it is the gain that was seen.
    """

    effect: float
    prompts: int
    items: int
    seen: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says of a checkpoint.

    Attributes:
        verdict: promote if the gain is surely above `gate.min_effect` and every guard holds; reject if it is surely below, or
            a guard is surely broken; else inconclusive.
        gain: the verdict on the gain alone.
        test: of the gain.
        value, reference: the means of the checkpoint and of its baseline on the items that are compared.
        shares: whether the metric is a share, which is said in points.
        number: this look's, from 1.
        detectable: the true gain that would be promoted in four of five cases at this look; nan without an error.
        needed: prompts for the gain that was seen, if it is above `min_effect`, and for typical ones of a share.
        rulings: of the guards.
        unpaired: items on which only one of the two was measured.
    """

    contest: Contest
    gate: Gate
    verdict: Verdict
    gain: Verdict
    test: Paired
    value: float
    reference: float
    shares: bool
    look: Look
    number: int
    detectable: float
    needed: tuple[Needed, ...]
    rulings: tuple[Ruling, ...]
    unpaired: int

    @property
    def promotes(self) -> bool:
        """Whether the checkpoint is promoted."""
        return self.verdict is Verdict.PROMOTE

    @property
    def no_look_left(self) -> bool:
        """Whether the planned looks were all taken before this one."""
        return self.look.critical == inf

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints, beside its `schema_version`; what is unknown is null there."""
        effect, mean = self.test.effect, self.test.mean
        return {
            "cycle": self.contest.cycle,
            "checkpoint": self.contest.checkpoint,
            "baseline": self.contest.baseline,
            "metric": self.contest.metric,
            "verdict": str(self.verdict),
            "promote": self.promotes,
            "gain": str(self.gain),
            "shares": self.shares,
            "effect": {"value": effect.value, "low": effect.low, "high": effect.high, "error": mean.error},
            "checkpoint_mean": self.value,
            "baseline_mean": self.reference,
            "min_effect": self.gate.min_effect,
            "confidence": self.gate.confidence,
            "look": self.number,
            "looks": self.gate.looks,
            "critical": self.look.critical,
            "spent": self.look.spent,
            "p": self.test.p,
            "sign_flip_p": self.test.sign_flip_p,
            "items": mean.n,
            "prompts": mean.clusters,
            "unpaired": self.unpaired,
            "design_effect": self.test.design_effect,
            "detectable_effect": self.detectable,
            "power": POWER,
            "needed": [
                {"effect": n.effect, "prompts": n.prompts, "items": n.items, "seen": n.seen} for n in self.needed
            ],
            "guards": [_ruling(ruling) for ruling in self.rulings],
        }


def decide(
    items: Items,
    gate: Gate,
    contest: Contest,
    *,
    look: Look,
    number: int,
    rulings: tuple[Ruling, ...],
    rng: np.random.Generator,
) -> Decision:
    """The decision on these items; pure arithmetic.

    Args:
        look: what this look's effect must surpass, of `sequential.next_look`.
        rng: decides the sign flips.
    """
    test = paired(items.differences, items.prompt, margin=gate.min_effect, critical=look.critical, rng=rng)
    gain = verdict(test, margin=gate.min_effect)
    return Decision(
        contest,
        gate,
        combined(gain, rulings),
        gain,
        test,
        value=float(items.value.mean()) if len(items) else nan,
        reference=float(items.reference.mean()) if len(items) else nan,
        shares=items.shares,
        look=look,
        number=number,
        detectable=gate.min_effect + detectable_effect(test.mean.error, critical=look.critical, power=POWER),
        needed=_needed(test, gate, shares=items.shares),
        rulings=rulings,
        unpaired=items.unpaired,
    )


def combined(gain: Verdict, rulings: tuple[Ruling, ...]) -> Verdict:
    """What follows from the gain and the guards.

    All of them must speak for the checkpoint, so that no correction for their number is needed: if any of them should stop it, the
    chance that it passes is that one's own.
    """
    if gain is Verdict.REJECT or any(ruling.standing is Standing.BROKEN for ruling in rulings):
        return Verdict.REJECT
    if any(ruling.holds_up for ruling in rulings):
        return Verdict.INCONCLUSIVE
    return gain


def _needed(test: Paired, gate: Gate, *, shares: bool) -> tuple[Needed, ...]:
    """Prompts for the gain that was seen and for typical ones, at the last of the planned looks."""
    mean = test.mean
    if not isfinite(mean.error):
        return ()
    critical = planned(gate.looks, (1 - gate.confidence) / 2)[-1]
    seen = mean.value - gate.min_effect
    asked = [(seen, True)] if seen > 0 else []
    asked += [(effect, False) for effect in EFFECTS if shares]
    found = []
    for effect, is_seen in asked:
        prompts = prompts_to_detect(effect, error=mean.error, prompts=mean.clusters, critical=critical, power=POWER)
        found.append(Needed(gate.min_effect + effect, prompts, round(prompts * mean.n / mean.clusters), is_seen))
    return tuple(found)


def _ruling(ruling: Ruling) -> dict[str, Any]:
    guard, found = ruling.guard, ruling.found
    return {
        guard.source: guard.name,
        "subject": ruling.subject,
        guard.limit: guard.bound,
        "unsure": guard.unsure,
        "standing": str(ruling.standing),
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "reason": ruling.reason,
    }
