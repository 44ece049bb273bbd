"""Two offline metrics with planted correlations to production, over many histories: do the intervals hold, what is claimed?

python -m tests.benchmarks.production_history
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from rich.console import Console
from rich.table import Table

from consensus.statistics.correlation import (
    difference_interval,
    disattenuated,
    reliability,
    spearman,
    spearman_interval,
)
from consensus.statistics.multiple import holm
from evaluation.production.prediction import ALPHA, CLAIM

HISTORIES, SEED, BETWEEN = 1000, 7, 0.3
CASES = ((0.78, 0.31), (0.5, 0.5), (0.0, 0.0))
RELIABILITY = 0.7  # of the first metric, in the second table


@dataclass(frozen=True)
class History:
    """What one history shows: whether intervals hold the planted values, and what it claims."""

    held: tuple[bool, bool]
    difference_held: bool
    follows: tuple[bool, bool]
    differs: bool


def values(rng: np.random.Generator, n: int, strong: float, weak: float) -> np.ndarray:
    """Two metrics and production of n checkpoints, with these rank correlations in the long run, shape [3, n]."""
    ranks = np.array([[1, BETWEEN, strong], [BETWEEN, 1, weak], [strong, weak, 1]])
    return np.linalg.cholesky(2 * np.sin(np.pi * ranks / 6)) @ rng.standard_normal((3, n))


@cache
def orders(n: int) -> np.ndarray:
    """Absolute correlations of 20,000 random orders: the permutation test without ties is the same for every history."""
    rng, ranks = np.random.default_rng([SEED, n]), np.arange(n) - (n - 1) / 2
    shuffled = rng.permuted(np.tile(ranks, (20_000, 1)), axis=1)
    return np.sort(np.abs(shuffled @ ranks) / (ranks @ ranks))


def p_value(r: float, n: int) -> float:
    null = orders(n)
    return (1 + len(null) - int(np.searchsorted(null, abs(r) - 1e-9))) / (1 + len(null))


def look(rng: np.random.Generator, n: int, strong: float, weak: float) -> History:
    one, other, production = values(rng, n, strong, weak)
    found = [spearman_interval(metric, production) for metric in (one, other)]
    apart = difference_interval(one, other, production)
    p = holm([p_value(each.value, n) for each in found])
    held = tuple(i.low <= truth <= i.high for i, truth in zip(found, (strong, weak), strict=True))
    follows = tuple(n >= CLAIM and bool(each <= ALPHA) for each in p)
    differs = n >= CLAIM and (apart.low > 0 or apart.high < 0)
    return History(held, apart.low <= strong - weak <= apart.high, follows, differs)


def rows() -> Iterator[list[str]]:
    for strong, weak in CASES:
        for n in (6, 8, 12, 24):
            rng = np.random.default_rng([SEED, n, int(100 * strong)])
            found = [look(rng, n, strong, weak) for _ in range(HISTORIES)]
            shares = [
                np.mean([each.held[0] for each in found]),
                np.mean([each.held[1] for each in found]),
                np.mean([each.difference_held for each in found]),
                np.mean([each.follows[0] for each in found]),
                np.mean([each.follows[1] for each in found]),
                np.mean([each.differs for each in found]),
            ]
            yield [f"{strong} and {weak}", str(n), *(f"{share:.3f}" for share in shares)]


def noisy(n: int = 12) -> tuple[float, float, float]:
    """With noise of measuring: the median correlation, the median of the corrected one, and how often that is beyond 1."""
    rng = np.random.default_rng([SEED, n])
    raw, corrected = [], []
    for _ in range(HISTORIES):
        one, _, production = values(rng, n, 0.78, 0.31)
        noise = np.sqrt(1 / RELIABILITY - 1)
        seen = one + noise * rng.standard_normal(n)
        r = spearman(seen, production)
        raw.append(r)
        corrected.append(disattenuated(r, reliability(seen, np.full(n, noise)), 1.0))
    known = [each for each in corrected if each == each]
    return float(np.median(raw)), float(np.median(known)), float(np.mean([each > 1 for each in known]))


def main() -> None:
    begun, console = time.perf_counter(), Console(width=150)
    columns = ("planted", "checkpoints", "first held", "second held", "difference held")
    table = Table(
        *columns, "first claimed", "second claimed", "difference claimed", title="shares of histories; intervals of .95"
    )
    for row in rows():
        table.add_row(*row)
    console.print(table)
    raw, corrected, beyond = noisy()
    console.print(
        f"Measured with reliability {RELIABILITY}, .78 over 12 checkpoints is seen as {raw:.2f} (median), "
        f"corrected {corrected:.2f}; the corrected one is beyond 1 in {beyond:.0%} of histories, and reported so."
    )
    console.print(
        f"{HISTORIES:,} histories a row, metrics correlated {BETWEEN} with each other; Monte-Carlo error .007; "
        f"{time.perf_counter() - begun:.0f} s."
    )


if __name__ == "__main__":
    main()
