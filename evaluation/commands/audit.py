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


def audit(
    cycle: Path,
    /,
    *overrides: str,
    ask: bool = False,
    dry_run: bool = False,
    max_cost: float | None = None,
    pair: str | None = None,
    repeats: int | None = None,
    judge: str | None = None,
    anchors: bool = False,
    new_anchors: bool = False,
    know_bias_to: float | None = None,
    fail_on: str | None = None,
    json: bool = False,
) -> int:
    """Say what each judge is worth, and the panel, from the votes that are in the store; with intervals, and what to change.

    No judge is called unless --ask is given, or --repeats with --pair.

    Parameters
    ----------
    cycle: Path
        The cycle file. Recorded votes under its `input:` are ingested if the store has no votes of the cycle yet.
    overrides: str
        Settings that differ from the file, as key=value.
    ask: bool
        First ask a sample of the pairs again, as `audit:` in the cycle file says; what is paid for is not asked twice.
    dry_run: bool
        Make no call; print what --ask (or --pair, --anchors) would cost, and how narrow the intervals will be.
    max_cost: float
        US dollars for the whole cycle; stops starting calls when spent plus in flight would pass it.
    pair: str
        Look at this pair alone: how often each judge contradicts itself on it.
    repeats: int
        With --pair: ask the pair so often.
    judge: str
        Ask this judge alone.
    anchors: bool
        Compare the judges with what they said on a fixed set of pairs; with --ask they are asked those once more.
    new_anchors: bool
        Keep this cycle's audit as the new anchors.
    know_bias_to: float
        Say how many pairs, repeats, calls and dollars tell a judge's position bias to this half-width, e.g. 0.02.
    fail_on: str
        Limits, e.g. 'repeat_flip>0.2,position_bias>0.05,alpha<0.4'. One is broken where the whole interval is beyond it; then the
        exit code is 3.
    json: bool
        Print one JSON object instead of tables.
    """
    from consensus.audits import keep
    from consensus.cyclefile import load
    from consensus.store import Store
    from consensus.terminal import emit, out
    from evaluation.audit.audit import audit as audited
    from evaluation.audit.gate import judged, limits
    from evaluation.commands.audit_tables import show
    from labeling.commands.audit_calls import AskFlags, audit_calls
    from labeling.rubric import Rubric

    loaded = load(cycle, overrides)
    gate = limits(fail_on, loaded.rubric.axes) if fail_on is not None else []
    rubric, words = Rubric.of(loaded), " ".join([str(cycle), *overrides])
    flags = AskFlags(
        ask=ask,
        dry_run=dry_run,
        max_cost=max_cost,
        pair=pair,
        repeats=repeats,
        judge=judge,
        anchors=anchors,
        new_anchors=new_anchors,
        know_bias_to=know_bias_to,
        json=json,
    )
    flags.check()
    if not (flags.calls and loaded.input.pairs):
        refuse_without_votes(loaded, cycle)
    with Store(loaded.store) as store:
        prepare(store, loaded, rubric)
        code = audit_calls(store, loaded, rubric, words, flags)
        if code is not None:
            return code
        found = audited(store, loaded, costs_of(loaded, rubric))
        keep(store, loaded.name, found.votes, found.kept())
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
    return call_costs(cycle, Panel(cycle, rubric).priced()) if lazy else None


def _as_dict(ruling: Ruling) -> dict[str, object]:
    return {"limit": ruling.limit.words, "judge": ruling.judge, "fails": ruling.fails, "says": ruling.says}
