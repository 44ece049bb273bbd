"""The gate of a cycle, from its store: what is compared, which look this is, what the guards say; and the decision is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from consensus.cycle import Cycle
from consensus.gates import Contest, keep, looks_before
from consensus.outcomes import outcomes
from consensus.results import Results, results
from consensus.statistics.paired import level_of
from consensus.statistics.sequential import next_look
from consensus.store import Store
from evaluation.audit.gate import refuse_unknown
from evaluation.audit.result import Audit, Figure
from evaluation.gate.decision import Decision, decide
from evaluation.gate.guards import Measured, Ruling, by_audit, by_production, by_results
from evaluation.gate.items import contestants, paired
from evaluation.production.rates import rates


def gate(store: Store, cycle: Cycle, *, checkpoint: str | None = None, audited: Callable[[], Audit]) -> Decision:
    """Decide whether a checkpoint is promoted, and append the decision to the store.

    Args:
        checkpoint: by default the one that was measured last.
        audited: makes the audit; called only if a guard asks for one.
    Raises:
        UsageError: the checkpoint, its baseline, or the metric of gate or guard has no results.
    """
    asked = cycle.gate
    for guard in asked.guard:
        if guard.audit:
            refuse_unknown(guard.audit, cycle.rubric.axes, "gate.guard")
    found = results(store, cycle=cycle.name)
    one, other = contestants(found, asked.metric, checkpoint=checkpoint, baseline=asked.baseline)
    contest, items = Contest(cycle.name, one, other, asked.metric), paired(found, asked.metric, one, other)
    past = looks_before(store, contest, items.content)
    information = float(len(np.unique(items.prompt.astype(str))))
    look = next_look(past, information, looks=asked.looks, alpha=(1 - asked.confidence) / 2)
    level = level_of(look.critical) if np.isfinite(look.critical) else asked.confidence
    rulings = tuple(_rulings(store, cycle, found, contest, level, audited))
    rng = np.random.default_rng(cycle.cycle.seed)
    number = len(past) + 1
    decision = decide(items, asked, contest, look=look, number=number, rulings=rulings, rng=rng)
    verdict = str(decision.verdict)
    keep(store, contest, look, number=number, data_hash=items.content, verdict=verdict, details=decision.as_dict())
    return decision


def _rulings(
    store: Store, cycle: Cycle, found: Results, contest: Contest, level: float, audited: Callable[[], Audit]
) -> Iterator[Ruling]:
    asked = cycle.gate.guard
    audit = audited() if any(guard.audit for guard in asked) else None
    measured = _production(store) if any(guard.production for guard in asked) else None
    for guard in asked:
        if guard.metric:
            yield from by_results(guard, found, contest.checkpoint, contest.baseline, level)
        elif guard.audit and audit:
            yield from by_audit(guard, audit)
        elif measured:
            yield by_production(guard, measured, contest.checkpoint, contest.baseline)


def _production(store: Store) -> Measured:
    known = {(rate.checkpoint, rate.metric): rate.figure for rate in rates(outcomes(store))}

    def measured(checkpoint: str, metric: str) -> Figure | None:
        return known.get((checkpoint, metric))

    return measured
