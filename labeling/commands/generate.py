"""`consensus generate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from consensus.cycle import Cycle
    from consensus.store import Store
    from labeling.labeler import Outcome


def generate(
    cycle: Path, /, *overrides: str, dry_run: bool = False, max_cost: float | None = None, json: bool = False
) -> int:
    """Draw completions of the sampled prompts from the model under `generation:`, and form the pairs to be judged.

    Only missing completions are drawn, so a killed run goes on where it was. The first Ctrl-C finishes what is in flight, the
    second one stops at once.

    Parameters
    ----------
    cycle: Path
        The cycle file; traces under its `input:` are ingested first if the cycle has no prompts.
    overrides: str
        Settings that differ from the file, as key=value, e.g. generation.n=8.
    dry_run: bool
        Make no call; print draws, tokens, time under the limits and dollars.
    max_cost: float
        US dollars for the whole cycle; stops starting calls when spent plus in flight would pass it.
    json: bool
        Print one JSON object.
    """
    import asyncio

    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.store import Store
    from consensus.terminal import emit, err, out
    from labeling.generation_run import priced, run
    from labeling.generator import generation_of
    from labeling.rubric import Rubric

    if max_cost is not None and not max_cost >= 0:
        raise UsageError(f"--max-cost is an amount of US dollars, not {max_cost}")
    loaded, words = load(cycle, overrides), " ".join([str(cycle), *overrides])
    generation_of(loaded)
    with Store(loaded.store) as store:
        store.register(loaded, Rubric.of(loaded).system)
        _prompts(store, loaded, cycle)
        if dry_run:
            need = priced(store, loaded)
            plan = {
                "draws": need.calls,
                "tokens_in": need.tokens_in,
                "tokens_out": need.tokens_out,
                "cost_usd": need.dollars,
                "most_cost_usd": need.most_dollars,
                "seconds": need.seconds,
            }
            emit(plan) if json else _show_plan(out(), plan, words)
            return 0
        outcome = asyncio.run(run(store, loaded, console=err(), max_cost=max_cost))
        figures = _figures(store, loaded, outcome)
    if json:
        emit(figures)
    else:
        cap = f" --max-cost {max_cost:g}" if max_cost is not None else ""
        _show(out(), figures, outcome, words, cap)
    return 130 if outcome.interrupted else 0 if outcome.complete else 4


def _prompts(store: Store, cycle: Cycle, file: Path) -> None:
    """See to it that the cycle has prompts, and those that its file asks for."""
    from consensus.errors import UsageError
    from consensus.prompt_store import Prompts
    from consensus.terminal import err
    from labeling.trace_intake import ingest_traces, refuse_stale

    if not Prompts(store).count(cycle.name) and cycle.input.traces:
        for line in ingest_traces(store, cycle, cycle.input.traces).lines():
            err().print(line, markup=False)
    if not Prompts(store).count(cycle.name):
        raise UsageError(f"cycle {cycle.name!r} has no prompts; 'consensus ingest {file} --traces FILE' draws them")
    refuse_stale(store, cycle)


def _figures(store: Store, cycle: Cycle, outcome: Outcome) -> dict[str, Any]:
    from dataclasses import asdict

    from consensus.prompt_store import Prompts

    prompts = Prompts(store)
    failures = [{"kind": kind, "count": n, "example": said} for kind, n, said in prompts.failure_kinds(cycle.name)]
    run = {
        "completions": outcome.votes,
        "failures": outcome.failures,
        "complete": outcome.complete,
        "down": dict(outcome.down),
        "out_of_budget": outcome.out_of_budget,
        "interrupted": outcome.interrupted,
    }
    made = {**asdict(prompts.drawn(cycle.name)), "failure_kinds": failures}
    return {
        "cycle": cycle.name,
        "store": str(store.path),
        "cycle_pairs": store.pair_count(cycle.name),
        **made,
        "run": run,
    }


def _show_plan(console: Console, plan: dict[str, Any], words: str) -> None:
    from math import ceil

    from consensus.terminal import count, dollars, duration, plain

    if not plan["draws"]:
        console.print("every completion is there: nothing is to be drawn")
        return
    tokens = f"about {count(plan['tokens_in'])} tokens in, {count(plan['tokens_out'])} out"
    time = f", at least {duration(plan['seconds'])} under its limits" if plan["seconds"] is not None else ""
    console.print(f"{count(plan['draws'])} completions to draw: {tokens}{time}")
    most, cap = plan["most_cost_usd"], ""
    if most is None:
        console.print("[yellow]no price known[/]; give one under 'generation: price:' to count it")
    else:
        console.print(
            f"cost {dollars(plan['cost_usd'])}, at most {dollars(most)} if every answer is as long as it may be"
        )
        cap = f" --max-cost {ceil(most * 100) / 100:.2f}"
    console.print("\nTokens are estimated at four characters each. Nothing was called or spent.")
    console.print(f"next: [bold]consensus generate {plain(words)}{cap}[/]")


def _show(console: Console, figures: dict[str, Any], outcome: Outcome, words: str, cap: str) -> None:
    from consensus.terminal import count, dollars, plain

    cost = f", {dollars(figures['cost_usd'])}" if figures["cost_usd"] is not None else ""
    told = figures["prompt_tokens"] or figures["completion_tokens"]
    tokens = f", {count(figures['prompt_tokens'])}/{count(figures['completion_tokens'])} tokens" if told else ""
    console.print(f"{count(figures['completions'])} completions of {count(figures['prompts'])} prompts{tokens}{cost}")
    if figures["cut"]:
        console.print(f"  {count(figures['cut'])} were cut; raise generation.max_tokens to have them whole")
    for failure in figures["failure_kinds"][:5]:
        console.print(f"  [yellow]{count(failure['count'])} × {failure['kind']}[/]: {plain(failure['example'][:120])}")
    few = figures["few"]
    lost = f"; {count(few)} prompts have fewer than two completions that differ, and none" if few else ""
    console.print(f"[bold]{count(figures['pairs'])} pairs[/] of {count(figures['paired'] - few)} prompts{lost}")
    if still := figures["prompts"] - figures["paired"]:
        console.print(f"  {count(still)} prompts have no pairs yet: not all their completions are there")
    console.print("")
    for name, why in outcome.down.items():
        console.print(f"[red]{plain(name)} was given up[/]: {plain(why[:300])}")
    if outcome.out_of_budget:
        console.print("[yellow]stopped at --max-cost[/]; raise it to go on")
    if outcome.interrupted:
        console.print("[yellow]interrupted[/]; everything that was answered is stored")
    if not outcome.complete or still:
        again = "to go on where it was" if not outcome.complete else "to draw again what failed"
        console.print(f"{again}: [bold]consensus generate {plain(words + cap)}[/]")
    if outcome.complete and figures["cycle_pairs"]:
        console.print(f"next: [bold]consensus label {plain(words)} --dry-run[/]")
