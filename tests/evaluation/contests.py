"""Contests between simulated checkpoints, for tests: a candidate that writes k drafts wins k times out of k + 1."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

from rich.console import Console

from consensus.cycle import Cycle
from consensus.nouns import Pair
from consensus.store import Store
from evaluation.head_to_head.contest import Contest
from evaluation.head_to_head.run import play
from labeling.labeler import Outcome
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of

HONEST = {"accuracy": 1.0}


def checkpoint(name: str, **habits: Any) -> dict[str, Any]:
    """A simulated checkpoint, with a price."""
    return {"provider": "simulated", "model": name, "price": {"input": 1, "output": 2}, "extra": {"same": 0, **habits}}


def contested(
    folder: Path, *faults: dict[str, Any], drafts: int = 3, evaluation: dict[str, Any] | None = None, **sections: Any
) -> Cycle:
    """A cycle whose candidate writes so many drafts, judged by simulated judges with these faults."""
    told = {"candidate": checkpoint("tuned", drafts=drafts), "baseline": checkpoint("base"), **(evaluation or {})}
    judges = [
        {"provider": "simulated", "model": f"sim-{k}", "extra": fault, "price": {"input": 1, "output": 2}}
        for k, fault in enumerate(faults)
    ]
    training = {"validation": 0.5, "near": None}
    return cycle_of(judges, **{"store": folder / "cycle.duckdb", "training": training, "evaluation": told, **sections})


def pairs(n: int) -> list[Pair]:
    """Pairs of n prompts in three categories, one of them a chat."""
    return [
        Pair(
            f"pair-{k}",
            [{"role": "user", "content": f"question {k}"}] if k % 3 else f"question {k}",
            f"answer {k} one",
            f"answer {k} two",
            category=("billing", "returns", "other")[k % 3],
        )
        for k in range(n)
    ]


def begun(store: Store, cycle: Cycle, prompts: int) -> Contest:
    """Register the cycle with so many prompts, half of them held out."""
    store.register(cycle, Rubric.of(cycle).system)
    store.add_pairs(cycle.name, pairs(prompts))
    return Contest.of(store, cycle)


def played(store: Store, contest: Contest, **options: Any) -> Outcome:
    """Play what is left of the contest."""
    rubric, console = Rubric.of(contest.cycle), Console(file=io.StringIO())
    return asyncio.run(play(store, contest, rubric, console=console, **options))
