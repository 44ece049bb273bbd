"""`consensus audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consensus.cycle import Cycle
    from consensus.store import Store
    from evaluation.audit.gate import Ruling
    from labeling.rubric import Rubric


def audit(cycle: Path, /, *overrides: str, fail_on: str | None = None, json: bool = False) -> int:
    """Say what each judge is worth, and the panel, from the votes that are in the store; with intervals, and what to change.

    Parameters
    ----------
    cycle: Path
        The cycle file. Recorded votes under its `input:` are ingested if the store has no votes of the cycle yet.
    overrides: str
        Settings that differ from the file, as key=value.
    fail_on: str
        Limits, e.g. 'repeat_flip>0.2,position_bias>0.05,alpha<0.4'. One is broken where the whole interval is beyond it; then the
        exit code is 3.
    json: bool
        Print one JSON object instead of tables.
    """
    from consensus.cyclefile import load
    from consensus.store import Store
    from consensus.terminal import emit, out
    from evaluation.audit.audit import audit as audited
    from evaluation.audit.gate import judged, limits
    from evaluation.commands.audit_tables import show
    from labeling.rubric import Rubric

    loaded = load(cycle, overrides)
    gate = limits(fail_on, loaded.rubric.axes) if fail_on is not None else []
    rubric = Rubric.of(loaded)
    refuse_without_votes(loaded, cycle)
    with Store(loaded.store) as store:
        prepare(store, loaded, rubric)
        found = audited(store, loaded, costs_of(loaded, rubric))
    rulings = judged(found, gate)
    if json:
        emit({**found.as_dict(), "gate": [_as_dict(ruling) for ruling in rulings] if gate else None})
    else:
        show(out(), found, rulings, gated=bool(gate))
    return 3 if any(ruling.fails for ruling in rulings) else 0


def refuse_without_votes(cycle: Cycle, file: Path) -> None:
    """There must be a store, or recorded votes to fill one.

    Raises:
        UsageError: there is neither.
    """
    from consensus.errors import UsageError

    if not cycle.store.exists() and not cycle.input.votes:
        raise UsageError(
            f"there is no store {cycle.store} yet; 'consensus label {file}' makes it, or name recorded votes under 'input:'"
        )


def prepare(store: Store, cycle: Cycle, rubric: Rubric) -> None:
    """Register the cycle, and ingest its recorded votes if it has none."""
    from consensus.terminal import err
    from labeling.intake import ingest_input

    store.register(cycle, rubric.system)
    if not store.has_votes(cycle.name):
        for intake in ingest_input(store, cycle, rubric.system):
            for line in intake.lines():
                err().print(line, markup=False)


def costs_of(cycle: Cycle, rubric: Rubric) -> Mapping[str, float] | None:
    """What a call to each judge costs, where that decided whom the cycle asked first."""
    from labeling.cycle_run import call_costs
    from labeling.panel import Panel

    lazy = cycle.sampling.stop == "settled" and any(judge.called for judge in cycle.judges)
    return call_costs(Panel(cycle, rubric).priced()) if lazy and cycle.sampling.first == "cheapest" else None


def _as_dict(ruling: Ruling) -> dict[str, object]:
    return {"limit": ruling.limit.words, "judge": ruling.judge, "fails": ruling.fails, "says": ruling.says}
