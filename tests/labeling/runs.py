"""Running a cycle in a test, quietly."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from consensus.cycle import Cycle
from consensus.nouns import Pair
from consensus.store import Store
from labeling.cycle_run import run
from labeling.labeler import Outcome
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of


def simulated(folder: Path, *faults: dict[str, Any], **sections: Any) -> Cycle:
    """A cycle of simulated judges sim-0, sim-1, ... with these faults, and a store in the folder; all are always asked."""
    sections = {"sampling": {"stop": "never"}, **sections}
    judges = [
        {"provider": "simulated", "model": f"sim-{k}", **{n: v for n, v in fault.items() if n in JUDGE}}
        | {"extra": {n: v for n, v in fault.items() if n not in JUDGE}}
        for k, fault in enumerate(faults)
    ]
    return cycle_of(judges, store=folder / "cycle.duckdb", **sections)


JUDGE = {"api_base", "max_parallel", "rpm", "tpm", "price", "fallbacks", "name", "model"}


def pairs(n: int) -> list[Pair]:
    """n pairs of which a is better in the even ones, three to a prompt."""
    return [
        Pair(f"pair-{k}", f"prompt {k // 3}", f"answer {k} one", f"answer {k} two", gold="ab"[k % 2])  # type: ignore[arg-type]
        for k in range(n)
    ]


def label_cycle(store: Store, cycle: Cycle, given: Iterable[Pair] = (), **options: Any) -> Outcome:
    """Register, add the pairs, ask the judges."""
    rubric = Rubric.of(cycle)
    store.register(cycle, rubric.system)
    store.add_pairs(cycle.name, given)
    return asyncio.run(run(store, cycle, rubric, console=Console(file=io.StringIO()), **options))


def labels(store: Store, cycle: str) -> dict[str, Any]:
    """Every pair's label."""
    return {item.pair.pair_id: item.label for item in store.labeled(cycle, kept_only=False)}


def verdicts(store: Store, cycle: str) -> dict[tuple[str, str, str, int], str]:
    """Every vote's verdict by its key."""
    return {(v["pair_id"], v["judge"], v["shown"], v["repeat"]): v["verdict"] for v in store.votes(cycle)}
