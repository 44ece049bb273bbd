"""`consensus report`."""

from __future__ import annotations

from pathlib import Path


def report(cycle: Path, /, *overrides: str, output: Path | None = None, json: bool = False) -> int:
    """Write what an audit finds, and what the cycle kept and cost, as one HTML file with pictures; it needs no network.

    Parameters
    ----------
    cycle: Path
        The cycle file. Recorded votes under its `input:` are ingested if the store has no votes of the cycle yet.
    overrides: str
        Settings that differ from the file, as key=value.
    output: Path
        The file to write; by default beside the store, named for the cycle.
    json: bool
        Print one JSON object with every figure, and every picture's Vega-Lite specification.
    """
    from datetime import datetime
    from importlib.metadata import version

    from consensus.cyclefile import load
    from consensus.errors import ConsensusError
    from consensus.store import Store
    from consensus.summary import summary
    from consensus.terminal import emit, out, plain
    from evaluation.audit.audit import audit
    from evaluation.commands.audit import costs_of, prepare, refuse_without_votes
    from evaluation.production.history import history
    from evaluation.report.page import About, page, parts, settings
    from evaluation.report.plain import sentences
    from evaluation.report.specs import WIDE
    from labeling.rubric import Rubric

    refuse_without_extra()
    loaded = load(cycle, overrides)
    rubric = Rubric.of(loaded)
    refuse_without_votes(loaded, cycle)
    target = output or loaded.store.parent / f"{loaded.name.replace('/', '-')}-report.html"
    with Store(loaded.store) as store:
        prepare(store, loaded, rubric)
        found = audit(store, loaded, costs_of(loaded, rubric))
        past = history(store, loaded.name)
        spent = {judge["judge"]: judge["cost_usd"] for judge in summary(store, loaded.name)["judges"]}
    about = About(settings(loaded), spent, datetime.now().astimezone(), version("judge-consensus"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        size = target.write_bytes(page(found, about, past).encode("utf-8"))
    except OSError as error:
        raise ConsensusError(f"cannot write {target}: {error.strerror or error}") from None
    if json:
        charts = {part.slug: part.sketch(WIDE) for part in parts(found, about, past) if part.sketch}
        said = {
            "sentences": sentences(found, past),
            "charts": charts,
            "audit": found.as_dict(),
            "history": past.as_dict(),
        }
        emit({"cycle": loaded.name, "path": str(target), "bytes": size, **said})
    else:
        out().print(f"wrote {size / 1e3:,.0f} kB to [bold]{plain(str(target))}[/]; open it in any browser")
    return 0


def refuse_without_extra() -> None:
    """The page and its pictures are made by packages that nothing else needs.

    Raises:
        UsageError: they are not installed.
    """
    from importlib.util import find_spec

    from consensus.errors import UsageError

    missing = [name for name in ("jinja2", "vl_convert") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"'consensus report' draws with packages that are not installed ({', '.join(missing)}); install them with "
            "pip install 'judge-consensus[report]', or in a clone pip install -e '.[report]'"
        )
