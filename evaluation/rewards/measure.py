"""Rewards of a run's held-out pairs, from its folder and the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.preference_store import facts
from consensus.runs import Run, runs
from consensus.statistics.clusters import Ints
from consensus.statistics.votes import NO_GOLD, TIE, A, B
from consensus.store import Store
from evaluation.rewards.table import HeldOut

if TYPE_CHECKING:
    from training.rewards import Rewards

GOLD = {"chosen": A, "rejected": B, "tie": TIE}


def run_of(store: Store, cycle: Cycle, name: str | None) -> Run | None:
    """The cycle's run of this name, or the one that ended last; None if no run was ever begun and none is named.

    Raises:
        UsageError: there is no run of this name, or none that has ended.
    """
    there = runs(store, cycle.name)
    ended = [each.run for each in there if each.step == "ended"]
    if name is None and not there:
        return None
    found = [run for run in ended if name in (None, run.run)]
    if not found:
        what = f"no run {name!r} that has ended" if name else "no run that has ended"
        names = ", ".join(f"{each.run.run} ({each.step})" for each in there) or "none"
        raise UsageError(
            f"cycle {cycle.name!r} has {what}; its runs are: {names}. 'consensus train' makes one, or ends it"
        )
    return found[-1]


def base_of(run: Run) -> str:
    """The name of the base model, the same on every machine."""
    model = str(run.config["model"])
    return Path(model).name if Path(model).is_absolute() else model


def measure(cycle: Cycle, run: Run) -> HeldOut:
    """The held-out pairs of a run under its adapter. The store is open only while labels are read, not while the model computes.

    Raises:
        UsageError: the run's folder is not whole, its base model is another one now, or it held out no pairs.
    """
    from training.manifest import read, same_base
    from training.model import load
    from training.rewards import rewards
    from training.rows import HELD_OUT
    from training.run import Rows

    folder = cycle.store.parent / run.folder
    adapter, file = folder / "adapter", folder / "data" / HELD_OUT
    if not adapter.is_dir() or not file.is_file():
        raise UsageError(f"the folder of run {run.run!r} is not whole: {_missing(adapter, file)} is not there")
    model, precision = str(run.config["model"]), run.config.get("precision", "auto")
    loaded = load(model, adapter=adapter, beside=cycle.training.folder, precision=precision)
    if manifest := read(folder):
        same_base(manifest, loaded)
    rows = Rows(file)
    if not len(rows):
        raise UsageError(f"run {run.run!r} held out no pairs; train with training.validation above 0")
    with Store(cycle.store) as store:
        labels = _labels(store, cycle, rows)
    return table(rows, labels, rewards(loaded, rows, beta=float(run.config["beta"])))


def table(rows: Any, labels: Ints, found: Rewards) -> HeldOut:
    """Rows, labels and rewards of the same pairs as one table."""
    columns = rows.dataset
    return HeldOut.of(
        pair_ids=columns["pair_id"][:],
        prompt_ids=columns["prompt_id"][:],
        category=columns["category"][:],
        chosen=found.chosen,
        rejected=found.rejected,
        chosen_tokens=found.chosen_tokens,
        rejected_tokens=found.rejected_tokens,
        label=labels,
        gold=[GOLD.get(said or "", NO_GOLD) for said in columns["gold"][:]],
    )


def _labels(store: Store, cycle: Cycle, rows: Any) -> Ints:
    """What the panel says of each row: +1 for its chosen side (of which the row then has the support), -1 against it, 0 nothing."""
    known = facts(store, cycle.name)
    decided = {
        pair_id
        for pair_id, verdict in zip(known["pair_id"].to_pylist(), known["verdict"].to_pylist(), strict=True)
        if verdict in ("a", "b")
    }
    support, names = rows.dataset["support"][:], rows.dataset["pair_id"][:]
    said = [
        1 if share is not None else -1 if pair_id in decided else 0
        for share, pair_id in zip(support, names, strict=True)
    ]
    return np.array(said, dtype=np.int64)


def _missing(*paths: Path) -> Path:
    return next(path for path in paths if not path.exists())
