"""`consensus label`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from labeling.labeler import Outcome
    from labeling.plan import Need


def label(
    cycle: Path,
    /,
    *overrides: str,
    dry_run: bool = False,
    max_cost: float | None = None,
    batch: bool = False,
    wait: bool = False,
    forget_batch: str | None = None,
    json: bool = False,
) -> int:
    """Ask the judges about every pair; votes go to the store, and a killed run goes on where it was.

    Only missing votes are asked. The first Ctrl-C finishes what is in flight, the second one stops at once.

    Parameters
    ----------
    cycle: Path
        The cycle file; files under its `input:` are ingested first.
    overrides: str
        Settings that differ from the file, as key=value, e.g. consensus.min_agree=3.
    dry_run: bool
        Make no call; print calls, tokens, time under the limits and dollars per judge.
    max_cost: float
        US dollars for the whole cycle; stops starting calls when spent plus in flight would pass it.
    batch: bool
        Ask through the providers' batch APIs: about half the price, answers within a day. Each run collects what has ended,
        submits what is open, and ends; run it again later.
    wait: bool
        With --batch: stay until every batch has ended and nothing is left to submit.
    forget_batch: str
        With --batch: take this batch for lost and ask its ballots again. If its provider has it after all, they are paid twice.
    json: bool
        Print one JSON object instead of tables.
    """
    import asyncio

    from consensus.batches import Batches
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.store import Store
    from consensus.summary import show, summary
    from consensus.terminal import emit, err, out
    from labeling.commands.label_batch import batch_prices, in_batches
    from labeling.cycle_run import early, hashes, open_pairs, priced, run, savings
    from labeling.intake import ingest_input
    from labeling.rubric import Rubric

    if max_cost is not None and not max_cost >= 0:
        raise UsageError(f"--max-cost is an amount of US dollars, not {max_cost}")
    if not batch and (wait or forget_batch):
        raise UsageError(f"{'--wait' if wait else '--forget-batch'} goes with --batch")
    loaded, progress = load(cycle, overrides), err()
    rubric, words = Rubric.of(loaded), " ".join([str(cycle), *overrides])
    with Store(loaded.store) as store:
        store.register(loaded, rubric.system)
        for intake in ingest_input(store, loaded, rubric.system):
            for line in intake.lines():
                progress.print(line, markup=False)
        if not store.pair_count(loaded.name):
            how = f"generate {cycle}' draws them" if loaded.generation else f"ingest {cycle} --pairs FILE' reads them"
            raise UsageError(f"cycle {loaded.name!r} has no pairs; 'consensus {how}")
        if dry_run:
            prices, notes = batch_prices(loaded, rubric) if batch else (None, {})
            plan = priced(store, loaded, rubric, prices)
            command = " ".join(["consensus label", words, *(["--batch"] if batch else [])])
            figures = {
                **_plan_figures(plan),
                "waiting": Batches(store).waiting(loaded.name),
                "batch": batch,
                "online": notes,
            }
            emit(figures) if json else _show_plan(out(), figures, command)
            return 0
        if batch:
            if forget_batch:
                Batches(store).forget(loaded.name, forget_batch)
            return in_batches(store, loaded, rubric, words, max_cost=max_cost, wait=wait, json=json)
        outcome = asyncio.run(run(store, loaded, rubric, console=progress, max_cost=max_cost))
        waiting = Batches(store).waiting(loaded.name)
        complete = outcome.complete and not waiting
        figures = {**summary(store, loaded.name), **_outcome_figures(outcome), "waiting": waiting}
        answered = store.answered(loaded.name, hashes(loaded, rubric))
        figures["calls"] = savings(loaded, figures, answered) if complete else None
        figures["early"] = early(store, loaded, rubric)
        figures["open_pairs"] = open_pairs(store, loaded, rubric) if outcome.failures or not outcome.complete else 0
    if json:
        emit(figures)
    else:
        show(out(), figures)
        if figures["calls"] and figures["calls"]["saved"]:
            out().print(_saved(figures["calls"], figures["early"]))
        cap = f" --max-cost {max_cost:g}" if max_cost is not None else ""
        for line in _ending(outcome, words, cap, open_pairs=figures["open_pairs"], waiting=waiting):
            out().print(line)
    return 130 if outcome.interrupted else 0 if complete else 4


def _outcome_figures(outcome: Outcome) -> dict[str, Any]:
    return {
        "run": {
            "votes": outcome.votes,
            "failures": outcome.failures,
            "complete": outcome.complete,
            "down": dict(outcome.down),
            "out_of_budget": outcome.out_of_budget,
            "interrupted": outcome.interrupted,
        }
    }


def _ending(outcome: Outcome, words: str, cap: str, *, open_pairs: int, waiting: int) -> list[str]:
    from consensus.terminal import plain

    lines = [""]
    for name, why in outcome.down.items():
        lines.append(f"[red]judge {plain(name)} was given up[/]: {plain(why[:300])}")
    if outcome.out_of_budget:
        lines.append("[yellow]stopped at --max-cost[/]; raise it to go on")
    if outcome.interrupted:
        lines.append("[yellow]interrupted[/]; everything that was answered is stored")
    if open_pairs:
        lines.append(f"{open_pairs:,} pairs are still open: not all their votes are there")
    if waiting:
        lines.append(
            f"{waiting:,} ballots wait in batches; to collect them: [bold]consensus label {plain(words)} --batch[/]"
        )
        return lines if outcome.complete else [*lines, f"to go on: [bold]consensus label {plain(words + cap)}[/]"]
    if not outcome.complete:
        return [*lines, f"to go on where it was: [bold]consensus label {plain(words + cap)}[/]"]
    if open_pairs:
        lines.append(f"to ask again what failed: [bold]consensus label {plain(words + cap)}[/]")
    return [*lines, f"next: [bold]consensus export {plain(words)}[/]"]


def _saved(calls: dict[str, Any], early: dict[str, Any] | None) -> str:
    from consensus.terminal import count, dollars, percent

    money = f", about {dollars(calls['saved_usd'])}" if calls["saved_usd"] is not None else ""
    share = percent(calls["saved"] / calls["full"])
    asked = f"{count(calls['made'])} of the full panel's {count(calls['full'])} ballots"
    if early is None:
        same = "but for failed ballots the labels are" if calls["failed"] else "the labels are exactly"
        return f"saved: asked {asked} ({share} fewer{money}); {same} the full panel's"
    value, low, high = early["differs"]
    lines = [
        f"saved: asked {asked} ({share} fewer{money})",
        f"stopped when {percent(early['confidence'])} sure, as learned from {early['learned_from']}, "
        f"{count(early['learned_pairs'])} pairs; on {count(early['pairs'])} pairs that were asked completely this changes "
        f"{percent(value)} of the labels ({percent(low)} to {percent(high)})",
    ]
    if early["stopped"] == 0:
        lines.append("no pair was sure before its label was settled: sampling.stop=settled asks as little, at no risk")
    return "\n".join(lines)


def _plan_figures(plan: list[Need]) -> dict[str, Any]:
    judges = [
        {
            "judge": need.judge,
            "calls": need.calls,
            "most_calls": need.most_calls,
            "tokens_in": need.tokens_in,
            "tokens_out": need.tokens_out,
            "cost_usd": need.dollars,
            "most_cost_usd": need.most_dollars,
            "ceiling_usd": need.ceiling_dollars,
            "seconds": need.seconds,
        }
        for need in plan
    ]
    return {
        "judges": judges,
        "calls": sum(need.calls for need in plan),
        "most_calls": sum(need.most_calls for need in plan),
        "cost_usd": _sum(need.dollars for need in plan),
        "most_cost_usd": _sum(need.most_dollars for need in plan),
        "ceiling_usd": _sum(need.ceiling_dollars for need in plan),
        "unpriced": [need.judge for need in plan if need.most_calls and need.most_dollars is None],
        "seconds": max((need.seconds for need in plan if need.seconds is not None), default=None),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _show_plan(console: Console, total: dict[str, Any], command: str) -> None:
    from math import ceil

    from rich.table import Table

    from consensus.terminal import count, dollars, duration, plain

    if total["waiting"]:
        console.print(
            f"{total['waiting']:,} ballots wait in batches; they, and what follows from them, are not counted here"
        )
    if not total["most_calls"]:
        console.print(
            "nothing is to be asked now" if total["waiting"] else "every label is settled: nothing is to be asked"
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("judge", "calls", "most calls", "tokens in / out", "time at least", "cost", "most cost"):
        table.add_column(name, justify="left" if name == "judge" else "right", no_wrap=True)
    for row in [*total["judges"], {**total, "judge": "total", "tokens_in": None}]:
        tokens = "" if row["tokens_in"] is None else f"{count(row['tokens_in'])} / {count(row['tokens_out'])}"
        calls, money = (
            (count(row["calls"]), count(row["most_calls"])),
            (dollars(row["cost_usd"]), dollars(row["most_cost_usd"])),
        )
        style = "bold" if row["judge"] == "total" else ""
        table.add_row(plain(row["judge"]), *calls, tokens, duration(row["seconds"]), *money, style=style)
    console.print(table)
    console.print("\nTokens are estimated at four characters each. Nothing was called or spent.")
    if total["calls"] < total["most_calls"]:
        console.print(
            "A judge is asked only while the label is open: expected calls, and at most those of the full panel."
        )
    for name, why in total["online"].items():
        console.print(f"[yellow]{plain(name)} takes no batches[/]: {plain(why)}; its line is at the price of calls")
    if total["unpriced"]:
        console.print(
            f"[yellow]no price known for[/] {plain(', '.join(total['unpriced']))}; give one under 'price:' to count it"
        )
    most = total["most_cost_usd"]
    if total["batch"] and total["ceiling_usd"]:
        most = total["ceiling_usd"]
        console.print(
            "A batch sets aside what it costs if every reply is as long as it may be: "
            f"{dollars(most)} for all, most of which comes back."
        )
    cap = f" --max-cost {ceil(most * 100) / 100:.2f}" if most and not total["unpriced"] else ""
    console.print(f"next: [bold]{plain(command)}{cap}[/]")
