"""Faults planted in simulated judges: how often an audit finds them, bounds them, and accuses somebody innocent.

    python -m tests.benchmarks.planted_faults [runs]

Four judges on 240 pairs of 80 prompts, both orders, three calls each; all make some errors together, and call after call flips
one time in twenty. In each scenario one of them has a fault. An accusation that the fault does not explain, of whomever, is false.

Then drift: 200 anchors with five kept votes, looked at after every 2,500 of a judge's votes; from vote 5,000 on the first judge is
of another opinion on a share of the pairs.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

import numpy as np

from consensus.rule import Rule
from consensus.statistics.agreement import Errors, Panel
from consensus.statistics.drift import anchor_hits, over_looks, wealth
from consensus.statistics.estimate import interval
from consensus.statistics.votes import ABSTAIN, A, B, Cells, Votes
from evaluation.audit.findings import accusations
from evaluation.audit.judges import estimates
from evaluation.audit.material import Material
from evaluation.audit.panel import common
from labeling.anchors import LEVEL

PAIRS, PROMPTS, JUDGES, REPEATS = 240, 80, 4, 3
NAMES = ("one", "two", "three", "four")
FLIPS = 0.05
ORDER = {"position_bias", "order_sensitivity"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with the first judge.

    Attributes:
        bias, length, family: half the share of pairs on which it takes the first slot, the longer completion, its family's.
        flips: chance that a call is the opposite of the judge's opinion.
        copies: `votes`, the first judge says what the second says, or `opinions`: it is the same model, asked again.
        figure, truth: what it should be found as, and its value; nan where it is not known exactly.
        found_as: checks that may accuse the judge.
    """

    bias: float = 0.0
    length: float = 0.0
    family: float = 0.0
    flips: float = FLIPS
    copies: str = ""
    figure: str = "position_bias"
    truth: float = 0.0
    found_as: set[str] = field(default_factory=set)


SCENARIOS = {
    "nobody at fault": Fault(),
    "position bias .03": Fault(bias=0.03, truth=0.03, found_as=ORDER),
    "position bias .15": Fault(bias=0.15, truth=0.15, found_as=ORDER),
    "flips 0": Fault(flips=0.0, figure="disagreement", truth=0.0),
    "flips .05 (tolerated)": Fault(flips=0.05, figure="disagreement", truth=2 * 0.05 * 0.95),
    "flips .28": Fault(flips=0.28, figure="disagreement", truth=2 * 0.28 * 0.72, found_as={"disagreement"}),
    "always first": Fault(bias=0.5, truth=0.5, found_as=ORDER),
    "copies another": Fault(copies="votes", figure="common_errors", truth=1.0, found_as={"common_errors"}),
    "is another, asked again": Fault(
        # Both are wrong: .2 x .95 x .95 + .8 x .05 x .05; either: 2 x .23 less that.
        copies="opinions",
        figure="common_errors",
        truth=0.1825 / 0.2775,
        found_as={"common_errors"},
    ),
    "likes length": Fault(length=0.15, figure="longer_share", truth=0.65, found_as={"longer_than_people"}),
    "prefers its family": Fault(family=0.15, figure="self_preference", truth=0.15, found_as={"self_preference"}),
}


def simulated(fault: Fault, rng: np.random.Generator) -> Material:
    """Votes of a panel whose first judge has the fault."""
    gold = rng.choice([A, B], PAIRS)
    log2_ratio = rng.normal(0, 0.7, PAIRS)
    family_a = rng.integers(0, 3, PAIRS)
    family_b = (family_a + rng.integers(1, 3, PAIRS)) % 3
    # An opinion is wrong for all judges on a tenth of the prompts, and for each alone on an eighth of the pairs.
    cluster = rng.integers(0, PROMPTS, PAIRS)
    shared = (rng.random(PROMPTS) < 0.1)[cluster]
    wrong = shared[:, None] ^ (rng.random((PAIRS, JUDGES)) < 0.125)
    if fault.copies == "opinions":
        wrong[:, 0] = wrong[:, 1]
    opinion = np.where(wrong, -gold[:, None], gold[:, None])
    shape = (PAIRS, JUDGES, 2, REPEATS)
    flips = np.full(JUDGES, FLIPS)
    flips[0] = fault.flips
    choice = np.where(rng.random(shape) < flips[:, None, None], -1, 1) * opinion[:, :, None, None]
    slot = np.broadcast_to(np.array([A, B])[:, None], shape[2:])  # the first slot holds a, then b
    longer = np.where(log2_ratio > 0, A, B)[:, None, None]
    own = np.where(family_a == 0, A, B)[:, None, None]
    has_own = ((family_a == 0) != (family_b == 0))[:, None, None]
    mine = choice[:, 0]
    dice = rng.random(PAIRS)[:, None, None]
    mine = np.where(dice < 2 * fault.bias, slot, mine)
    mine = np.where(dice < 2 * fault.length, longer, mine)
    mine = np.where((dice < 2 * fault.family) & has_own, own, mine)
    choice[:, 0] = mine
    choice[rng.random(shape) < 0.02] = ABSTAIN
    if fault.copies == "votes":
        choice[:, 0] = choice[:, 1, ::-1]  # of the labels' votes, which the two give in different orders
    pair, judge, order, repeat = (x.ravel() for x in np.indices(shape))
    votes = Votes.of(
        pair=pair,
        judge=judge,
        first=order == 0,
        repeat=repeat,
        choice=choice.ravel(),
        judges=NAMES,
        cluster=cluster,
        gold=gold,
        pair_ids=[f"pair-{k}" for k in range(PAIRS)],
    )
    label_votes = votes.where((repeat == 0) & ((order == 0) == ((pair + judge) % 2 == 0)))
    cells = Cells.of(votes)
    panel = Panel.of(votes, cells)
    errors = Errors.of(Panel.of(label_votes, Cells.of(label_votes)))
    nothing = np.zeros(PAIRS, np.int64)
    return Material(
        votes, cells, panel, label_votes, errors, log2_ratio, family_a, family_b, np.arange(JUDGES), {}, nothing, nothing,
        Rule(), (None,) * JUDGES,
    )  # fmt: skip


