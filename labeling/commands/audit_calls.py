"""The calls of `consensus audit`: what `--ask`, `--pair`, `--anchors`, `--dry-run` and `--know-bias-to` do and say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consensus.anchors import AnchorSet
    from consensus.cycle import Cycle
    from consensus.store import Store
    from labeling.audit_run import Calls
    from labeling.rubric import Rubric

PAIR_REPEATS = 50  # of --pair: with 14 flips among them the rate is known to 13 points


@dataclass(frozen=True, slots=True)
class AskFlags:
    """How `consensus audit` was called.

    Attributes:
        ask: make the calls; without it nothing is called, whatever else is set, but for `repeats`, which asks a pair.
        dry_run: only price them.
        max_cost: US dollars for the whole cycle.
        pair: test this pair alone.
        repeats: of `pair`.
        judge: ask this judge alone.
        anchors, new_anchors: look at the anchors; keep this cycle's as new ones first.
        know_bias_to: half-width of the interval of a position bias that calls are planned for.
        json: print one JSON object instead of tables.
    """

    ask: bool = False
    dry_run: bool = False
    max_cost: float | None = None
    pair: str | None = None
    repeats: int | None = None
    judge: str | None = None
    anchors: bool = False
    new_anchors: bool = False
    know_bias_to: float | None = None
    json: bool = False

    @property
    def calls(self) -> bool:
        """Whether it is about calls to be made, for which no vote needs to be there."""
        return self.ask or self.dry_run or self.know_bias_to is not None or self.repeats is not None

    def check(self) -> None:
        """Refuse flags that do not go together.

        Raises:
            UsageError: they do not.
        """
        from consensus.errors import UsageError

        modes = {"--pair": self.pair is not None, "--know-bias-to": self.know_bias_to is not None}
        modes |= {"--anchors": self.anchors or self.new_anchors}
        chosen = [name for name, on in modes.items() if on]
        if len(chosen) > 1:
            raise UsageError(f"{' and '.join(chosen)} are different questions; ask one of them")
        if self.repeats is not None and self.pair is None:
            raise UsageError("--repeats goes with --pair; for the whole audit set it for the cycle: audit.repeats=N")
        if self.repeats is not None and not 1 <= self.repeats <= 1000:
            raise UsageError(f"--repeats is between 1 and 1000, not {self.repeats}")
        if self.judge is not None and self.pair is None and not (self.ask or self.dry_run):
            raise UsageError("--judge says whom to ask: it goes with --ask, --pair or --dry-run")
        if self.judge is not None and (self.anchors or self.new_anchors):
            raise UsageError("--anchors asks every judge that the anchors know; leave out --judge")
        if self.max_cost is not None and not self.max_cost >= 0:
            raise UsageError(f"--max-cost is an amount of US dollars, not {self.max_cost}")
        if self.know_bias_to is not None and not 0.001 <= self.know_bias_to < 0.5:
            raise UsageError(
                f"--know-bias-to is the half-width of an interval, as a share: 0.02 is 2 points. It lies between 0.001 and 0.5, "
                f"not at {self.know_bias_to}"
            )


def audit_calls(store: Store, cycle: Cycle, rubric: Rubric, words: str, flags: AskFlags) -> int | None:
    """Do what the flags say of calls.

    Args:
        cycle: registered in the store, its pairs ingested.
        words: how the command names the cycle: its file and overrides.
    Returns:
        The exit code if the command is over; None if the audit's figures are to follow.
    Raises:
        UsageError: flags that do not go together, or name what is not there.
    """
    from consensus.errors import UsageError

    flags.check()
    if flags.calls and not flags.anchors and not store.pair_count(cycle.name):
        raise UsageError(f"cycle {cycle.name!r} has no pairs; 'consensus ingest {words} --pairs FILE' reads them")
    if flags.know_bias_to is not None:
        return _plan(store, cycle, rubric, words, flags)
    if flags.pair is not None:
        return _pair(store, cycle, rubric, words, flags)
    if flags.anchors or flags.new_anchors:
        return _anchors(store, cycle, rubric, words, flags)
    if flags.dry_run or flags.ask:
        return _sample(store, cycle, rubric, words, flags)
    return None


def _sample(store: Store, cycle: Cycle, rubric: Rubric, words: str, flags: AskFlags) -> int | None:
    """The audit of a sample: price it, or ask it and leave the rest to the audit."""
    from consensus.terminal import emit, out, plain
    from labeling import audit_run
    from labeling.audit_plan import half_widths, pairs_per_prompt, sample
    from labeling.commands.audit_tables import cap, show_precision, show_price

    calls = audit_run.audit_calls(store, cycle, rubric, judge=flags.judge)
    if not flags.dry_run:
        return _run_alone(calls, store, rubric, flags, f"consensus audit {words} --ask") or None
    pairs = len(sample(store, cycle))
    figures = _price(calls, store, rubric) | {
        "pairs": pairs,
        "repeats": cycle.audit.repeats,
        "orders": cycle.audit.orders,
    }
    if pairs:
        bias, disagreement = half_widths(pairs, cycle.audit, pairs_per_prompt(store, cycle))
        figures |= {"bias_to": bias, "disagreement_to": disagreement}
    if flags.json:
        emit(figures)
        return 0
    show_price(out(), figures)
    if pairs:
        show_precision(out(), figures)
    command = f"consensus audit {words} --ask{f' --judge {flags.judge}' if flags.judge else ''}{cap(figures)}"
    out().print(f"next: [bold]{plain(command)}[/]")
    return 0


def _pair(store: Store, cycle: Cycle, rubric: Rubric, words: str, flags: AskFlags) -> int:
    """One pair, asked again and again."""
    from consensus.terminal import emit, out, plain
    from labeling import audit_run
    from labeling.commands.audit_tables import show_pair
    from labeling.pair_test import pair_figures

    repeats, pair, code = flags.repeats or PAIR_REPEATS, flags.pair or "", 0
    one = f" --judge {flags.judge}" if flags.judge else ""
    command = f"consensus audit {words} --pair {pair}{one} --repeats {repeats}"
    if flags.calls:
        calls = audit_run.audit_calls(store, cycle, rubric, judge=flags.judge, pair_id=pair, repeats=repeats)
        if flags.dry_run:
            return _priced(calls, store, rubric, flags, command)
        code = _run(calls, store, rubric, flags, command)
    _, stored = audit_run.known_of(store, cycle, rubric, pair)
    judges = pair_figures(stored, [flags.judge] if flags.judge else cycle.judge_names)
    if flags.json:
        emit({"cycle": cycle.name, "pair_id": pair, "judges": judges})
    else:
        show_pair(out(), pair, judges)
        if not any(judge["n"] > 1 for judge in judges):
            out().print(f"to ask it {repeats} times: [bold]{plain(command)}[/]")
    return code


def _anchors(store: Store, cycle: Cycle, rubric: Rubric, words: str, flags: AskFlags) -> int:
    """Keep anchors, or look at them once more, and say who changed."""
    from consensus.anchors import Anchors
    from consensus.terminal import emit, out
    from labeling import audit_run
    from labeling.anchors import drift_figures
    from labeling.commands.audit_tables import show_drift

    kept, code = Anchors(store).latest(), 0
    command = f"consensus audit {words} --anchors --ask"
    if kept is None or flags.new_anchors:
        if flags.ask or flags.dry_run:
            first = audit_run.audit_calls(store, cycle, rubric)
            if flags.dry_run:
                return _priced(first, store, rubric, flags, command)
            code = _run_alone(first, store, rubric, flags, command)
            if code:
                return code
        kept = _keep(store, cycle, rubric, words)
    elif flags.ask or flags.dry_run:
        calls = audit_run.look_calls(store, cycle, rubric, kept)
        if flags.dry_run:
            return _priced(calls, store, rubric, flags, command)
        code = _run(calls, store, rubric, flags, command)
    figures = {"cycle": cycle.name, **drift_figures(store, kept, audit_run.judges_asked(cycle, None))}
    if flags.json:
        emit(figures)
    else:
        show_drift(out(), figures)
    return code


def _keep(store: Store, cycle: Cycle, rubric: Rubric, words: str) -> AnchorSet:
    from consensus.anchors import Anchors
    from consensus.errors import UsageError
    from labeling.audit_run import anchor_cells

    cells = anchor_cells(store, cycle, rubric)
    if not cells:
        raise UsageError(
            f"no request of cycle {cycle.name!r} was asked twice, so that there is nothing to compare with later; "
            f"'consensus audit {words} --anchors --ask' asks first"
        )
    return Anchors(store).keep(cycle.name, cells)


def _plan(store: Store, cycle: Cycle, rubric: Rubric, words: str, flags: AskFlags) -> int:
    """How many pairs and repeats tell a position bias closely enough."""
    from consensus.terminal import emit, out, plain
    from labeling import audit_run
    from labeling.audit_plan import calls_per_judge, half_widths, ways_to_know_bias
    from labeling.commands.audit_tables import cap, show_plan

    there = store.pair_count(cycle.name)
    ways = []
    for audit in ways_to_know_bias(flags.know_bias_to or 0.0):
        row: dict[str, Any] = {**audit.model_dump(), "calls_per_judge": calls_per_judge(audit)}
        row |= {"enough_pairs": audit.pairs <= there, "disagreement_to": half_widths(audit.pairs, audit, 1.0)[1]}
        ways.append((audit, row))
    best = next((audit for audit, row in ways if row["enough_pairs"]), None)
    figures: dict[str, Any] = {
        "know_bias_to": flags.know_bias_to,
        "pairs_there": there,
        "ways": [row for _, row in ways],
    }
    if best:
        planned = cycle.model_copy(update={"audit": best})
        price = _price(audit_run.audit_calls(store, planned, rubric, judge=flags.judge), store, rubric)
        figures["best"] = {**best.model_dump(), **price}
    if flags.json:
        emit(figures)
    else:
        show_plan(out(), figures)
        if best:
            settings = " ".join(f"audit.{name}={value}" for name, value in best.model_dump().items())
            out().print(f"next: [bold]{plain(f'consensus audit {words} {settings} --ask')}{cap(figures['best'])}[/]")
    return 0


def _run(calls: Calls, store: Store, rubric: Rubric, flags: AskFlags, command: str) -> int:
    """Make the calls; what stopped them is said on stderr. 0 if nothing did, else 4, or 130 after an interrupt."""
    import asyncio

    from consensus.terminal import err

    progress = err()
    outcome = asyncio.run(calls.run(store, rubric, console=progress, max_cost=flags.max_cost))
    for name, why in outcome.down.items():
        progress.print(f"judge {name} was given up: {why[:300]}", markup=False)
    if outcome.out_of_budget:
        progress.print("stopped at --max-cost; raise it to go on")
    if outcome.failures:
        progress.print(f"{outcome.failures:,} requests brought no answer; the next --ask asks them again")
    if not outcome.complete:
        progress.print(f"everything that was answered is stored; to go on: {command}", markup=False)
    return 130 if outcome.interrupted else 0 if outcome.complete else 4


def _run_alone(calls: Calls, store: Store, rubric: Rubric, flags: AskFlags, command: str) -> int:
    """Make calls without which there is nothing to show: if they stopped early, that is the result."""
    from consensus.terminal import emit

    code = _run(calls, store, rubric, flags, command)
    if code and flags.json:
        emit({"cycle": calls.payer, "complete": False, "spent_usd": store.spent(calls.payer)})
    return code


def _priced(calls: Calls, store: Store, rubric: Rubric, flags: AskFlags, command: str) -> int:
    from consensus.terminal import emit, out, plain
    from labeling.commands.audit_tables import cap, show_price

    figures = _price(calls, store, rubric)
    if flags.json:
        emit(figures)
    else:
        show_price(out(), figures)
        out().print(f"next: [bold]{plain(command)}{cap(figures)}[/]")
    return 0


def _price(calls: Calls, store: Store, rubric: Rubric) -> dict[str, Any]:
    rows = calls.needs(store, rubric)
    known = [row.dollars for row in rows if row.dollars is not None and row.calls]
    return {
        "judges": [
            {"judge": row.judge, "calls": row.calls, "tokens_in": row.tokens_in, "tokens_out": row.tokens_out}
            | {"cost_usd": row.dollars, "seconds": row.seconds}
            for row in rows
        ],
        "calls": sum(row.calls for row in rows),
        "cost_usd": sum(known) if known else None,
        "spent_usd": store.spent(calls.payer),
        "unpriced": [row.judge for row in rows if row.calls and row.dollars is None],
        "seconds": max((row.seconds for row in rows if row.seconds is not None), default=None),
    }
