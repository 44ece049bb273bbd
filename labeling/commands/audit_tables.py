"""How the calls of an audit look on a terminal: what they cost, how sure they make, one pair, the anchors."""

from __future__ import annotations

from math import ceil, isnan
from typing import TYPE_CHECKING, Any

from rich.table import Table

from consensus.terminal import count, dollars, duration, percent, plain

if TYPE_CHECKING:
    from rich.console import Console

NOT_NEEDED = "every vote that this asks for is there already: nothing is to be asked"


def show_price(console: Console, figures: dict[str, Any]) -> None:
    """Calls, tokens, time and dollars per judge."""
    if not figures["calls"]:
        console.print(NOT_NEEDED)
        return
    table = _table("judge", "calls", "tokens in / out", "time at least", "cost")
    for row in figures["judges"]:
        tokens = f"{count(row['tokens_in'])} / {count(row['tokens_out'])}"
        table.add_row(
            plain(row["judge"]), count(row["calls"]), tokens, duration(row["seconds"]), dollars(row["cost_usd"])
        )
    total = (count(figures["calls"]), "", duration(figures["seconds"]), dollars(figures["cost_usd"]))
    table.add_row("total", *total, style="bold")
    console.print(table)
    console.print("\nVotes that the cycle paid for are not asked again. Nothing was called or spent.")
    if figures["unpriced"]:
        names = plain(", ".join(figures["unpriced"]))
        console.print(f"[yellow]no price known for[/] {names}; give one under 'price:' to count it")


def show_precision(console: Console, figures: dict[str, Any]) -> None:
    """How narrow the intervals will be."""
    orders = "both orders" if figures["orders"] == "both" else "one order"
    console.print(
        f"{count(figures['pairs'])} pairs, each {figures['repeats']} times in {orders}, tell of a usual judge:"
    )
    console.print(f"  position bias     ± {points(figures['bias_to'])}")
    if isnan(figures["disagreement_to"]):
        console.print("  self-contradiction  not at all: that takes audit.repeats of 2 or more")
    else:
        console.print(
            f"  self-contradiction ± {points(figures['disagreement_to'])} (chance that two identical calls differ)"
        )


def show_plan(console: Console, figures: dict[str, Any]) -> None:
    """Ways to know a bias closely enough, the cheapest first."""
    to = points(figures["know_bias_to"])
    console.print(f"To know a usual judge's position bias to ± {to}, at 95 %:")
    table = _table("orders", "repeats", "pairs", "calls a judge", "self-contradiction to")
    for way in figures["ways"]:
        off = "" if way["enough_pairs"] else "dim"
        to = "–" if isnan(way["disagreement_to"]) else f"± {points(way['disagreement_to'])}"
        table.add_row(
            way["orders"], str(way["repeats"]), count(way["pairs"]), count(way["calls_per_judge"]), to, style=off
        )
    console.print(table)
    console.print("Calls that made the labels count among them, and are not paid for again.")
    best = figures.get("best")
    if best is None:
        least = min(way["pairs"] for way in figures["ways"])
        there = count(figures["pairs_there"])
        console.print(
            f"[yellow]too few pairs[/]: the cycle has {there}, and the fewest that would do are {count(least)}"
        )
        return
    cost = f", {dollars(best['cost_usd'])}" if best["cost_usd"] is not None else ""
    console.print(f"[bold]the cheapest: {count(best['calls'])} further calls of all judges together{cost}[/]")


def show_pair(console: Console, pair_id: str, judges: list[dict[str, Any]]) -> None:
    """One pair: what each judge said, and how often not."""
    console.print(f"pair [bold]{plain(pair_id)}[/], every call the same to the byte")
    table = _table(
        "judge", "shown", "calls", "a", "b", "tie", "abstain", "commonest", "flips", "95 % interval", "two calls differ"
    )
    for row in judges:
        calls = row["n"] + row["abstain"]
        numbers = [str(row[name]) for name in ("a", "b", "tie", "abstain")]
        most = "–" if isnan(row["modal_share"]) else f"{row['modal'] or 'even'} {percent(row['modal_share'])}"
        flips = "–" if isnan(row["flip_rate"]) else f"{row['flips']} of {row['n']}: {percent(row['flip_rate'])}"
        between = "–" if isnan(row["low"]) else f"{percent(row['low'])} to {percent(row['high'])}"
        table.add_row(
            plain(row["judge"]), row["shown"], str(calls), *numbers, most, flips, between, percent(row["disagreement"])
        )
    console.print(table)
    console.print("[dim]flips: verdicts that are not the commonest one; abstentions are left out[/]")


def show_drift(console: Console, figures: dict[str, Any]) -> None:
    """Every judge against what it said when the anchors were kept."""
    kept = f"{count(figures['anchors'])} anchors, kept of {figures['kept_from']} on {figures['kept_at'][:10]}"
    console.print(plain(kept))
    table = _table("judge", "look", "votes", "as before", "expected", "e-value", "evidence", "")
    for judge in figures["judges"]:
        if not judge["looks"]:
            table.add_row(plain(judge["judge"]), "–", *[""] * 5, judge["reason"])
        for k, look in enumerate(judge["looks"]):
            last = k == len(judge["looks"]) - 1
            verdict = ("[red]changed[/]" if judge["alarm"] else "no sign of a change") if last else ""
            expected = f"{look['expected']:.1f}"
            evidence = (f"{look['e_value']:,.2g}", f"{look['evidence']:,.2g}", verdict)
            table.add_row(
                plain(judge["judge"]), plain(look["look"]), str(look["votes"]), str(look["hits"]), expected, *evidence
            )
    console.print(table)
    for judge in figures["judges"]:
        for change in judge["changed"]:
            before, now = (plain(", ".join(change[when])) for when in ("before", "now"))
            console.print(f"[yellow]{plain(judge['judge'])}: {change['words']} changed[/]: {before} before, {now} now")
        if judge["alarm"]:
            console.print(
                f"[red]{plain(judge['judge'])} does not answer as it did[/]: its votes before and after do not mean the same. "
                "Audit it anew, label again what matters, and then keep new anchors with --new-anchors."
            )
    console.print(
        f"[dim]A bet against 'nothing changed'; evidence of {figures['threshold']:g} is an alarm. If no judge changes, one is "
        f"raised with a chance of at most {percent(figures['level'])}, however often you look.[/]"
    )


def cap(figures: dict[str, Any]) -> str:
    """A --max-cost, which is for all that the cycle ever asks, with some room; nothing where a price is missing."""
    cost = figures["cost_usd"]
    limit = figures["spent_usd"] + 1.1 * cost if cost else 0.0
    return f" --max-cost {ceil(100 * limit) / 100:.2f}" if cost and not figures["unpriced"] else ""


def points(share: float) -> str:
    """A difference of shares in points."""
    return f"{100 * share:.1f} points"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(
            name, justify="left" if name in ("judge", "look", "orders", "shown", "") else "right", no_wrap=True
        )
    return table
