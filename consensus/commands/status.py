"""`consensus status`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from consensus.batches import Batch


def status(cycle: Path, /, *overrides: str, compare: str | None = None, json: bool = False) -> int:
    """Show how a cycle stands, also while `label` runs.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    overrides: str
        Settings that differ from the file, as key=value.
    compare: str
        Another cycle of the same store that judged the same pairs: where the labels agree, and what each keeps.
    json: bool
        Print one JSON object instead of tables.
    """
    from dataclasses import asdict

    from consensus.batches import Batches
    from consensus.cyclefile import load
    from consensus.errors import StoreBusy, UsageError
    from consensus.live import Live
    from consensus.prompt_store import Prompts
    from consensus.store import Store
    from consensus.summary import glance
    from consensus.terminal import emit, out

    loaded = load(cycle, overrides)
    if not loaded.store.exists():
        raise UsageError(f"there is no store {loaded.store} yet; 'consensus label {cycle}' makes it")
    try:
        with Store(loaded.store) as store:
            store.use_rule(loaded)
            batches = Batches(store).open(loaded.name)
            figures = {**glance(store, loaded.name), "running": False, "batches": [_batch(batch) for batch in batches]}
            if (drawn := Prompts(store).drawn(loaded.name)).prompts:
                figures["generation"] = asdict(drawn)
            if compare is not None:
                from consensus.comparison import compare as compared

                figures["compared"] = compared(store, loaded.name, compare)
    except StoreBusy:
        # DuckDB lets no second process in, so the one that labels leaves its figures beside the store.
        found = Live(loaded.store).read()
        if found is None or found["cycle"] != loaded.name or compare is not None:
            raise
        figures = {**found, "running": True}
    if json:
        emit(figures)
        return 0
    _show(out(), figures, " ".join([str(cycle), *overrides]))
    return 0


def _show(console: Console, figures: dict[str, Any], words: str) -> None:
    from consensus.summary import show
    from consensus.terminal import count, dollars, plain

    if figures["running"]:
        age = f"figures are {figures['age_s']:.1f} s old"
        console.print(f"[bold]{plain(figures['cycle'])}[/] is being worked on by process {figures['pid']}; {age}\n")
        for judge in figures["progress"]:
            console.print(f"  {judge['line']}", markup=False)
        return
    show(console, figures)
    if made := figures.get("generation"):
        cost = f", {dollars(made['cost_usd'])}" if made["cost_usd"] is not None else ""
        there = f"{count(made['completions'])} completions of {count(made['prompts'])} prompts"
        console.print(f"generated: {there}, {count(made['pairs'])} pairs{cost}")
    if "compared" in figures:
        from consensus.comparison import comparison_lines

        for line in comparison_lines(figures["compared"]):
            console.print(line)
    for batch in figures["batches"]:
        since = f"since {batch['since']:%Y-%m-%d %H:%M} UTC" if batch["submitted"] else "not known to be submitted"
        console.print(
            f"batch {batch['batch']} of {batch['judge']}: {batch['requests']:,} requests, {since}", markup=False
        )
    if figures["batches"]:
        console.print(f"to collect what has ended: [bold]consensus label {plain(words)} --batch[/]")


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "batch": batch.name,
        "judge": batch.judge,
        "requests": batch.requests,
        "submitted": batch.remote_id is not None,
        "since": batch.sent_at or batch.created_at,
    }
