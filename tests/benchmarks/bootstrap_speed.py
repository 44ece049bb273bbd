"""What an interval by resampling whole prompts costs, and how much faster a win rate's is than scipy's.

python -m tests.benchmarks.bootstrap_speed
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import bootstrap

from consensus.statistics.bootstrap import bca
from consensus.statistics.clusters import cluster_sums
from consensus.statistics.intervals import Interval

PAIRS, PROMPTS, RESAMPLES, N, SEED = 100_000, 20_000, 10_000, 3_000, 7


def mean(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


def timed(work: Callable[[], Any], times: int = 1) -> tuple[Any, float]:
    """What the work gives, and its seconds of processor time (the least of several runs)."""
    seconds, found = [], None
    for _ in range(times):
        begun = time.process_time()
        found = work()
        seconds.append(time.process_time() - begun)
    return found, min(seconds)


def clustered(values: np.ndarray, prompts: np.ndarray, groups: int) -> Interval:
    sums = cluster_sums(np.stack([values, np.ones(len(values))], axis=1), prompts)
    return bca(sums, mean, rng=np.random.default_rng(SEED), resamples=RESAMPLES, groups=groups)


def unclustered(values: np.ndarray) -> Interval:
    sums = np.stack([values, np.ones(len(values))], axis=1)
    return bca(sums, mean, rng=np.random.default_rng(SEED), resamples=RESAMPLES)


def scipys(values: np.ndarray) -> Interval:
    rng = np.random.default_rng(SEED)
    found = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="BCa", rng=rng).confidence_interval
    return Interval(float(values.mean()), float(found.low), float(found.high), len(values))


def main() -> None:
    rng = np.random.default_rng(SEED)
    unclustered(rng.random(100))  # scipy.special is loaded before anything is timed
    prompts = np.r_[np.arange(PROMPTS), rng.integers(0, PROMPTS, PAIRS - PROMPTS)]
    wins = rng.choice([0, 0.5, 1], PAIRS, p=[0.4, 0.1, 0.5])
    any_values = rng.normal(0.1, 1, PAIRS)
    few = rng.choice([0, 0.5, 1], N, p=[0.4, 0.1, 0.5])
    table = Table("what", "CPU s", "value", "low", "high", title=f"BCa, {RESAMPLES:,} resamples")

    def row(what: str, found: Interval, seconds: float) -> None:
        table.add_row(what, f"{seconds:.3f}", *(f"{x:.4f}" for x in (found.value, found.low, found.high)))

    whole = f"{PAIRS:,} pairs in {PROMPTS:,} prompts"
    row(f"{whole}: wins", *timed(lambda: clustered(wins, prompts, 1000), 3))
    row(f"{whole}: any values, 1,000 groups", *timed(lambda: clustered(any_values, prompts, 1000)))
    row(f"{whole}: any values, every prompt", *timed(lambda: clustered(any_values, prompts, PROMPTS)))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ours, fast = timed(lambda: unclustered(few), 5)
    row(f"win rate of {N:,} items", ours, fast)
    theirs, slow = timed(lambda: scipys(few))
    row("scipy.stats.bootstrap on the same", theirs, slow)
    console = Console()
    console.print(table)
    console.print(
        f"{slow / fast:.0f} times as fast as scipy's; {most:.0f} MB at most before scipy's ran, Python included. "
        "Targets: 5 s, 500 MB, 20 times."
    )


if __name__ == "__main__":
    main()
