"""How often a 95 % interval holds the true rate, with the pairs of one prompt correlated; and what counting pairs would do.

python -m tests.benchmarks.coverage
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from consensus.statistics.bootstrap import bca
from consensus.statistics.clusters import cluster_sums
from consensus.statistics.intervals import Interval, mean_interval, wilson

PROMPTS, RATES, CORRELATION, SEED = (28, 85, 285), (0.5, 0.8, 0.95), 0.3, 11
RUNS = {"naive": 1500, "wilson": 4000, "paired t": 4000, "bca": 1000}  # of the same simulated cycles


def votes(rng: np.random.Generator, prompts: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of 1 to 6 pairs per prompt, their correlation within a prompt .3, and the prompts."""
    sizes, strength = rng.integers(1, 7, prompts), 1 / CORRELATION - 1
    chance = np.repeat(rng.beta(rate * strength, (1 - rate) * strength, prompts), sizes)
    return rng.random(len(chance)) < chance, np.repeat(np.arange(prompts), sizes)


def interval(method: str, right: np.ndarray, clusters: np.ndarray, rng: np.random.Generator) -> Interval:
    if method == "naive":
        return wilson(right, np.arange(len(right)))
    if method == "wilson":
        return wilson(right, clusters)
    if method == "paired t":  # the same items by a checkpoint that is right half of the time
        return mean_interval(right - (rng.random(len(right)) < 0.5).astype(float), clusters)
    sums = cluster_sums(np.stack([right, np.ones(len(right))], axis=1), clusters)
    return bca(sums, lambda totals: totals[..., 0] / totals[..., 1], rng=rng)


def intervals(method: str, prompts: int, rate: float) -> Iterator[tuple[Interval, float]]:
    """An interval and the truth that it should hold, once per run."""
    for run in range(RUNS[method]):
        rng = np.random.default_rng([SEED, prompts, int(100 * rate), run])
        yield interval(method, *votes(rng, prompts, rate), rng), rate - (0.5 if method == "paired t" else 0)


def cell(method: str, prompts: int, rate: float) -> str:
    """Coverage, and the share of runs in which there was no interval (these do not count as misses)."""
    found = list(intervals(method, prompts, rate))
    exists = [(interval, truth) for interval, truth in found if interval.low == interval.low]
    held = np.mean([interval.low <= truth <= interval.high for interval, truth in exists])
    none = 1 - len(exists) / len(found)
    colour = "green" if 0.93 <= held <= 0.97 else "red"
    return f"[{colour}]{held:.3f}[/]" + (f" ({none:.1%} none)" if none else "")


def main() -> None:
    begun, table = (
        time.perf_counter(),
        Table("prompts", "rate", *RUNS, title="coverage of nominal .95, target .93 to .97"),
    )
    for prompts in PROMPTS:
        for rate in RATES:
            table.add_row(str(prompts), f"{rate}", *(cell(method, prompts, rate) for method in RUNS))
    console = Console()
    console.print(table)
    console.print(
        f"1 to 6 pairs per prompt, correlation {CORRELATION} within one; runs per cell: {RUNS}; "
        f"{time.perf_counter() - begun:.0f} s. naive: Wilson's interval, every pair its own cluster. "
        f"Monte-Carlo error .0035, bca .007."
    )


if __name__ == "__main__":
    main()
