"""An audit of a cycle, from its store."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from consensus.cycle import Cycle
from consensus.cycle_votes import read
from consensus.errors import UsageError
from consensus.store import Store
from evaluation.audit.findings import accusations
from evaluation.audit.judges import audit_judge, estimates
from evaluation.audit.latent import Believed
from evaluation.audit.material import Material
from evaluation.audit.panel import audit_panel, common
from evaluation.audit.remarks import remarks
from evaluation.audit.result import Audit


def audit(store: Store, cycle: Cycle, costs: Mapping[str, float] | None = None) -> Audit:
    """Audit the votes that are in the store.

    Args:
        cycle: registered in the store.
        costs: what a call to each judge costs, by which the cycle chose whom to try first; decides the weights of votes that
            were asked lazily.
    Raises:
        UsageError: the cycle has no votes.
    """
    tallies = {tally.judge: tally for tally in store.tallies(cycle.name)}
    reasons = {reason.value: n for reason, n in store.reasons(cycle.name).items()}
    of = Material.of(read(store, cycle, costs), cycle, tallies)
    if not len(of.votes.pair):
        raise UsageError(
            f"cycle {cycle.name!r} has no votes yet; 'consensus label' asks for them, or ingests recorded ones"
        )
    return audit_material(of, cycle.name, reasons, seed=cycle.cycle.seed)


def audit_material(of: Material, name: str, reasons: Mapping[str, int], *, seed: int) -> Audit:
    """The audit of what was read; pure arithmetic.

    Args:
        reasons: pairs by the reason of their label.
        seed: decides resamples.
    """
    rng, names = np.random.default_rng(seed), of.votes.judges
    found = [estimates(of, judge) for judge in range(len(names))]
    shared, believed = common(of), Believed.of(of)
    judges = tuple(audit_judge(of, judge, each, believed.judges[judge], rng) for judge, each in enumerate(found))
    panel = audit_panel(of, reasons, shared, believed, rng)
    accused = accusations(
        dict(zip(names, found, strict=True)),
        {(names[one], names[other]): each for (one, other), each in shared.items()},
        rng,
    )
    return Audit(name, len(of.votes.pair), judges, panel, (*accused, *remarks(judges, panel, believed)))
