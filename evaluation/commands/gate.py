"""`consensus gate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from consensus.cycle import Cycle
    from consensus.store import Store
    from evaluation.audit.result import Audit
    from evaluation.gate.decision import Decision


def gate(
    cycle: Path, /, *overrides: str, checkpoint: str | None = None, markdown: Path | None = None, json: bool = False
) -> int:
    """Decide whether a checkpoint is promoted over its baseline, as `gate:` in the cycle file says. No model is called.

    The exit code is 0 if it is promoted, and 3 if it is rejected or nothing can be said yet.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    overrides: str
        Settings that differ from the file, as key=value.
    checkpoint: str
        The checkpoint; by default the one that was evaluated last.
    markdown: Path
        Write a summary for a pull request to this file.
    json: bool
        Print one JSON object.
    """
    from consensus.cyclefile import load
    from consensus.errors import ConsensusError, UsageError
    from consensus.store import Store
    from consensus.terminal import emit, out
    from evaluation.gate.run import gate as decided
    from evaluation.gate.words import markdown as summary

    loaded = load(cycle, overrides)
    if not loaded.store.exists():
        raise UsageError(f"there is no store {loaded.store} yet; 'consensus evaluate {cycle}' fills it with results")
    with Store(loaded.store) as store:
        decision = decided(store, loaded, checkpoint=checkpoint, audited=lambda: _audit(store, loaded))
    if markdown is not None:
        try:
            markdown.parent.mkdir(parents=True, exist_ok=True)
            markdown.write_text(summary(decision), encoding="utf-8")
        except OSError as error:
            raise ConsensusError(f"cannot write {markdown}: {error.strerror or error}") from None
    if json:
        emit(decision.as_dict())
    else:
        show(out(), decision)
    return 0 if decision.promotes else 3


def show(console: Console, decision: Decision) -> None:
    """Print a decision."""
    from consensus.statistics.paired import Verdict
    from consensus.terminal import plain
    from evaluation.gate.guards import Standing
    from evaluation.gate.words import MARK, advice, gain, headline, notes, reasons, said

    colours = {Verdict.PROMOTE: "green", Verdict.REJECT: "red", Verdict.INCONCLUSIVE: "yellow"}
    signs = {Standing.KEPT: "green", Standing.BROKEN: "red", Standing.OPEN: "yellow"}
    console.print(f"[bold {colours[decision.verdict]}]{plain(headline(decision))}[/]")
    console.print(plain(gain(decision)), soft_wrap=False)
    for line in reasons(decision):
        console.print(f"• {plain(line)}", soft_wrap=False)
    for line in advice(decision):
        console.print(f"  [dim]→ {plain(line)}[/]", soft_wrap=False)
    if decision.rulings:
        console.print("\n[bold]Guards[/]")
    for ruling in decision.rulings:
        mark = f"[{signs[ruling.standing]}]{MARK[ruling.standing]}[/]"
        over = "" if ruling.holds_up or ruling.standing is Standing.KEPT else " (passed over)"
        console.print(f"{mark} {plain(ruling.words)}: {plain(said(ruling))}{over}", soft_wrap=False)
    console.print()
    for line in notes(decision):
        console.print(f"[dim]{plain(line)}[/]", soft_wrap=False)


def _audit(store: Store, cycle: Cycle) -> Audit:
    from evaluation.audit.audit import audit
    from evaluation.commands.audit import costs_of, prepare
    from labeling.rubric import Rubric

    rubric = Rubric.of(cycle)
    prepare(store, cycle, rubric)
    return audit(store, cycle, costs_of(cycle, rubric))
