"""The table of judges, from what they said, what it took, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consensus.sections.endpoints import Price
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import first_of_second, share_of
from consensus.statistics.votes import TIE
from evaluation.audit.figures import absent, figure
from evaluation.audit.result import Figure
from evaluation.benchmarks.scores import Part, mean_of
from evaluation.judges.calls import Calls, Cost, Mix, costs
from evaluation.judges.cautions import cautions
from evaluation.judges.couples import couples
from evaluation.judges.judged import RULES, Counts, Judged, Orders, TieRule, credit
from evaluation.judges.order import COMPARED, shares
from evaluation.judges.result import JudgeRow, JudgeTable

NINE_TO_ONE = Mix(9, 1)
NO_GOLD_REASON = "no pair that the judge answered has gold a or b"


@dataclass(frozen=True, slots=True)
class Options:
    """How the table is worked out.

    Attributes:
        tokens: per judgment, for the dollars; None takes what each judge's calls had.
        seed: decides what is resampled.
    """

    rule: TieRule = "strict"
    orders: Orders = "both"
    mix: Mix = NINE_TO_ONE
    tokens: float | None = None
    seed: int = 0


def judge_table(
    name: str,
    judged: Judged,
    options: Options,
    *,
    calls: Mapping[str, Calls] | None = None,
    prices: Mapping[str, Price | None] | None = None,
    trained: Mapping[str, int] | None = None,
) -> JudgeTable:
    """The table.

    Args:
        name: of the benchmark or cycle.
        calls, prices: by judge, where they are known.
        trained: how many of the pairs a judge was trained on, if on any.
    """
    rulings = judged.rulings(options.orders)
    taken = {judge: (calls or {}).get(judge, Calls(0)) for judge in judged.judges}
    cost = costs({judge: (prices or {}).get(judge) for judge in judged.judges}, taken, options.mix, options.tokens)
    rows = [
        judge_row(judged, seat, rulings[seat], options, taken[judge], cost[judge])
        for seat, judge in enumerate(judged.judges)
    ]
    by_judge = dict(zip(judged.judges, credit(rulings, judged.gold, options.rule), strict=True))
    rows.sort(key=lambda row: -row.accuracy[options.rule].value if row.accuracy[options.rule].defined else 1.0)
    order = [row.judge for row in rows]
    seats = [judged.judges.index(judge) for judge in order]
    beside = {name: each for name, each in shares(judged.choice[seats]).items() if name in COMPARED}
    worth = np.stack([by_judge[judge] for judge in order])
    compared = couples(order, worth, judged.cluster, shares=beside, seed=options.seed)
    return JudgeTable(
        name=name,
        pairs=len(judged.pair_ids),
        decided=int(judged.decided.sum()),
        tied=int((judged.gold == TIE).sum()),
        prompts=len(np.unique(judged.cluster)),
        rule=options.rule,
        orders=options.orders,
        mix=str(options.mix),
        judges=tuple(rows),
        couples=tuple(compared),
        warnings=tuple(cautions(rows, decided=int(judged.decided.sum()), orders=options.orders, trained=trained or {})),
    )


def judge_row(judged: Judged, seat: int, rulings: Ints, options: Options, calls: Calls, cost: Cost) -> JudgeRow:
    """One judge's figures.

    Args:
        rulings: its own, shape [n].
    """
    rng = np.random.default_rng([options.seed, seat])
    worth = {rule: credit(rulings, judged.gold, rule) for rule in RULES}
    parts = _by_category(worth[options.rule], judged.category)
    return JudgeRow(
        judge=judged.judges[seat],
        counts=Counts.of(rulings, judged.gold),
        accuracy={rule: _mean(f"accuracy_{rule}", each, judged.cluster, rng) for rule, each in worth.items()},
        categories={
            name: figure("accuracy", share_of(judged.cluster, *columns, reason=NO_GOLD_REASON), rng)
            for name, columns in parts.items()
        },
        mean_of_categories=_mean_of_categories(list(parts.values()), judged.cluster, rng),
        **{
            name: figure(name, share_of(judged.cluster, part[0], whole[0], reason="no such answers"), rng)
            for name, (part, whole) in shares(judged.choice[[seat]]).items()
        },
        calls=calls,
        cost=cost,
    )


def _by_category(worth: Floats, category: Sequence[str]) -> dict[str, tuple[Floats, Floats]]:
    """Credit and count of each pair that counts, by category."""
    names, counts = np.asarray(category), (~np.isnan(worth)).astype(float)
    gained = np.nan_to_num(worth)
    return {name: (gained * (names == name), counts * (names == name)) for name in dict.fromkeys(category)}


def _mean_of_categories(parts: Sequence[tuple[Floats, Floats]], cluster: Ints, rng: np.random.Generator) -> Figure:
    some: list[Part] = [(list(columns), first_of_second) for columns in parts if columns[1].any()]
    if not some:
        return absent("mean_of_categories", NO_GOLD_REASON)
    n = int(sum(columns[1].sum() for columns, _ in some))
    return figure("mean_of_categories", mean_of(cluster, some, n), rng)


def _mean(name: str, worth: Floats, cluster: Ints, rng: np.random.Generator) -> Figure:
    known = (~np.isnan(worth)).astype(float)
    return figure(name, share_of(cluster, np.nan_to_num(worth), known, reason=NO_GOLD_REASON), rng)
