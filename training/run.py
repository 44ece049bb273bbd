"""A whole run: from the cycle's labels to a folder that PEFT, transformers and vLLM load. It goes on where it was killed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consensus.errors import ConsensusError
from training import manifest
from training.looks import HeldOut, figures_of, look
from training.prepare import Preparation
from training.record import BEST, METRICS, Recorder, Show, back_to_best, measured
from training.rows import HELD_OUT, TRAIN, dataset, row

if TYPE_CHECKING:
    from consensus.cycle import Cycle
    from training.dpo import Fit


@dataclass(frozen=True, slots=True)
class Done:
    """A run that is over.

    Attributes:
        manifest: everything that decided it, and what came of it.
        before: whether it was over before this call.
    """

    folder: Path
    manifest: Mapping[str, Any]
    before: bool

    @property
    def adapter(self) -> Path:
        """The adapter's folder."""
        return self.folder / "adapter"


class Rows(Sequence[Any]):
    """The rows of a file, each built when it is asked for."""

    def __init__(self, file: Path) -> None:
        self.dataset = dataset(file)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(len(self)))]
        return row(self.dataset[place])

    def held_out(self) -> HeldOut:
        """What is known of them as held-out pairs."""
        return HeldOut.of(self.dataset["prompt_id"][:], self.dataset["gold"][:])


def train(cycle: Cycle, *, beside: Path, show: Show, name: str | None = None) -> Done:
    """Train an adapter on the cycle's labels; under `accelerate launch` every process calls it, and the first one writes.

    Args:
        beside: the folder whose git commit is noted.
        name: of the run, in place of the one by config and data.
    Raises:
        UsageError: there are no labels; the name is that of another run; another process trains this run.
        ConsensusError: nothing is left to train on, or training failed.
    """
    from training.dpo import fit
    from training.model import load
    from training.processes import Processes

    _quiet()
    settings, processes = cycle.training, Processes()
    preparation: list[Preparation] = []  # of the first process

    def begin() -> tuple[Path, bool]:
        preparation.append(Preparation(cycle, beside=beside, name=name))
        return preparation[0].folder, preparation[0].over

    folder, over = processes.once(begin)
    with processes.alone(folder):
        if over:
            processes.once(lambda: _settle(cycle, folder))
            return Done(folder, manifest.read(folder), before=True)
        loaded = load(settings.model, beside=settings.folder, precision=settings.precision)
        processes.once(lambda: preparation[0].rows(loaded))
        rows, tested = Rows(folder / "data" / TRAIN), Rows(folder / "data" / HELD_OUT)
        held_out = tested.held_out()
        record = Recorder(folder, folder.name, cycle.store, held_out=held_out, patience=settings.patience, show=show)
        try:
            fitted = fit(loaded, rows, tested, settings, folder, on_step=record)
        except ConsensusError:
            if processes.first:  # without waiting for the others, which may be in the middle of a step
                manifest.stored(cycle.store, folder, manifest.read(folder), "failed")
            raise
        processes.once(lambda: _finish(cycle, folder, fitted, held_out))
        return Done(folder, manifest.read(folder), before=False)


def _quiet() -> None:
    """Let the libraries say what is wrong, and not how many files they write."""
    import warnings

    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def _finish(cycle: Cycle, folder: Path, fitted: Fit, held_out: HeldOut) -> None:
    from training.card import card

    found = manifest.read(folder)
    tested = None if fitted.after is None or not len(held_out.gold) else look(fitted.after, held_out).figures()
    step = fitted.steps
    if fitted.stopped and (best := back_to_best(folder, fitted.adapter)) is not None:
        step = best
        tested = figures_of(
            {k: v for one in measured(folder / METRICS) if one.step == best for k, v in one.metrics.items()}, held_out
        )
    shutil.rmtree(folder / BEST, ignore_errors=True)
    result: dict[str, Any] = {
        "steps": fitted.steps,
        "stopped_early": fitted.stopped,
        "step": step,
        "seconds": round(fitted.seconds, 1),
        "notes": list(fitted.notes),
        "held_out": tested,
    }
    found |= {"state": "ended", "result": result}
    text = card(found)
    (folder / "README.md").write_text(text, "utf-8")
    (fitted.adapter / "README.md").write_text(text, "utf-8")
    manifest.write(folder, found)
    _settle(cycle, folder)


def _settle(cycle: Cycle, folder: Path) -> None:
    """See to it that the store knows of a run's end; where another process has the store open, the next call tries again."""
    found = manifest.read(folder)
    if not found["stored"] and manifest.stored(cycle.store, folder, found, "ended"):
        manifest.write(folder, {**found, "stored": True})


def merge(done: Done, cycle: Cycle) -> Path:
    """Write the base model's weights with the adapter's folded in, beside the adapter; the folder.

    Raises:
        UsageError: the base model or the adapter is not there, or no longer what it was.
    """
    from training.model import load

    target = done.folder / "merged"
    if not (target / "config.json").exists():
        part = done.folder / "merged.part"
        settings = cycle.training
        loaded = load(settings.model, adapter=done.adapter, beside=settings.folder, precision=settings.precision)
        manifest.same_base(done.manifest, loaded)
        loaded.model.merge_and_unload().save_pretrained(part)
        loaded.tokenizer.save_pretrained(part)
        part.rename(target)
    return target
