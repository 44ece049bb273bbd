"""`consensus status`."""

from __future__ import annotations

from pathlib import Path


def status(cycle: Path, /, *overrides: str, json: bool = False) -> int:
    """Show how a cycle stands, also while `label` runs.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    overrides: str
        Settings that differ from the file, as key=value.
    json: bool
        Print one JSON object instead of tables.
    """
    from consensus.cyclefile import load
    from consensus.errors import StoreBusy, UsageError
    from consensus.live import Live
    from consensus.store import Store
    from consensus.summary import show, summary
    from consensus.terminal import emit, out, plain

    loaded = load(cycle, overrides)
    if not loaded.store.exists():
        raise UsageError(f"there is no store {loaded.store} yet; 'consensus label {cycle}' makes it")
    try:
        with Store(loaded.store) as store:
            store.use_rule(loaded)
            figures = {**summary(store, loaded.name), "running": False}
    except StoreBusy:
        # DuckDB lets no second process in, so the one that labels leaves its figures beside the store.
        found = Live(loaded.store).read()
        if found is None or found["cycle"] != loaded.name:
            raise
        figures = {**found, "running": True}
    if json:
        emit(figures)
        return 0
    console = out()
    if figures["running"]:
        age = f"figures are {figures['age_s']:.1f} s old"
        console.print(f"[bold]{plain(loaded.name)}[/] is being labeled by process {figures['pid']}; {age}\n")
        for judge in figures["progress"]:
            console.print(f"  {judge['line']}", markup=False)
    else:
        show(console, figures)
    return 0
