"""`consensus train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consensus.cycle import Cycle
    from training.run import Done

INSTALL = "pip install 'judge-consensus[train]'"


def train(
    cycle: Path,
    /,
    *overrides: str,
    name: str | None = None,
    dry_run: bool = False,
    merge: bool = False,
    json: bool = False,
) -> int:
    """Train a LoRA adapter on the cycle's labels by DPO; a killed run goes on where it was.

    The same labels and settings are the same run: the command says so when it is over, and goes on from the last checkpoint when it
    is not. On several devices: accelerate launch -m consensus.cli train cycle.yaml

    Parameters
    ----------
    cycle: Path
        The cycle file; what is trained and how stands under `training:`.
    overrides: str
        Settings that differ from the file, as key=value, e.g. training.learning_rate=1e-5.
    name: str
        What the run is called, in place of the cycle with a hash of settings and data.
    dry_run: bool
        Train nothing; print the pairs by policy, the steps, and about how long they take.
    merge: bool
        When training is over, also write the base model's weights with the adapter's folded in.
    json: bool
        Print one JSON object.
    """
    import os
    from importlib.util import find_spec

    from consensus.cyclefile import load
    from consensus.errors import Interrupted, UsageError
    from consensus.terminal import emit, err

    if dry_run and merge:
        raise UsageError("--dry-run writes nothing, so there is nothing to --merge")
    loaded = load(cycle, overrides)
    missing = [
        package
        for package in ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
        if not find_spec(package)
    ]
    if missing:
        raise UsageError(f"training needs {', '.join(missing)}: {INSTALL}")
    if dry_run:
        from training.dry_run import dry_run as would

        figures = would(loaded)
        emit(figures) if json else _show_plan(figures, " ".join([str(cycle), *overrides]))
        return 0
    from training.progress import Shown
    from training.run import merge as merged
    from training.run import train as run

    first = os.environ.get("RANK", "0") == "0"  # of the processes of a launcher, one speaks
    console = err()
    console.quiet = not first
    try:
        with Shown(console) as shown:
            done = run(loaded, beside=cycle.parent, show=shown, name=name)
        if not first:
            return 0
        weights = merged(done, loaded) if merge else None
    except KeyboardInterrupt:
        raise Interrupted("stopped; the same command goes on from the last checkpoint") from None
    figures = _figures(done, loaded, weights)
    emit(figures) if json else _show(figures, done)
    return 0


def _figures(done: Done, cycle: Cycle, weights: Path | None) -> dict[str, Any]:
    found = done.manifest
    return {
        "run": found["run"],
        "cycle": found["cycle"],
        "folder": str(done.folder),
        "adapter": str(done.adapter),
        "merged": weights and str(weights),
        "was_over": done.before,
        "stored": found["stored"],
        "policy": found["policy"],
        "data": {name: value for name, value in found["data"].items() if name != "panel"},
        "result": found["result"],
        "serve": _serve(found["run"], done.adapter, cycle, weights),
    }


def _serve(run: str, adapter: Path, cycle: Cycle, weights: Path | None) -> str:
    """The command that serves the result with vLLM."""
    from training.model import source

    if weights:
        return f"vllm serve {weights} --served-model-name {run}"
    settings, lora = cycle.training, f"--lora-modules {run}={adapter}"
    base = source(settings.model, settings.folder)
    return f"vllm serve {base} --enable-lora --max-lora-rank {settings.lora.r} {lora}"


def _show(figures: dict[str, Any], done: Done) -> None:
    import json

    from consensus.terminal import duration, out, plain
    from training.card import share
    from training.prepare import reasons

    console, data, result = out(), figures["data"], figures["result"]
    if done.before:
        console.print(f"run [bold]{plain(figures['run'])}[/] was over already; another --name trains again")
    console.print(f"trained on {data['train']:,} pairs: {data['because']}", markup=False)
    if data["left_out"]:
        console.print(f"left out: {reasons(data['left_out'])}", markup=False)
    early = f", stopped as the held-out accuracy fell; the weights are those of step {result['step']:,}"
    early = early if result["stopped_early"] else ""
    console.print(f"{result['steps']:,} steps in {duration(result['seconds'])}{early}")
    for note in result["notes"]:
        console.print(f"  {note}", markup=False)
    if held_out := result["held_out"]:
        console.print(
            f"held out: the chosen side has the larger reward in [bold]{share(held_out['accuracy'])}[/] of "
            f"{held_out['accuracy']['n']:,} pairs (a half before training)"
        )
        if held_out["gold_accuracy"]["n"]:
            console.print(f"  with people in {share(held_out['gold_accuracy'])} of {held_out['gold_accuracy']['n']:,}")
    console.print(f"adapter: [bold]{plain(figures['adapter'])}[/], card and manifest beside it")
    if done.manifest["config"]["task"] == "judge":
        judge = {"provider": "local", "model": done.manifest["config"]["model"], "name": figures["run"]}
        words = ", ".join(
            f"{key}: {json.dumps(value)}" for key, value in {**judge, "adapter": figures["adapter"]}.items()
        )
        console.print(f"as a judge in a cycle file: {{{words}}}", markup=False, soft_wrap=True)
    if figures["merged"]:
        console.print(f"merged weights: [bold]{plain(figures['merged'])}[/]")
    if not figures["stored"]:
        console.print("another command has the store open; run this again to write the measurements into it")
    console.print(f"to serve it: {figures['serve']}", markup=False)


def _show_plan(figures: dict[str, Any], words: str) -> None:
    from consensus.terminal import count, duration, out, plain
    from training.prepare import reasons

    console = out()
    for policy, found in figures["policies"].items():
        used = " (used)" if policy == figures["policy"] else ""
        console.print(f"{policy}: {found['train']:,} pairs to train on, {found['held_out']:,} held out{used}")
    console.print(figures["because"], markup=False)
    if figures["left_out"]:
        console.print(f"left out: {reasons(figures['left_out'])}", markup=False)
    console.print(
        f"{figures['prompts']:,} prompts in {figures['groups']:,} groups of near-duplicates, the largest of {figures['largest']:,}"
    )
    console.print(
        f"{figures['steps']:,} steps of {figures['batch_size']} pairs of {figures['mean_tokens']:,.0f} tokens a side on average, "
        f"{count(figures['weights'])} weights: about {duration(figures['seconds'])} on this machine, within a factor of three"
    )
    console.print(f"run: [bold]{plain(figures['run'])}[/]; to train it: [bold]consensus train {plain(words)}[/]")
