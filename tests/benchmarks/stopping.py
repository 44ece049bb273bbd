"""What stopping early does to calls and labels, on simulated panels whose truth is known; people judged 5 % of the pairs.

python -m tests.benchmarks.stopping [pairs]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from consensus.confident import Confidence, asked_by, confident_label, expected_disagreement, replay
from consensus.nouns import Ballot, Verdict
from consensus.rule import Rule
from consensus.sequence import next_ballots
from consensus.statistics.latent import dawid_skene, reliability_from_gold
from consensus.statistics.posterior import Posterior, fit_posterior
from tests.consensus.simulation import HI, JUDGES, REF, World, world

PRICES = {"small": 0.3, "medium": 1.0, "large": 1.7}
BEST_FIRST = {"large": 0.0, "medium": 1.0, "small": 2.0}
ONE, BOTH = Rule(min_agree=2), Rule(min_agree=2, both_orders=True)
NOBODY = Confidence(0.9, Posterior(()))
PEOPLE = 0.05


def fitted(w: World, people: int, *, gold: bool, margins: bool) -> Posterior:
    """From the pairs that people judged, or without people from twice as many that were audited."""
    pairs = people if gold else 2 * people
    votes, sizes = w.first(pairs)
    alone = dawid_skene(votes)
    reliability = reliability_from_gold(votes, w.gold[:pairs]) if gold else alone.reliability
    target = (w.gold[:pairs] > 0).astype(float) if gold else alone.p_a
    return fit_posterior(votes, JUDGES, target, reliability=reliability, margins=sizes if margins else None)


def settled(w: World, k: int) -> dict[Ballot, Verdict]:
    """The votes on pair k that `stop: settled` asks."""
    asked: dict[Ballot, Verdict] = {}
    while wave := next_ballots(w.lines[k], asked, set(), ONE):
        asked |= {ballot: w.truth[k][ballot] for ballot in wave}
    return asked


def row(asked: list[dict[Ballot, Verdict]], sides: np.ndarray, gold: np.ndarray, *more: float) -> list[str]:
    """Calls and cost per pair, share with a side, accuracy of these."""
    calls, cost = np.mean([len(votes) for votes in asked]), np.mean([sum(PRICES[b.judge] for b in v) for v in asked])
    kept = sides != 0
    return [f"{x:.3f}" for x in (calls, cost, kept.mean(), (sides == gold)[kept].mean(), *more)]


def sides(w: World, asked: list[dict[Ballot, Verdict]], rule: Rule, c: Confidence, skip: int) -> np.ndarray:
    """+1, -1, or 0 for a dropped pair."""
    labels = [confident_label(w.lines[k], votes, rule, c, w.margins[k]) for k, votes in enumerate(asked, skip)]
    return np.array([{Verdict.A: 1, Verdict.B: -1}.get(label.verdict, 0) for label in labels])


def one_order(w: World, people: int) -> list[list[str]]:
    """The panel as it is usually asked: each judge once."""
    rest, gold = range(people, len(w.lines)), w.gold[people:]
    full, early = [w.truth[k] for k in rest], [settled(w, k) for k in rest]
    rows = [["never", *row(full, sides(w, full, ONE, NOBODY, people), gold, 0, 0)]]
    rows += [["settled", *row(early, sides(w, early, ONE, NOBODY, people), gold, 0, 0)]]
    known = dawid_skene(w.first(2 * people)[0]).reliability
    shares = dict(zip(JUDGES, zip(known.c_first, known.c_second, known.tau, strict=True), strict=True))
    for title, with_gold, with_margins, levels in (
        ("gold", True, False, (0.8, 0.9)),
        ("gold and logprobs", True, True, (0.8, 0.82, 0.85, 0.9)),
        ("audit and logprobs", False, True, (0.9,)),
    ):
        posterior = fitted(w, people, gold=with_gold, margins=with_margins)
        for level in levels:
            c = Confidence(level, posterior)
            asked = [asked_by(w.lines[k], w.truth[k], ONE, c, w.margins[k]) for k in rest]
            found = replay(((w.lines[k], w.truth[k], w.margins[k]) for k in rest), np.arange(len(rest)), ONE, c)
            told = [
                expected_disagreement(w.lines[k], votes, ONE, c, shares, w.margins[k] if with_margins else None)
                for k, votes in enumerate(asked, people)
            ]
            numbers = row(asked, sides(w, asked, ONE, c, people), gold, found.differs.value, float(np.mean(told)))
            rows.append([f"confident {level}, {title}", *numbers])
    return rows


def both_orders(w: World, people: int) -> list[list[str]]:
    """Swapped repeats; labels as the product gives them, and the posterior's side of every pair for comparison."""
    rest, gold, rows = range(people, len(w.lines)), w.gold[people:], []
    posterior = fitted(w, people, gold=True, margins=True)
    for level in (0.82, 0.85, 0.9):
        c = Confidence(level, posterior)
        asked = [asked_by(w.lines[k], w.truth[k], BOTH, c, w.margins[k]) for k in rest]
        p_a = np.array([posterior.p_a(votes, w.margins[k]) for k, votes in enumerate(asked, people)])
        rows.append([f"confident {level}", *row(asked, sides(w, asked, BOTH, c, people), gold)])
        rows.append([f"confident {level}, side of posterior", *row(asked, np.sign(p_a - 0.5), gold)])
    return rows


def main() -> None:
    pairs, begun = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, time.perf_counter()
    people = int(PEOPLE * pairs)
    table = Table("panel", "asked", "stop", "calls", "cost", "kept", "accuracy", "differs", "expected")
    for name, panel in (("REF", REF), ("HI", HI)):
        for asked, costs, noise in (
            ("cheapest first", PRICES, 0.0),
            ("best first", BEST_FIRST, 0.0),
            ("best first, noisy logprobs", BEST_FIRST, 2.0),
        ):
            for cells in one_order(world(panel, pairs, ONE, costs, noise), people):
                table.add_row(name, asked, *cells)
            table.add_section()
        for cells in both_orders(world(panel, pairs, BOTH, BEST_FIRST), people):
            table.add_row(name, "both orders, best first", *cells)
        table.add_section()
    console = Console(width=130)
    console.print(table)
    console.print(
        "calls: ballots per pair; cost: at prices .3/1/1.7; accuracy: of the kept. differs: share of pairs whose label is not the "
        "full panel's; expected: the same, foretold from the judges' reliability.\n"
        f"{pairs} pairs, gold on {people} (or an audit of {2 * people}) to fit on, {time.perf_counter() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
