"""The rows of a training run from a million labels in a store: seconds and memory, from votes to a mapped dataset.

    python -m tests.benchmarks.dataset_million [pairs] [--chat]

Three recorded judges, ten pairs to a prompt, gold on one pair in a hundred, texts of about 40 and 120 words in all. With --chat
prompts are chat messages of an agent with tools.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from consensus.cycle import Cycle
from consensus.nouns import Pair, Shown
from consensus.rule import hash_bytes
from consensus.store import Store
from consensus.tables import utc_now
from tests.consensus.cycles import cycle_of
from training.preferences import plan
from training.rows import HELD_OUT, TRAIN, dataset, row, write

PER_PROMPT = 10
ACCURACY = (0.9, 0.8, 0.7)


def pairs(n: int, *, chat: bool) -> Iterator[Pair]:
    """Pairs whose better completion is a in the even ones."""
    rng = np.random.default_rng(1)
    words = np.array([f"word{k}" for k in range(5_000)])
    for k in range(n):
        if k % PER_PROMPT == 0:
            prompt: object = f"question {k}: " + " ".join(words[rng.integers(0, 5_000, 40)])
            if chat:
                prompt = [{"role": "system", "content": "You are an agent."}, {"role": "user", "content": prompt}]
            answers = [" ".join(words[rng.integers(0, 5_000, 40)]) for _ in range(5)]
        one, two = answers[k % 5], answers[(k % 5 + 1 + k // 5 % 4) % 5]
        gold = "ab"[k % 2] if k % 100 < 2 else None
        extra = {"tools": [{"type": "function", "function": {"name": "get"}}]} if chat else {}
        yield Pair(f"pair-{k}", prompt, f"{k} {one}", f"{k} {two}", gold=gold, extra=extra)  # type: ignore[arg-type]


def filled(folder: Path, n: int, *, chat: bool) -> tuple[Store, Cycle]:
    """A store with that many pairs, each with three votes."""
    names = [f"judge-{k}" for k in range(3)]
    cycle = cycle_of(names, store=folder / "cycle.duckdb")
    store = Store(cycle.store)
    store.register(cycle, "rubric")
    made, part = pairs(n, chat=chat), 20_000
    for _ in range(0, n, part):
        store.add_pairs(cycle.name, [pair for _, pair in zip(range(part), made, strict=False)])
    rng = np.random.default_rng(2)
    order_byte = np.array([hash_bytes(f"pair-{k}")[0] for k in range(n)])
    first = (order_byte[:, None] + np.arange(3)) % 2 == 0
    right = rng.random((n, 3)) < np.array(ACCURACY)
    a = right == (np.arange(n) % 2 == 0)[:, None]
    ids = np.repeat(np.char.add("pair-", np.arange(n).astype(str)), 3)
    table = {
        "cycle": np.full(3 * n, cycle.name),
        "pair_id": ids,
        "judge": np.tile(names, n),
        "config_hash": np.tile([judge.config_hash("rubric") for judge in cycle.judges], n),
        "shown": np.where(first.ravel(), Shown.AB, Shown.BA).astype(str),
        "repeat": np.zeros(3 * n, np.uint16),
        "verdict": np.where(a.ravel(), "a", "b"),
        "attempts": np.ones(3 * n, np.uint16),
        "created_at": np.full(3 * n, np.datetime64(utc_now(), "us")),
    }
    store.db.register("columns", pa.table(table))
    store.db.execute("INSERT INTO votes BY NAME SELECT * FROM columns")
    return store, cycle


def main() -> None:
    """Print what it costs; the store is made by a process of its own, so that the peak is the dataset's."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    n, chat = int(words[0]) if words else 1_000_000, "--chat" in sys.argv
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        import multiprocessing

        maker = multiprocessing.get_context("spawn").Process(target=_make, args=(folder, n, chat))
        maker.start()
        maker.join()
        cycle = cycle_of([f"judge-{k}" for k in range(3)], store=folder / "cycle.duckdb")
        cpu, wall = time.process_time(), time.monotonic()
        with Store(cycle.store) as store:
            planned = plan(store, cycle)
            between = time.monotonic() - wall
            counts = write(store, planned, folder / "data")
        train, held_out = dataset(folder / "data" / TRAIN), dataset(folder / "data" / HELD_OUT)
        example = row(train[0])
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{n:,} labels, {planned.prompts:,} prompts: {len(train):,} rows to train on, {len(held_out):,} held out")
    print(f"left out: {dict(counts.left_out)}; {planned.because}; {sorted(example)}")
    print(f"{wall:.1f} s, {between:.1f} of them for the plan; {cpu:.1f} s of CPU; peak {peak:,.0f} MB")


def _make(folder: Path, n: int, chat: bool) -> None:
    filled(folder, n, chat=chat)[0].close()


if __name__ == "__main__":
    main()
