"""`consensus label --batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consensus.cycle import Cycle
    from consensus.store import Store
    from labeling.batches.state import BatchOutcome
    from labeling.panel import PanelJudge
    from labeling.rubric import Rubric


def batch_prices(cycle: Cycle, rubric: Rubric) -> tuple[Mapping[str, PanelJudge], dict[str, str]]:
    """The judges at the price of a batch, without pace, and why some take none; no call, no key."""
    from dataclasses import replace

    from labeling.batches.judges import at_batch_price
    from labeling.panel import Panel
    from labeling.providers.batch_apis import why_online

    judges = at_batch_price(Panel(cycle, rubric).priced(), cycle)
    reasons = {name: why_online(judge.config, cycle) for name, judge in judges.items()}
    unpaced = {
        name: judge
        if reasons[name]
        else replace(judge, config=judge.config.model_copy(update={"rpm": None, "tpm": None}))
        for name, judge in judges.items()
    }
    return unpaced, {name: why for name, why in reasons.items() if why}


def in_batches(
    store: Store, cycle: Cycle, rubric: Rubric, words: str, *, max_cost: float | None, wait: bool, json: bool
) -> int:
    """One run in batches, and what it says; 0 if nothing is left to do, 4 if the command is to be run again."""
    import asyncio

    from consensus.summary import show, summary
    from consensus.terminal import emit, err, out
    from labeling.batches.run import run_batches

    progress = err()

    def say(line: str) -> None:
        progress.print(line, markup=False)

    command = " ".join(
        ["consensus label", words, "--batch", *([f"--max-cost {max_cost:g}"] if max_cost is not None else [])]
    )
    _refuse_nobody(cycle)
    try:
        outcome = asyncio.run(run_batches(store, cycle, rubric, say=say, max_cost=max_cost, wait=wait))
    except KeyboardInterrupt:
        say(f"interrupted; batches that were submitted go on at their providers; to go on: {command}")
        return 130
    figures = {**summary(store, cycle.name), "run": _figures(outcome)}
    if json:
        emit(figures)
    else:
        show(out(), figures)
        for line in _ending(outcome, words, command):
            out().print(line)
    return 0 if outcome.complete else 4


def _refuse_nobody(cycle: Cycle) -> None:
    """A panel of which no judge takes batches has nothing to do here."""
    from consensus.errors import UsageError
    from labeling.providers.batch_apis import why_online

    reasons = {judge.label: why_online(judge, cycle) for judge in cycle.judges if judge.called}
    if not any(why is None for why in reasons.values()):
        told = "".join(f"\n  {name}: {why}" for name, why in reasons.items())
        raise UsageError(f"no judge of this cycle takes batches; ask them without --batch{told}")


def _figures(outcome: BatchOutcome) -> dict[str, Any]:
    return {
        "submitted": outcome.submitted,
        "votes": outcome.votes,
        "failures": outcome.failures,
        "complete": outcome.complete,
        "waiting": outcome.waiting,
        "batches": [
            {"batch": batch.name, "judge": batch.judge, "requests": batch.requests, "said": said}
            for batch, said in outcome.running
        ],
        "online": {name: {"ballots": n, "why": why} for name, (n, why) in outcome.online.items()},
        "down": dict(outcome.down),
        "strays": outcome.strays,
        "out_of_budget": outcome.out_of_budget,
    }


def _ending(outcome: BatchOutcome, words: str, command: str) -> list[str]:
    from consensus.terminal import plain

    lines = [""]
    for batch, said in outcome.running:
        lines.append(
            f"batch {plain(batch.name)} of {plain(batch.judge)}: {batch.requests:,} requests, {plain(said[:300])}"
        )
    if outcome.waiting:
        lines.append(
            f"{outcome.waiting:,} ballots wait in batches; pairs that are open when these end get another round"
        )
    for name, why in outcome.down.items():
        lines.append(f"[red]nothing more was submitted to {plain(name)}[/]: {plain(why[:300])}")
    if outcome.out_of_budget:
        lines.append("[yellow]stopped at --max-cost[/]: what was left out could cost more than that; raise it to go on")
    left = {name: item for name, item in outcome.online.items() if item[0]}
    for name, (n, why) in left.items():
        lines.append(f"[yellow]{plain(name)} takes no batches[/] ({plain(why)}): {n:,} of its ballots are open")
    if left:
        lines.append(f"to ask what takes no batches online: [bold]consensus label {plain(words)}[/]")
    if outcome.running or outcome.down or outcome.out_of_budget:
        return [*lines, f"to go on: [bold]{plain(command)}[/]"]
    if left:
        return lines
    if outcome.failures:
        lines.append(f"to ask again what failed: [bold]{plain(command)}[/]")
    return [*lines, f"next: [bold]consensus export {plain(words)}[/]"]
