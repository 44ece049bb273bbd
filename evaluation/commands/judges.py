"""`consensus evaluate judges`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from evaluation.benchmarks.rows import Benchmark
    from evaluation.judges.result import JudgeTable
    from evaluation.judges.sources import Found


def judges(
    cycle: Path | None = None,
    /,
    *overrides: str,
    pairs: str | None = None,
    votes: Path | None = None,
    ties: Literal["strict", "decisive", "half"] = "strict",
    orders: Literal["both", "one"] = "both",
    mix: str = "9:1",
    tokens: float | None = None,
    markdown: bool = False,
    html: Path | None = None,
    json: bool = False,
) -> int:
    """Compare judges on pairs with gold: accuracy by category, order, ties, dollars, speed, and which differences are real.

    No judge is called. The votes are those of a cycle, asked in both orders by
    'consensus label CYCLE sampling.orders=both sampling.stop=never', or recorded ones.

    Parameters
    ----------
    cycle: Path
        The cycle file whose judges are compared. Recorded votes under its `input:` are ingested if the store has none yet.
    overrides: str
        Settings that differ from the file, as key=value.
    pairs: str
        The pairs that count, with their gold and categories: a file, or the name of a benchmark; by default the cycle's pairs.
    votes: Path
        Without a cycle file: recorded votes on --pairs, of whatever judges the file names.
    ties: str
        How ties count in categories and differences: strict (not right), decisive (left out) or half (half right).
    orders: str
        both: a verdict counts where a judge's two orders agree, else it is a tie; one: of one order, for votes that have no other.
    mix: str
        Tokens in to tokens out, at which dollars are stated.
    tokens: float
        Tokens of a judgment, in and out together, at which dollars are stated; by default what each judge's calls had.
    markdown: bool
        Print Markdown.
    html: Path
        Also write the tables as one HTML file (extra `report`).
    json: bool
        Print one JSON object.
    """
    from importlib.metadata import version

    from consensus.errors import ConsensusError, UsageError
    from consensus.terminal import emit, out
    from evaluation.commands.report import refuse_without_extra
    from evaluation.judges import layout
    from evaluation.judges.calls import Mix
    from evaluation.judges.page import page
    from evaluation.judges.table import Options, judge_table

    if html is not None:
        refuse_without_extra()
    if tokens is not None and not tokens > 0:
        raise UsageError(f"--tokens is a number above 0, not {tokens}")
    try:
        options = Options(rule=ties, orders=orders, mix=Mix.parse(mix), tokens=tokens)
    except ValueError as error:
        raise UsageError(f"--mix: {error}") from None
    found = _found(cycle, overrides, pairs, votes)
    _refuse_without_answers(found, orders, cycle)
    table = judge_table(
        found.name, found.judged, options, calls=found.calls, prices=found.prices, trained=found.trained
    )
    if html is not None:
        try:
            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_bytes(page(table, version=version("judge-consensus")).encode("utf-8"))
        except OSError as error:
            raise ConsensusError(f"cannot write {html}: {error.strerror or error}") from None
    if json:
        emit(table.as_dict())
    elif markdown:
        out().print(layout.markdown(table), markup=False, emoji=False, soft_wrap=True)
    else:
        show(out(), table)
    return 0


def _found(cycle: Path | None, overrides: tuple[str, ...], pairs: str | None, votes: Path | None) -> Found:
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.store import Store
    from evaluation.commands.audit import prepare, refuse_without_votes
    from evaluation.judges.sources import from_files, from_store
    from labeling.rubric import Rubric

    if (cycle is None) == (votes is None):
        raise UsageError("name a cycle file, or recorded votes with --votes FILE --pairs FILE")
    if votes is not None:
        if pairs is None:
            raise UsageError("--votes goes with --pairs: the pairs that were judged, with their gold")
        return from_files(_read(pairs), votes)
    assert cycle is not None
    loaded = load(cycle, overrides)
    rubric = Rubric.of(loaded)
    refuse_without_votes(loaded, cycle)
    with Store(loaded.store) as store:
        prepare(store, loaded, rubric)
        return from_store(store, loaded, rubric, _read(pairs) if pairs else None)


def _read(source: str) -> Benchmark:
    """A benchmark; what of it is left out is said."""
    from consensus.terminal import err
    from evaluation.benchmarks.sources import read_benchmark

    found = read_benchmark(source)
    for bad in found.refused:
        err().print(f"{source}, row {bad.row} is left out: {bad.reason}", markup=False)
    return found


def _refuse_without_answers(found: Found, orders: str, cycle: Path | None) -> None:
    """A table of dashes helps nobody.

    Raises:
        UsageError: no judge answered, or none in both orders.
    """
    from consensus.errors import UsageError
    from evaluation.judges.judged import MISSING

    if orders == "both" and not found.judged.both.any() and (found.judged.choice != MISSING).any():
        more = f"'consensus label {cycle} sampling.orders=both sampling.stop=never' asks for them; " if cycle else ""
        raise UsageError(f"no judge has votes in both orders; {more}--orders one compares by one order")
    if not (found.judged.choice != MISSING).any():
        more = f"; 'consensus label {cycle} sampling.orders=both sampling.stop=never' asks for them" if cycle else ""
        raise UsageError(f"no judge has votes on the pairs of {found.name}{more}")


def show(console: Console, table: JudgeTable) -> None:
    """Print the table of judges."""
    from rich.table import Table

    from consensus.terminal import plain
    from evaluation.judges.layout import headline, sheets

    console.print(f"[bold]{plain(table.name)}[/]: {headline(table)}")
    for warning in table.warnings:
        console.print(f"[yellow]•[/] {plain(warning)}", soft_wrap=False)
    for sheet in sheets(table):
        drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for k, column in enumerate(sheet.columns):
            drawn.add_column(plain(column), justify="right" if k else "left")
        for row in sheet.rows:
            drawn.add_row(*map(plain, row))
        console.print(f"\n[bold]{sheet.title}[/]")
        console.print(drawn)
        if sheet.note:
            console.print(f"[dim]{plain(sheet.note)}[/]", soft_wrap=False)
