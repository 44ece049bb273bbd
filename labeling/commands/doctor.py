"""`consensus doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consensus.cycle import Cycle
    from consensus.sections.endpoints import Endpoint, Judge
    from labeling.panel import Panel
    from labeling.rubric import Rubric


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `ok` None is a warning."""

    what: str
    ok: bool | None
    said: str


def doctor(cycle: Path, /, *overrides: str, call: bool = False, json: bool = False) -> int:
    """Check a cycle file, its keys, judges, input and store, before anything is paid for.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    overrides: str
        Settings that differ from the file, as key=value.
    call: bool
        Also ask every judge one small trial ballot, and the model under `generation:` for one answer; costs one call each.
    json: bool
        Print one JSON object.
    """
    import asyncio

    from consensus.cyclefile import load
    from consensus.terminal import emit, out, plain
    from labeling.rubric import Rubric

    loaded = load(cycle, overrides)
    rubric = Rubric.of(loaded)
    checks = [
        Check("cycle file", True, f"{cycle} is valid: {len(loaded.judges)} judges, {loaded.rule.min_agree} must agree")
    ]
    checks += [_store(loaded), *_input(loaded), *_files(loaded), *_packages(loaded)]
    for judge in loaded.judges:
        checks += asyncio.run(_judge(loaded, judge, rubric, call=call))
    if loaded.generation:
        checks.append(asyncio.run(_generation(loaded, call=call)))
    worst = any(check.ok is False for check in checks)
    if json:
        emit({"ok": not worst, "checks": [{"what": c.what, "ok": c.ok, "said": c.said} for c in checks]})
    else:
        marks = {True: "[green]✓[/]", None: "[yellow]![/]", False: "[red]✗[/]"}
        for check in checks:
            out().print(f"{marks[check.ok]} {plain(check.what):<28} {plain(check.said)}")
    return 1 if worst else 0


def _store(cycle: Cycle) -> Check:
    from consensus.errors import ConsensusError
    from consensus.store import Store

    if not cycle.store.exists():
        return Check("store", True, f"{cycle.store} will be made")
    try:
        with Store(cycle.store) as store:
            known = store.pair_count(cycle.name)
            return Check("store", True, f"{cycle.store} opens; cycle {cycle.name!r} has {known:,} pairs")
    except ConsensusError as error:
        return Check("store", False, str(error))


def _input(cycle: Cycle) -> list[Check]:
    from consensus.errors import ConsensusError
    from labeling.pairs import read_pairs
    from labeling.rows import BadRow

    if cycle.input.pairs is None and cycle.input.traces:
        missing = [str(file) for file in cycle.input.traces if not file.is_file()]
        found = f"{len(cycle.input.traces)} files; 'consensus ingest' says what is in them"
        return [Check("traces", not missing, f"there is no file {missing[0]}" if missing else found)]
    if cycle.input.pairs is None:
        return [
            Check("pairs", None, "the cycle file names none under 'input:'; 'consensus ingest --pairs FILE' reads them")
        ]
    try:
        rows = list(read_pairs(cycle.input.pairs, cycle.input.columns))
    except ConsensusError as error:
        return [Check("pairs", False, str(error))]
    bad = [row for row in rows if isinstance(row, BadRow)]
    said = f"{cycle.input.pairs}: {len(rows) - len(bad):,} pairs"
    said += f", {len(bad):,} rows refused, first row {bad[0].row}: {bad[0].reason}" if bad else ""
    return [Check("pairs", (None if bad else True) if len(rows) > len(bad) else False, said)]


def _files(cycle: Cycle) -> list[Check]:
    """Whatever else the cycle file names, and is there or not; what is in it, the command says that reads it."""
    named = [("outcomes", file) for file in cycle.input.outcomes]
    named += [("training.rows", file) for file in [cycle.training.rows] if file]
    named += [("evaluation.gold", file) for file in [cycle.evaluation.gold] if file]
    checks = [
        Check(what, file.is_file(), str(file) if file.is_file() else f"there is no file {file}") for what, file in named
    ]
    for model in _models(cycle):
        if model.adapter is not None:
            there = (model.adapter / "adapter_config.json").is_file()
            said = "" if there else " holds no adapter: it has no adapter_config.json; 'consensus train' writes one"
            checks.append(Check(f"{model.label} (adapter)", there, f"{model.adapter}{said}"))
    return checks


