"""What a cycle has come to: the figures behind `status`, `label` and the demo, and their table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consensus.nouns import Reason
from consensus.terminal import count, dollars, percent, plain

if TYPE_CHECKING:
    from rich.console import Console

    from consensus.store import Store

WHY = {
    Reason.AGREED: "enough judges agreed",
    Reason.PLURALITY: "no full agreement, but one side leads",
    Reason.CONFIDENT: "few votes, but judges reliable enough",
    Reason.SPLIT: "judges disagree",
    Reason.TIE: "judges agree on a tie",
    Reason.UNSTABLE: "judges contradict themselves between the orders",
    Reason.TOO_FEW_VOTES: "too few verdicts: abstentions, failures, or not asked yet",
}


AT_ONCE = 1_000_000
"""Votes whose figures are worked out in about a second."""


def summary(store: Store, cycle: str) -> dict[str, Any]:
    """The cycle's figures, as `--json` prints them; worked out again only when there are new facts or another rule."""
    made_from = store.made_from(cycle)
    figures = store.figures(cycle, made_from)
    if figures is None:
        figures = _work_out(store, cycle)
        store.keep_figures(cycle, made_from, figures)
    return {"cycle": cycle, "store": str(store.path), **figures}


def glance(store: Store, cycle: str) -> dict[str, Any]:
    """The figures that can be had at once: of more than a million votes the last ones that were kept, if the rule is the same.

    Returns:
        As `summary`, and `newer_votes`: votes (and `newer_pairs`: pairs) that are stored but not in the figures; 0 where they are
        complete.
    """
    known = store.made_from(cycle)
    kept = None if known.votes <= AT_ONCE else store.last_figures(cycle)
    if kept is None or kept[0].rule != known.rule:
        return {**summary(store, cycle), "newer_votes": 0, "newer_pairs": 0}
    newer = {"newer_votes": known.votes - kept[0].votes, "newer_pairs": known.pairs - kept[0].pairs}
    return {"cycle": cycle, "store": str(store.path), **kept[1], **newer}


def keep_up(store: Store, cycle: str) -> None:
    """Keep the figures of a growing cycle, whenever its votes have grown by half since the last time: for `glance`."""
    known, kept = store.made_from(cycle), store.last_figures(cycle)
    if known.votes > max(AT_ONCE, 1.5 * (kept[0].votes if kept else 0)):
        summary(store, cycle)


def _work_out(store: Store, cycle: str) -> dict[str, Any]:
    reasons = store.reasons(cycle)
    pairs, kept = sum(reasons.values()), sum(n for reason, n in reasons.items() if reason.keeps)
    judges = [{name: getattr(tally, name) for name in tally.__dataclass_fields__} for tally in store.tallies(cycle)]
    costs = [judge["cost_usd"] for judge in judges if judge["cost_usd"] is not None]
    failures = [
        {"judge": judge, "kind": kind, "count": n, "example": message}
        for judge, kind, n, message in store.failure_kinds(cycle)
    ]
    return {
        "pairs": pairs,
        "kept": kept,
        "retention": kept / pairs if pairs else None,
        "reasons": {reason.value: reasons[reason] for reason in Reason if reason in reasons},
        "votes": sum(judge["votes"] for judge in judges),
        "judges": judges,
        "failures": failures,
        "cost_usd": sum(costs) if costs else None,
        "gold": _gold(store.gold_matches(cycle)),
    }


def _gold(matches: list[tuple[str, bool]]) -> dict[str, Any] | None:
    if not matches:
        return None
    from consensus.statistics.intervals import wilson  # numpy costs a tenth of what `status` takes in all

    found = wilson([right for _, right in matches], [prompt for prompt, _ in matches])
    return {
        "n": found.n,
        "agree": sum(right for _, right in matches),
        "share": found.value,
        "low": found.low,
        "high": found.high,
    }


def show(console: Console, figures: dict[str, Any]) -> None:
    """Print a cycle's figures: the judges, what was kept and lost and why, what it cost, and whether people agree."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for name in ("judge", "votes", "a", "b", "tie", "abstain", "failed", "first", "tokens", "s/call", "cost"):
        table.add_column(name, justify="left" if name == "judge" else "right", no_wrap=True)
    for judge in figures["judges"]:
        told = judge["prompt_tokens"] or judge["completion_tokens"]
        tokens = f"{count(judge['prompt_tokens'])}/{count(judge['completion_tokens'])}" if told else "–"
        numbers = [count(judge[name]) for name in ("votes", "a", "b", "tie", "abstain", "failures")]
        latency = judge["median_latency_s"]
        row = [
            percent(judge["first_slot"]),
            tokens,
            "–" if latency is None else f"{latency:.2f}",
            dollars(judge["cost_usd"]),
        ]
        table.add_row(plain(judge["judge"]), *numbers, *row)
    console.print(table)
    console.print("[dim]first: share of decided votes for the completion shown first; tokens: prompt / reply[/]\n")
    kept, pairs = figures["kept"], figures["pairs"]
    cost = f", {dollars(figures['cost_usd'])}" if figures["cost_usd"] is not None else ""
    per_pair = f" ({dollars(figures['cost_usd'] / kept)} per kept pair)" if figures["cost_usd"] and kept else ""
    if figures.get("newer_votes"):
        newer = f"{count(figures['newer_votes'])} votes came after these figures; 'consensus label' ends with all of them in"
        console.print(f"[yellow]{newer}[/]")
    console.print(
        f"[bold]kept {count(kept)} of {count(pairs)} pairs ({percent(figures['retention'])})[/]{cost}{per_pair}"
    )
    for reason, n in sorted(figures["reasons"].items(), key=lambda item: -item[1]):
        if not Reason(reason).keeps:
            console.print(f"  lost {count(n):>6}  {reason:<14} {WHY[Reason(reason)]}")
    for failure in figures["failures"][:5]:
        what = f"{count(failure['count'])} × {failure['kind']}"
        console.print(f"  [yellow]{what}[/] by {plain(failure['judge'])}: {plain(failure['example'][:120])}")
    console.print(gold_sentence(figures["gold"]))


def gold_sentence(gold: dict[str, Any] | None) -> str:
    """What people say of the labels; consensus is not correctness."""
    if gold is None:
        return "people: no gold on the kept pairs; agreement among judges does not show that they are right"
    between = f" [{percent(gold['low'])}, {percent(gold['high'])}]" if gold["low"] == gold["low"] else ""
    right = f"{count(gold['agree'])} of {count(gold['n'])} kept pairs"
    return f"people: labels agree with gold on {right}, {percent(gold['share'])}{between}"
