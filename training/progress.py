"""What people see while a model trains: a bar with the time that is left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from consensus.terminal import duration
from training.card import share
from training.looks import Look

PLAIN_EVERY = 10.0  # seconds between plain lines


class Shown:
    """A context manager that shows steps and looks; see `training.record.Show`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task: Any = None
        self._first: tuple[float, int] | None = None
        self._said = time.monotonic()

    def __enter__(self) -> Shown:
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("train"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[said]}"),
                console=self._console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("train", total=None, said="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, step: int, steps: int, metrics: Mapping[str, float]) -> None:
        """Show a step."""
        words = [f"{word} {metrics[name]:.4g}" for name, word in _SAID.items() if name in metrics]
        now = time.monotonic()
        self._first = self._first or (now, step)
        if self._bar:
            self._bar.update(self._task, completed=step, total=steps, said="  ".join(words))
        elif now - self._said >= PLAIN_EVERY or step == steps:
            self._said = now
            begun, at = self._first
            left = duration((now - begun) / (step - at) * (steps - step)) if step > at else "?"
            self._console.print(f"step {step:,} of {steps:,}, {left} left  " + "  ".join(words), markup=False)

    def look(self, step: int, found: Look) -> None:
        """Show a look at the held-out pairs."""
        seen = found.figures()
        people = f", with people {share(seen['gold_accuracy'])}" if found.gold.n else ""
        self._console.print(
            f"step {step:,}: held out, the chosen side has the larger reward in {share(seen['accuracy'])} of "
            f"{found.accuracy.n:,} pairs, margin {found.margin.value:.3g}{people}",
            markup=False,
        )


_SAID = {"loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy"}
