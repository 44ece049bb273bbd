"""`consensus evaluate protocol`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluation.benchmarks.asking import RowJudge
    from evaluation.benchmarks.rows import Row
    from evaluation.benchmarks.scores import Scores


def protocol(
    name: Literal["best-of-four", "ratings"],
    cycle: Path,
    source: str,
    /,
    *overrides: str,
    convention: Literal["strict", "official"] = "strict",
    replies: Path | None = None,
    max_cost: float | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Ask the judges about the rows of a benchmark, and score their replies, by one of RewardBench 2's protocols.

    Every reply is kept in a file; the same command asks what is missing and nothing else.

    Parameters
    ----------
    name: str
        best-of-four: the right answer in a drawn slot among three wrong ones (rows of the subset Ties are left out); ratings: every
        answer alone, from 1 to 10, with the Ties score for that subset.
    cycle: Path
        The cycle file whose judges are asked.
    source: str
        The benchmark: rewardbench2, or a file of its schema.
    overrides: str
        Settings that differ from the file, as key=value.
    convention: str
        strict: what cannot be read, and a tie at the top, is not right; official: a quarter for what cannot be read, 1/k for a tie.
    replies: Path
        The file of replies; by default beside the store, named for the cycle and the protocol.
    max_cost: float
        US dollars for everything in that file; stops starting calls when spent plus in flight would pass it.
    dry_run: bool
        Make no call; print calls and dollars per judge.
    json: bool
        Print one JSON object.
    """
    import asyncio

    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.terminal import emit, err, out
    from evaluation.benchmarks.asking import ask, kept, row_judges
    from evaluation.benchmarks.protocols import PROTOCOLS
    from evaluation.benchmarks.sources import read_benchmark

    if max_cost is not None and not max_cost >= 0:
        raise UsageError(f"--max-cost is an amount of US dollars, not {max_cost}")
    loaded, asked = load(cycle, overrides), PROTOCOLS[name]
    rows = [row for row in read_benchmark(source).rows if asked.takes(row)]
    if not rows:
        raise UsageError(
            f"{source} has no rows for {name}; benchmarks of pairs are judged as pairs, by 'consensus label'"
        )
    file = replies or loaded.store.parent / f"{loaded.name.replace('/', '-')}-{name}.jsonl"
    judges = row_judges(loaded, asked)
    if dry_run:
        plan = _plan(rows, judges, file)
        emit({"protocol": name, "rows": len(rows), "judges": plan}) if json else _show_plan(plan)
        return 0
    outcome = asyncio.run(ask(loaded, rows, judges, file, console=err(), max_cost=max_cost))
    found = kept(file, rows, judges)
    try:
        each = {
            judge: asked.score(rows, found.replies.get(judge, {}), convention, loaded.cycle.seed) for judge in judges
        }
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from None
    if json:
        emit(
            {
                "protocol": name,
                "convention": convention,
                "rows": len(rows),
                "replies": str(file),
                "spent_usd": found.spent,
                "complete": outcome.complete,
                "failures": outcome.failures,
                "judges": {judge: _as_dict(scores) for judge, scores in each.items()},
            }
        )
    else:
        _show(each, convention, str(file))
        for judge, why in outcome.down.items():
            out().print(f"judge {judge} was given up: {why[:300]}", markup=False)
    if outcome.interrupted:
        return 130
    return 0 if outcome.complete and not outcome.failures else 4


def _plan(rows: Sequence[Row], judges: dict[str, RowJudge], file: Path) -> list[dict[str, Any]]:
    from evaluation.benchmarks.asking import kept, open_work

    calls = dict.fromkeys(judges, 0)
    cost: dict[str, float | None] = {name: 0.0 if judge.price else None for name, judge in judges.items()}
    for work in open_work(rows, judges, kept(file, rows, judges)):
        for asking in work.wave():
            judge = judges[asking.judge]
            calls[asking.judge] += 1
            dollars, so_far = judge.cost(*judge.tokens(work.row, asking)), cost[asking.judge]
            cost[asking.judge] = None if dollars is None or so_far is None else so_far + dollars
    return [{"judge": name, "calls": calls[name], "cost_usd": cost[name]} for name in judges]


def _show_plan(plan: list[dict[str, Any]]) -> None:
    from consensus.terminal import dollars, out

    for judge in plan:
        out().print(f"{judge['judge']}: {judge['calls']:,} calls, {dollars(judge['cost_usd'])}", markup=False)
    out().print("Tokens are estimated at four characters each. Nothing was called or spent.")


def _as_dict(scores: Scores) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(scores)


def _show(each: dict[str, Scores], convention: str, file: str) -> None:
    from rich.table import Table

    from consensus.terminal import out, plain
    from evaluation.judges.layout import shown

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("subset")
    for judge in each:
        table.add_column(plain(judge), justify="right")
    for subset in dict.fromkeys(name for scores in each.values() for name in scores.subsets):
        table.add_row(
            plain(subset),
            *(shown(scores.subsets[subset]) if subset in scores.subsets else "–" for scores in each.values()),
        )
    table.add_row("mean of subsets", *(shown(scores.mean) for scores in each.values()), style="bold")
    table.add_row("mean of rows", *(shown(scores.micro) for scores in each.values()))
    table.add_row("rows scored", *(f"{scores.micro.n:,}" for scores in each.values()))
    table.add_row("not readable", *(f"{scores.unread:,}" for scores in each.values()))
    out().print(table)
    out().print(f"by the convention {convention}; in brackets 95 % intervals, by whole prompts. Replies: {plain(file)}")
