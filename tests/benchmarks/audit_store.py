"""`consensus audit` on a million recorded votes in a store: processor seconds and memory, intervals included.

    python -m tests.benchmarks.audit_store [votes] [--lazy]

Five judges, both orders, four repeats, 25,000 pairs of 8,000 prompts. With --lazy instead a cycle of five judges that was labeled
with `stop: settled`: one vote per judge, and only while the label was open, so that every vote has its inclusion weight.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from consensus.asked import Draw
from consensus.nouns import Pair
from consensus.store import Store
from consensus.tables import utc_now
from evaluation.audit.audit import audit
from tests.benchmarks.audit_arithmetic import JUDGES, simulated
from tests.consensus.cycles import cycle_of

WORD = {1: "a", -1: "b", 0: "tie", 2: "abstain"}


def filled(folder: Path, votes: int, rng: np.random.Generator, *, lazy: bool) -> tuple[Store, object]:
    """A store with that many votes."""
    made = simulated(votes // (JUDGES * 2 * 4) if not lazy else votes // 4, rng) if not lazy else None
    names = [f"judge-{k}" for k in range(JUDGES)]
    judges = names if not lazy else [{"provider": "simulated", "model": name} for name in names]
    cycle = cycle_of(judges, store=folder / "cycle.duckdb")
    store = Store(cycle.store)
    store.register(cycle, "rubric")
    pairs = made.n_pairs if made else votes // 4
    for start in range(0, pairs, 10_000):
        store.add_pairs(
            cycle.name,
            (
                Pair(f"pair-{k}", f"prompt {k // 3}", "x" * (10 + k % 50), "y" * (20 + k % 31), gold="ab"[k % 2])
                for k in range(start, min(pairs, start + 10_000))
            ),
        )
    hashes = np.array([judge.config_hash("rubric") for judge in cycle.judges])
    if made is None:
        made = lazily(store, cycle, pairs, rng)
    n = len(made.pair)
    table = {
        "cycle": np.full(n, cycle.name),
        "pair_id": np.char.add("pair-", made.pair.astype(str)),
        "judge": np.array(names)[made.judge],
        "config_hash": hashes[made.judge],
        "shown": np.where(made.first, "ab", "ba"),
        "repeat": made.repeat.astype(np.uint16),
        "verdict": np.array([WORD[k] for k in (-1, 0, 1, 2)])[made.choice + 1],
        "raw": np.full(n, "because"),
        "attempts": np.ones(n, np.uint16),
        "created_at": np.full(n, np.datetime64(utc_now(), "us")),
    }
    store.db.register("columns", pa.table(table))
    store.db.execute("INSERT INTO votes BY NAME SELECT * FROM columns")
    return store, cycle


def lazily(store: Store, cycle, pairs: int, rng: np.random.Generator):
    """One vote per judge in its own order; of nine pairs in ten the judges that a majority of three did without are left out."""
    from consensus.sequence import audited

    columns = store.pair_columns(cycle.name)
    draw = Draw(columns["order_byte"].to_numpy().astype(np.int64), columns["seat_byte"].to_numpy().astype(np.int64))
    made = simulated(pairs, rng)
    made = made.where((made.repeat == 0) & draw.own_order(made.pair, made.judge, made.first, cycle))
    choice = np.zeros((pairs, JUDGES), np.int64)
    choice[made.pair, made.judge] = made.choice
    place = (np.arange(JUDGES) - draw.seat_byte[:, None]) % JUDGES  # the turn of each judge
    turn = np.argsort(place, axis=1)
    in_turn = np.take_along_axis(choice, turn, 1)
    settled = np.maximum(np.cumsum(in_turn == 1, axis=1), np.cumsum(in_turn == -1, axis=1)) >= 3
    asked = np.take_along_axis(np.pad(~settled, ((0, 0), (1, 0)), constant_values=True)[:, :-1], place, 1)
    complete = np.array([audited(name, 0, cycle.sampling.audit_share) for name in columns["pair_id"].to_pylist()])
    return made.where((asked | complete[:, None])[made.pair, made.judge])


def main() -> None:
    """Print what it costs."""
    lazy = "--lazy" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--lazy"]
    with tempfile.TemporaryDirectory() as folder:
        store, cycle = filled(Path(folder), int(words[0]) if words else 1_000_000, np.random.default_rng(1), lazy=lazy)
        with store:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            cpu, wall = time.process_time(), time.monotonic()
            found = audit(store, cycle)
            cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = [*found.panel.figures.values(), *(each for judge in found.judges for each in judge.figures.values())]
    print(f"{found.votes:,} votes, {found.panel.pairs:,} pairs, {sum(each.bounded for each in figures)} intervals")
    print(f"{cpu:.1f} s of CPU, {wall:.1f} s; peak {after:,.0f} MB ({before:,.0f} MB before it began)")


if __name__ == "__main__":
    main()
