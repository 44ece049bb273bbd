"""How often the gate's interval holds the truth, and how often it promotes a checkpoint that is no better; with what
resampling single pairs would do beside it.

python -m tests.benchmarks.gate_coverage [RUNS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from consensus.statistics.bootstrap import bca
from consensus.statistics.intervals import cluster_mean
from consensus.statistics.paired import Verdict, level_of, paired, verdict
from consensus.statistics.sequential import Look, next_look

PROMPTS, LOOKS, CORRELATION, SEED = (30, 85, 285), 5, 0.3, 3
Items = tuple[np.ndarray, np.ndarray]
Metric = Callable[[np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A metric by the chances of each value of an item's difference; symmetric, so that the true effect is 0."""

    name: str
    values: tuple[float, ...]
    chances: tuple[float, ...]

    def items(self, rng: np.random.Generator, prompts: int) -> Items:
        """1 to 6 pairs of each prompt, correlated .3 within it."""
        place = np.repeat(np.arange(prompts), rng.integers(1, 7, prompts))
        own = rng.dirichlet(np.array(self.chances) * (1 / CORRELATION - 1), prompts)[place].cumsum(axis=1)
        kind = (rng.random(len(place))[:, None] > own[:, :-1]).sum(axis=1)
        return np.array(self.values)[kind], place


KINDS = (
    Kind("correct, 20 % discordant", (-1, 0, 1), (0.1, 0.8, 0.1)),
    Kind("correct, 50 % discordant", (-1, 0, 1), (0.25, 0.5, 0.25)),
    Kind("win rate, 20 % ties", (-0.5, 0, 0.5), (0.4, 0.2, 0.4)),
)


def promoted(differences: np.ndarray, prompts: np.ndarray, critical: float, rng: np.random.Generator) -> bool:
    """The gate's word. Its slow half is asked only where the other has not said no."""
    if not cluster_mean(differences, prompts).interval(level_of(critical)).low > 0:
        return False
    return verdict(paired(differences, prompts, critical=critical, rng=rng)) is Verdict.PROMOTE


def one_look(kind: Kind, prompts: int, runs: int) -> dict[str, float]:
    """Coverage and promotions at one look."""
    rng, critical = (
        np.random.default_rng([SEED, prompts, KINDS.index(kind)]),
        next_look([], 1, looks=1, alpha=0.025).critical,
    )
    counts = dict.fromkeys(("covers", "promotes", "t alone", "resampled covers", "resampled promotes"), 0)
    for run in range(runs):
        values, place = kind.items(rng, prompts)
        found = cluster_mean(values, place).interval()
        counts["covers"] += found.low <= 0 <= found.high
        counts["t alone"] += found.low > 0
        counts["promotes"] += promoted(values, place, critical, rng)
        if run % 5 == 0:
            drawn = bca(np.stack([values, np.ones(len(values))], axis=1), mean, rng=rng, resamples=1000)
            counts["resampled covers"] += 5 * (drawn.low <= 0 <= drawn.high)
            counts["resampled promotes"] += 5 * (drawn.low > 0)
    return {name: n / runs for name, n in counts.items()}


def mean(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


def five_looks(kind: Kind, prompts: int, runs: int) -> dict[str, float]:
    """Promotions at any of five looks at a growing number of prompts: the gate's, and that of the same bound each time."""
    rng, ends = np.random.default_rng([SEED, prompts, KINDS.index(kind), 5]), np.linspace(0, prompts, LOOKS + 1)[1:]
    past: list[Look] = []
    for end in ends:
        past.append(next_look(past, int(end), looks=LOOKS, alpha=0.025))
    bounds, usual = [look.critical for look in past], next_look([], 1, looks=1, alpha=0.025).critical
    gate = naive = 0
    for _ in range(runs):
        values, place = kind.items(rng, prompts)
        seen = [(values[place < int(end)], place[place < int(end)]) for end in ends]
        naive += any(cluster_mean(*items).interval(level_of(usual)).low > 0 for items in seen)
        gate += any(promoted(*items, bound, rng) for items, bound in zip(seen, bounds, strict=True))
    return {"five looks": gate / runs, "five naive looks": naive / runs}


def main() -> None:
    runs, begun = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, time.perf_counter()
    titles = ("metric", "prompts", "covers", "promotes", "t alone", "5 looks", "5 naive looks")
    titles += ("pairs resampled: covers", "promotes")
    table = Table(*titles, title="nominal 95 %, true effect 0")
    total: dict[str, list[float]] = {}
    for kind in KINDS:
        for prompts in PROMPTS:
            found = one_look(kind, prompts, runs) | five_looks(kind, prompts, runs)
            for name, value in found.items():
                total.setdefault(name, []).append(value)
            shown = (
                "covers",
                "promotes",
                "t alone",
                "five looks",
                "five naive looks",
                "resampled covers",
                "resampled promotes",
            )
            row = [found[name] for name in shown]
            table.add_row(kind.name, str(prompts), *(f"{100 * value:.2f} %" for value in row))
    console = Console(width=200)
    console.print(table)
    error = 100 * np.sqrt(0.025 * 0.975 / runs)
    console.print(
        f"1 to 6 pairs per prompt, correlated {CORRELATION} within one; {runs:,} runs per cell (resampled: a fifth), "
        f"Monte-Carlo error {error:.2f} points of a promotion rate and {error * 1.4:.2f} of coverage; "
        f"{time.perf_counter() - begun:.0f} s.\n"
        f"All cells together: the gate promotes {100 * np.mean(total['promotes']):.2f} % at one look, "
        f"{100 * np.mean(total['five looks']):.2f} % at five. Targets: covers 94 to 96.5 %, promotes at most 2.5 % and 3 %."
    )


if __name__ == "__main__":
    main()