def one_run(fault: Fault, rng: np.random.Generator) -> tuple[bool, bool, bool]:
    """Whether an audit found the fault, whether the 95 % interval held the truth, and whether anything else was accused."""
    of = simulated(fault, rng)
    found = [estimates(of, judge, distribution=False) for judge in range(JUDGES)]
    shared = {(NAMES[i], NAMES[j]): each for (i, j), each in common(of).items()}
    accused = accusations(dict(zip(NAMES, found, strict=True)), shared, rng)
    mine = shared[NAMES[0], NAMES[1]] if fault.figure == "common_errors" else found[0][fault.figure]
    bounds = interval(mine, rng=rng)
    right = [each for each in accused if each.check in fault.found_as and each.judge == NAMES[0]]
    if fault.copies:
        right = [each for each in right if each.brief.startswith(f"with {NAMES[1]}")]
    return bool(right), bounds.low - 1e-12 <= fault.truth <= bounds.high + 1e-12, len(right) < len(accused)


def rates(fault: Fault, runs: int, *, seed: int = 0) -> tuple[float, float, float]:
    """Shares of runs: found, covered, falsely accused."""
    made = [one_run(fault, np.random.default_rng([seed, run])) for run in range(runs)]
    found, covered, false = np.mean(made, axis=0)
    return float(found), float(covered), float(false)


def drift_run(changed: float, rng: np.random.Generator, *, anchors: int = 200, kept: int = 5) -> tuple[bool, bool]:
    """Whether the judge that changed is alarmed of, and whether one that did not is, or it before it changed."""
    alarm = np.zeros((JUDGES, 4), np.bool_)
    for judge in range(JUDGES):
        opinion = rng.integers(0, 2, anchors)
        other = np.where(rng.random(anchors) < changed, 1 - opinion, opinion)
        stored = np.stack([kept - (flips := rng.binomial(kept, FLIPS, anchors)), flips], axis=1)
        counts = np.where(opinion[:, None] == 0, stored, stored[:, ::-1])
        looks = []
        for look in range(4):  # after 2,500, 5,000, 7,500 and 10,000 votes
            now = other if judge == 0 and look >= 2 else opinion
            said = now ^ (rng.random(anchors) < FLIPS)
            hits, chance = anchor_hits(counts, said)
            looks.append(float(wealth(hits, chance)[-1]))
        alarm[judge] = over_looks(looks) >= JUDGES / LEVEL
    return bool(alarm[0].any()), bool(alarm[1:].any() or alarm[0, :2].any())


def main() -> None:
    """Print a line per fault."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{runs} runs each; {PAIRS} pairs of {PROMPTS} prompts, {JUDGES} judges, 2 orders, {REPEATS} calls")
    print(f"{'planted':<24}{'figure':<18}{'truth':>7}{'found':>8}{'covered':>9}{'false accusation in':>21}")
    for name, fault in SCENARIOS.items():
        start = time.process_time()
        found, covered, false = rates(fault, runs)
        took = time.process_time() - start
        print(
            f"{name:<24}{fault.figure:<18}{fault.truth:>7.3f}{found:>8.3f}{covered:>9.3f}{false:>21.3f}   {took:4.0f} s"
        )
    print(f"{'drift after vote 5,000':<24}{'alarmed in':>12}{'false alarm in':>16}")
    for changed in (0.0, 0.05, 0.1, 0.2):
        found, false = np.mean([drift_run(changed, np.random.default_rng([1, run])) for run in range(runs)], axis=0)
        print(f"{changed:<24.0%}{found:>12.3f}{false:>16.3f}")


if __name__ == "__main__":
    main()
