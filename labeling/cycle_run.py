"""One run of a cycle: what the command `label` does, without its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from consensus.batches import Batches
from consensus.confident import Confidence
from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Failure, Pair, Vote
from consensus.store import Store
from consensus.writer import Writer
from labeling import confidence
from labeling.labeler import Labeler, Outcome
from labeling.limits import Budget, Pace
from labeling.model import Model
from labeling.panel import Panel, PanelJudge
from labeling.plan import Need, Work, needs, open_work
from labeling.rubric import Rubric
from labeling.watching import summarised, watched

USUAL_PROMPT = 1500  # tokens; only the order of judges depends on it


def hashes(cycle: Cycle, rubric: Rubric) -> dict[str, str]:
    """Every judge's config hash: part of a vote's key."""
    return {judge.label: judge.config_hash(rubric.system) for judge in cycle.judges}


def outstanding(store: Store, cycle: Cycle, rubric: Rubric, judges: Mapping[str, PanelJudge]) -> Iterator[Work]:
    """The cycle's open pairs.

    Raises:
        UsageError: with `stop: confident`, if the judges' reliability is not known.
    """
    costs, asked, sure = call_costs(cycle, judges), hashes(cycle, rubric), None
    if cycle.sampling.stop == "confident":
        sure = Confidence(cycle.sampling.confidence, confidence.learned(store, cycle, asked, costs).posterior)
    return open_work(store.work(cycle.name, asked), cycle, costs, sure)


def call_costs(cycle: Cycle, judges: Mapping[str, PanelJudge]) -> dict[str, float] | None:
    """What a usual call to each judge costs, nothing without a price; None if all are tried equally often."""
    if cycle.sampling.first != "cheapest":
        return None
    return {name: judge.cost(USUAL_PROMPT, judge.reply_tokens) or 0.0 for name, judge in judges.items()}


def priced(store: Store, cycle: Cycle, rubric: Rubric, prices: Mapping[str, PanelJudge] | None = None) -> list[Need]:
    """What is still to be done, and what it costs; no call, no key.

    Args:
        prices: the judges at other prices than those for calls; who is tried first does not depend on it.
    """
    judges = Panel(cycle, rubric).priced()
    return needs(outstanding(store, cycle, rubric, judges), prices or judges)


def open_pairs(store: Store, cycle: Cycle, rubric: Rubric) -> int:
    """How many pairs still have ballots to ask."""
    return sum(1 for _ in outstanding(store, cycle, rubric, Panel(cycle, rubric).priced()))


@dataclass(frozen=True)
class Errand:
    """What a run asks, and of whom.

    Attributes:
        cycle: its judges are opened, and votes are stored under its name.
        payer: the cycle whose budget this is; its own unless it is a side run of another.
        work: the open pairs, read from the store, for these open judges.
        truth: the pairs whose gold simulated judges know.
        totals: per judge the ballots in all, and those answered before.
        pairs: how many there are in all.
    """

    cycle: Cycle
    payer: str
    work: Callable[[Store, Mapping[str, PanelJudge]], Iterable[Work]]
    truth: Callable[[Store], Iterable[Pair]]
    totals: Mapping[str, tuple[int, int]]
    pairs: int


async def run(
    store: Store, cycle: Cycle, rubric: Rubric, *, console: Console, max_cost: float | None = None
) -> Outcome:
    """Ask everything that the labels still need; votes and failures are in the store when it returns.

    Raises:
        UsageError: as `ask`.
    """
    begin(store, cycle, rubric)
    errand = Errand(
        cycle=cycle,
        payer=cycle.name,
        work=lambda reader, judges: outstanding(reader, cycle, rubric, judges),
        truth=lambda reader: (pair for pair, _ in reader.work(cycle.name, {})),
        totals=_totals(store, cycle, rubric),
        pairs=store.pair_count(cycle.name),
    )
    outcome = await ask(store, errand, rubric, console=console, max_cost=max_cost)
    conclude(store, cycle, rubric)
    return outcome


async def ask(
    store: Store, errand: Errand, rubric: Rubric, *, console: Console, max_cost: float | None = None
) -> Outcome:
    """Ask everything that is open; votes and failures are in the store when it returns.

    The first interrupt lets what is in flight finish, the second one drops it.

    Args:
        max_cost: US dollars for everything that the payer's cycle ever asks.
    Raises:
        UsageError: a judge has no key, or `max_cost` is given and a judge has no price.
    """
    cycle, reader = errand.cycle, store.twin()
    judges_hashes = hashes(cycle, rubric)
    async with Panel(cycle, rubric, errand.truth(reader)) as panel:
        budget = Budget(max_cost, store.spent(errand.payer) + Batches(store).reserved(errand.payer))
        if max_cost is not None:
            refuse_unpriced(panel.judges)
        writer = Writer[Vote | Failure](lambda batch: store.add(cycle.name, judges_hashes, batch))
        with writer:
            labeler = Labeler(
                panel.judges,
                writer.add,
                accounts=accounts(cycle),
                budget=budget,
                max_attempts=cycle.limits.max_attempts,
                seed=cycle.cycle.seed,
            )
            totals, pairs = errand.totals, errand.pairs
            async with (
                watched(labeler, cycle.store, errand.payer, console, totals=totals, tasks=pairs),
                summarised(store, cycle.name),
            ):
                return await labeler.run(errand.work(reader, panel.judges))


def begin(store: Store, cycle: Cycle, rubric: Rubric) -> None:
    """Before a cycle's first call: with `stop: confident`, keep what its stops will rest on.

    Raises:
        UsageError: the judges' reliability is not known.
    """
    if cycle.sampling.stop == "confident":
        costs = call_costs(cycle, Panel(cycle, rubric).priced())
        confidence.keep_learned(store, cycle, hashes(cycle, rubric), costs)


def conclude(store: Store, cycle: Cycle, rubric: Rubric) -> None:
    """After a run: with `stop: confident`, label the pairs whose votes are sure enough."""
    if cycle.sampling.stop == "confident":
        costs = call_costs(cycle, Panel(cycle, rubric).priced())
        confidence.conclude(store, cycle, hashes(cycle, rubric), costs)


def early(store: Store, cycle: Cycle, rubric: Rubric) -> dict[str, Any] | None:
    """What stopping early does to labels, by pairs that were asked completely; None unless the cycle stops so."""
    if cycle.sampling.stop != "confident":
        return None
    costs, asked = call_costs(cycle, Panel(cycle, rubric).priced()), hashes(cycle, rubric)
    done, n = confidence.rehearsed(store, cycle, asked, costs)
    known = confidence.learned(store, cycle, asked, costs)
    return {
        "confidence": cycle.sampling.confidence,
        "learned_from": known.source,
        "learned_pairs": known.pairs,
        "pairs": n,
        "calls_per_pair": done.calls,
        "stopped": done.confident,
        "differs": [done.differs.value, done.differs.low, done.differs.high],
        "opposite": [done.opposite.value, done.opposite.low, done.opposite.high],
    }


def _totals(store: Store, cycle: Cycle, rubric: Rubric) -> dict[str, tuple[int, int]]:
    """For each judge the ballots that make the labels, and how many of them are answered."""
    answered = store.answered(cycle.name, hashes(cycle, rubric))
    share = cycle.asked_per_pair / len(cycle.judges) * (2 if cycle.rule.both_orders else 1)
    total = round(store.pair_count(cycle.name) * share)
    return {name: (max(total, answered.get(name, 0)), answered.get(name, 0)) for name in cycle.judge_names}


def accounts(cycle: Cycle) -> dict[str, Pace]:
    """The pace of each provider's account."""
    named = {provider: cycle.account(provider) for provider in cycle.providers}
    return {provider: Pace(account.rpm, account.tpm) for provider, account in named.items()}


