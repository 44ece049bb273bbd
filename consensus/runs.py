"""What the store knows of training runs. Facts are only ever added: a run begins, is measured, and ends or fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from consensus.store import Store
from consensus.tables import utc_now

Step = Literal["begun", "ended", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """One `consensus train`.

    Attributes:
        run: its name, which is its adapter's and its checkpoint's.
        config: the section `training:` as it was resolved.
        data_hash: of everything that decides the rows.
        policy: the one in use, `soft` or `hard`.
        versions: of packages, Python, and the git commit beside the cycle file.
        folder: with adapter, card and manifest, from the store's own folder.
    """

    run: str
    cycle: str
    config: Mapping[str, Any]
    data_hash: str
    policy: str
    versions: Mapping[str, Any]
    seed: int
    folder: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A run and how it stands, since when."""

    run: Run
    step: Step
    at: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured after a step (0: before the first); `metrics` by TRL's names."""

    step: int
    epoch: float
    metrics: Mapping[str, float]
    at: datetime


def note(store: Store, run: Run, step: Step) -> None:
    """Write down that a run was begun, ended or failed."""
    row: list[Any] = [
        run.run,
        run.cycle,
        step,
        json.dumps(run.config),
        run.data_hash,
        run.policy,
        json.dumps(run.versions),
    ]
    row += [run.seed, run.folder, utc_now()]
    store.db.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(row))})", row)


def runs(store: Store, cycle: str | None = None) -> list[Standing]:
    """The runs as they stand, the one last heard of at the end; those of one cycle, or all."""
    rows = store.db.execute(
        "SELECT run, cycle, config, data_hash, policy, versions, seed, folder, step, created_at FROM runs "
        "WHERE $cycle IS NULL OR cycle = $cycle "
        "QUALIFY row_number() OVER (PARTITION BY run ORDER BY rowid DESC) = 1 ORDER BY rowid",
        {"cycle": cycle},
    ).fetchall()
    return [
        Standing(Run(run, of, json.loads(config), data, policy, json.loads(versions), seed, folder), step, at)
        for run, of, config, data, policy, versions, seed, folder, step, at in rows
    ]


def add_metrics(store: Store, run: str, measured: Sequence[Measured]) -> int:
    """Append what was measured and is not there yet; how much was new."""
    known = {
        (step, at)
        for step, at in store.db.execute("SELECT step, created_at FROM run_metrics WHERE run = ?", [run]).fetchall()
    }
    rows = [
        {
            "run": run,
            "step": one.step,
            "epoch": one.epoch,
            "metrics": json.dumps(dict(one.metrics)),
            "created_at": one.at,
        }
        for one in measured
        if (one.step, one.at) not in known
    ]
    if rows:
        store.append("run_metrics", rows)
    return len(rows)


def metrics(store: Store, run: str) -> list[Measured]:
    """What was measured, by step; of what was measured again after a resume, the last value."""
    rows = store.db.execute(
        "SELECT step, epoch, metrics, created_at FROM run_metrics WHERE run = ? ORDER BY step, created_at, rowid", [run]
    ).fetchall()
    found: dict[int, Measured] = {}
    for step, epoch, said, at in rows:
        before = found[step].metrics if step in found else {}
        found[step] = Measured(step, epoch, {**before, **json.loads(said)}, at)
    return list(found.values())
