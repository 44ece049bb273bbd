"""What people's word on 120 of 2,400 judged pairs buys, when all judges favour the new checkpoint a little.

python -m tests.benchmarks.corrected [RUNS]

Judges make correlated errors (the panel HI of tests/consensus/simulation.py) and add the same bias to every margin. Coverage is
that of nominal 95 % intervals; the half-width stands beside that of the people's mean alone. Section "Corrected by people" of
docs/evaluation.md quotes this table.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from consensus.statistics.calibration import expit, slope
from consensus.statistics.corrected import corrected_mean
from consensus.statistics.intervals import Interval, mean_interval, wilson
from consensus.statistics.latent import dawid_skene
from consensus.statistics.stratified import allocation, likely, stratified_mean
from evaluation.head_to_head.review import SHARED
from tests.consensus.simulation import HI, judged

PAIRS, PEOPLE, FAVOUR, SEED = 2400, 120, 0.35, 17
METHODS = (
    "judges only",
    "people only",
    "PPI++ hard label",
    "PPI++ calibrated posterior",
    "by vote count",
    "by vote count, PPI++ within",
)


def intervals(rate: float, run: int) -> dict[str, Interval]:
    """Every method's interval in one simulated evaluation; who stands for the truth is the rate itself."""
    rng = np.random.default_rng([SEED, round(100 * rate), run])
    found = judged(HI, PAIRS, rng, rate=rate, favour=FAVOUR)
    y, votes = (found.gold > 0).astype(float), found.votes()
    count = (found.said > 0).sum(axis=1)
    hard, llr, prompts = (count >= 2).astype(float), dawid_skene(votes).llr, np.arange(PAIRS)
    rows = rng.choice(PAIRS, PEOPLE, replace=False)
    soft = calibrated(llr, y, rows)
    strata = by_count(count, likely(SHARED * llr), rng)
    soft_there = calibrated(llr, y, strata)
    uniform = {"clusters": prompts, "sample_clusters": prompts[rows]}
    return {
        "judges only": wilson(hard, prompts),
        "people only": mean_interval(y[rows], prompts[rows]),
        "PPI++ hard label": corrected_mean(hard, hard[rows], y[rows], **uniform).mean,
        "PPI++ calibrated posterior": corrected_mean(soft, soft[rows], y[rows], **uniform).mean,
        "by vote count": stratified_mean(count, strata, y[strata], clusters=prompts).mean,
        "by vote count, PPI++ within": stratified_mean(
            count, strata, y[strata], clusters=prompts, predicted=soft_there
        ).mean,
    }


def calibrated(llr: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The posterior with the factor that these answers call for."""
    toward = llr[rows] * np.sign(y[rows] - 0.5)
    n = len(rows)
    return expit(slope(toward, np.full(n, (n + 1) / (n + 2))) * llr)


def by_count(count: np.ndarray, chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sample by strata, as `evaluate --review` draws it: spread guessed from the posterior, before anybody answered."""
    groups = [np.flatnonzero(count == k) for k in range(4)]
    spread = [np.sqrt(np.mean(chance[g] * (1 - chance[g]))) if len(g) else 0.0 for g in groups]
    sizes = allocation([len(g) for g in groups], spread, PEOPLE)
    return np.concatenate([rng.choice(g, n, replace=False) for g, n in zip(groups, sizes, strict=True)])


def simulate(rate: float, runs: int) -> dict[str, tuple[float, float]]:
    """Per method its coverage, and its mean half-width beside people's."""
    found = [intervals(rate, run) for run in range(runs)]
    half = {name: np.mean([(each[name].high - each[name].low) / 2 for each in found]) for name in METHODS}
    held = {name: np.mean([each[name].low <= rate <= each[name].high for each in found]) for name in METHODS}
    return {name: (float(held[name]), float(half[name] / half["people only"])) for name in METHODS}


def main() -> None:
    runs, begun = int(sys.argv[1]) if len(sys.argv) > 1 else 2000, time.perf_counter()
    columns = {rate: simulate(rate, runs) for rate in (0.55, 0.85)}
    table = Table("method", "coverage, truth .55", "half-width", "coverage, truth .85", "half-width")
    for name in METHODS:
        table.add_row(name, *(f"{value:.3f}" for rate in columns for value in columns[rate][name]))
    console = Console()
    console.print(table)
    console.print(
        f"{PAIRS:,} pairs, people on {PEOPLE}, {runs:,} runs, {time.perf_counter() - begun:.0f} s; half-widths beside those of "
        f"people alone; Monte-Carlo error {np.sqrt(0.05 * 0.95 / runs):.3f}."
    )


if __name__ == "__main__":
    main()