def refuse_unpriced(judges: Mapping[str, Model]) -> None:
    """A limit in dollars means nothing for a judge without a price.

    Raises:
        UsageError: there is one.
    """
    unpriced = [name for name, judge in judges.items() if judge.price is None]
    if unpriced:
        raise UsageError(
            f"--max-cost needs a price for every judge, and litellm knows none for {', '.join(unpriced)}; "
            "give it in the cycle file, e.g. price: {input: 0.15, output: 0.6} (US dollars per million tokens)"
        )


def savings(cycle: Cycle, figures: Mapping[str, Any], answered: Mapping[str, int]) -> dict[str, Any]:
    """What a finished cycle did not have to ask: the ballots of the full panel, those that were asked, and the difference.

    Dollars saved are at each judge's mean price per vote; None where no judge has one.

    Args:
        answered: ballots that make the labels; what an audit asked besides saves nothing.
    """
    called = {judge.label for judge in cycle.judges if judge.called}
    orders = 2 if cycle.rule.both_orders else 1
    share = figures["pairs"] * orders * cycle.asked_per_pair / len(cycle.judges)
    made, failed, saved_usd = 0, 0, None
    for judge in figures["judges"]:
        if judge["judge"] in called:
            asked = answered.get(judge["judge"], 0) + judge["failures"]
            made += asked
            failed += judge["failures"]
            if judge["cost_usd"] is not None and judge["votes"]:
                saved_usd = (saved_usd or 0.0) + max(0.0, share - asked) * judge["cost_usd"] / judge["votes"]
    full = round(share * len(called))
    return {"full": full, "made": made, "saved": max(0, full - made), "saved_usd": saved_usd, "failed": failed}