def _packages(cycle: Cycle) -> list[Check]:
    """The extra `train`, where a model runs in this process or the cycle file says how one is trained."""
    from importlib.util import find_spec

    local = any(model.provider == "local" for model in _models(cycle))
    if not local and not cycle.training.model_fields_set:
        return []
    needed = ("torch", "transformers", "peft") + (() if local else ("trl", "datasets", "accelerate"))
    missing = [package for package in needed if not find_spec(package)]
    said = f"{', '.join(missing)} not installed: pip install 'judge-consensus[train]'" if missing else "installed"
    return [Check("extra train", (False if local else None) if missing else True, said)]


def _models(cycle: Cycle) -> list[Endpoint]:
    others = (cycle.generation, cycle.evaluation.candidate, cycle.evaluation.baseline)
    return [*cycle.judges, *(model for model in others if model)]


async def _judge(cycle: Cycle, judge: Judge, rubric: Rubric, *, call: bool) -> list[Check]:
    from consensus.errors import UsageError
    from labeling.panel import Panel

    if not judge.called:
        return [Check(judge.label, True, "recorded: never called, its votes are ingested")]
    alone = cycle.model_copy(update={"judges": (judge,)})
    try:
        async with Panel(alone, rubric) as panel:
            return [_ready(panel), *([await _trial(panel)] if call else [])]
    except UsageError as error:
        return [Check(judge.label, False, str(error))]


def _ready(panel: Panel) -> Check:
    (judge,) = panel.judges.values()
    parts = [f"{judge.transport.name} transport" + (f" ({judge.why_default})" if judge.why_default else "")]
    asked, sent = judge.config.temperature, judge.transport.temperature
    parts.append(
        f"temperature {sent:g}"
        if sent is not None
        else "asked without a temperature" + ("" if asked is None else ": the model takes none")
    )
    price = judge.price
    parts.append(
        f"${price.input:g} in, ${price.output:g} out per million tokens"
        if price
        else "no price known: give one under 'price:'"
        + (" (what its electricity costs is yours to say)" if judge.config.provider == "local" else "")
    )
    return Check(
        judge.name, True if price or judge.config.provider in ("simulated", "local") else None, "; ".join(parts)
    )


async def _generation(cycle: Cycle, *, call: bool) -> Check:
    from consensus.errors import UsageError
    from consensus.nouns import Failure
    from consensus.prompts import Draw, Prompt
    from labeling.generator import Generator, generation_of

    made = generation_of(cycle)
    name = f"{made.label} (generation)"
    try:
        async with Generator(cycle, made) as generator:
            said = f"{generator.transport.name} transport; {made.n} completions a prompt"
            if not call:
                return Check(name, True, said)
            question = Prompt("doctor", [{"role": "user", "content": "What is 2 + 2?"}])
            result = await generator.ask(question, Draw("doctor", made.label, 0))
    except UsageError as error:
        return Check(name, False, str(error))
    if isinstance(result, Failure):
        return Check(name, False, f"{result.kind}: {result.message}")
    return Check(name, True, f"{said}; {result.served_by} answered")


async def _trial(panel: Panel) -> Check:
    from consensus.nouns import Ballot, Failure, Pair, Shown

    (judge,) = panel.judges.values()
    pair = Pair("doctor", "What is 2 + 2?", "4", "5")
    result = await judge.ask(pair, Ballot(pair.pair_id, judge.name, Shown.AB))
    if isinstance(result, Failure):
        return Check(judge.name, False, f"{result.kind}: {result.message}")
    took = f" in {result.spent.latency_s:.1f} s" if result.spent.latency_s is not None else ""
    return Check(
        judge.name,
        True if result.verdict in ("a", "b") else None,
        f"{result.served_by} answered{took}: {result.verdict}",
    )
