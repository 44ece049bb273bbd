"""A run's measurements: every step as a line of `metrics.jsonl`, and from there in the store, which is opened only for that."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from consensus.runs import Measured
from consensus.tables import utc_now
from training.looks import EarlyStop, HeldOut, Look, figures_of, look

if TYPE_CHECKING:
    from training.dpo import Step

METRICS, BEST, WEIGHTS = "metrics.jsonl", "best", "adapter_model.safetensors"
ACCURACY = "held_out/accuracy"
EVERY = 10.0  # seconds between two openings of the store, which other commands may want meanwhile


class Show(Protocol):
    """Whoever shows how it goes."""

    def step(self, step: int, steps: int, metrics: Mapping[str, float]) -> None:
        """Hear of a step."""

    def look(self, step: int, found: Look) -> None:
        """Hear of a look at the held-out pairs."""


class Recorder:
    """What `fit` calls after every step, on the first process only.

    Args:
        folder: of the run.
        run: its name.
        store: the store's file.
    """

    def __init__(
        self, folder: Path, run: str, store: Path, *, held_out: HeldOut, patience: int | None, show: Show
    ) -> None:
        self._file, self._run, self._store = folder / METRICS, run, store
        self._held_out, self._show = held_out, show
        self._stop = EarlyStop(patience)
        self._folder, self._patience = folder, patience
        self._begun, self._synced = False, time.monotonic()

    def __call__(self, step: Step) -> bool:
        """Write a step down; whether to stop."""
        if not self._begun:
            self._go_on_from(step)
        self._keep_best()
        found = {
            name: float(value)
            for name, value in step.metrics.items()
            if isfinite(value) and name not in ("step", "epoch")
        }
        stop = False
        if step.held_out is not None:
            seen = look(step.held_out, self._held_out)
            found |= seen.metrics()
            stop = self._stop(step.step, seen.figures()["accuracy"])
            self._show.look(step.step, seen)
        else:
            self._show.step(step.step, step.steps, found)
        append(self._file, Measured(step.step, step.epoch, found, utc_now()))
        if time.monotonic() - self._synced > EVERY:
            self._synced = time.monotonic()
            sync(self._file.parent, self._run, self._store)
        return stop

    def _go_on_from(self, first: Step) -> None:
        """What a killed run measured after its last checkpoint is measured again: the file begins anew there."""
        self._begun = True
        looks = first.held_out is not None
        before = [
            one
            for one in measured(self._file)
            if (one.step, ACCURACY in one.metrics) < (first.step, looks)  # of a step, the look comes after the losses
        ]
        part = self._file.with_suffix(".part")
        part.write_text("".join(map(_line, before)), "utf-8")
        part.replace(self._file)
        for one in before:
            if ACCURACY in one.metrics:
                self._stop(one.step, figures_of(one.metrics, self._held_out)["accuracy"])

    def _keep_best(self) -> None:
        """Keep the weights of the best look, whose checkpoint is written after it and deleted when two others are."""
        step, folder = self._stop.best_step, self._folder / BEST
        weights = self._folder / "checkpoints" / f"checkpoint-{step}" / WEIGHTS
        if self._patience is None or kept(self._folder) == step or not weights.exists():
            return
        part = self._folder / f"{BEST}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        shutil.copy(weights, part / WEIGHTS)
        (part / "step").write_text(str(step), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)


def kept(folder: Path) -> int | None:
    """The step whose weights were kept as the best; None without any."""
    file = folder / BEST / "step"
    return int(file.read_text("utf-8")) if file.exists() else None


def back_to_best(folder: Path, adapter: Path) -> int | None:
    """Put the kept weights in the place of an adapter's; of which step they are, None if there are none."""
    step = kept(folder)
    if step is not None:
        shutil.copy(folder / BEST / WEIGHTS, adapter / f"{WEIGHTS}.part")
        (adapter / f"{WEIGHTS}.part").replace(adapter / WEIGHTS)
    return step


def append(file: Path, one: Measured) -> None:
    """Add a line."""
    with file.open("a", encoding="utf-8") as out:
        out.write(_line(one))


def measured(file: Path) -> list[Measured]:
    """The lines of a file, in their order; a last one that was cut off when the process was killed is none."""
    found = []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            row = json.loads(line)
            step, epoch, at = row.pop("step"), row.pop("epoch"), row.pop("at")
            found.append(Measured(step, epoch, row, datetime.fromisoformat(at)))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def sync(folder: Path, run: str, store: Path) -> bool:
    """Bring what the file has and the store has not into the store; False if another process has the store open."""
    from consensus.errors import StoreBusy
    from consensus.runs import add_metrics
    from consensus.store import Store

    try:
        with Store(store) as opened:
            add_metrics(opened, run, measured(folder / METRICS))
    except StoreBusy:
        return False
    return True


def _line(one: Measured) -> str:
    return json.dumps({"step": one.step, "epoch": one.epoch, **one.metrics, "at": one.at.isoformat()}) + "\n"
