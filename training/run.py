"""A whole run: from the cycle's labels to a folder that PEFT, transformers and vLLM load. It goes on where it was killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consensus.errors import ConsensusError, UsageError
from training import manifest
from training.looks import HeldOut, look
from training.prepare import Preparation
from training.record import Recorder, Show
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

    settings, processes = cycle.training, Processes()
    if settings.task == "judge":
        raise UsageError("training.task: judge has no rows of its own yet; 'policy' trains on the pairs' completions")
    preparation: list[Preparation] = []  # of the first process

    def begin() -> tuple[Path, bool]:
        preparation.append(Preparation(cycle, beside=beside, name=name))
        return preparation[0].folder, preparation[0].over

    folder, over = processes.once(begin)
    with processes.alone(folder):
        if over:
            processes.once(lambda: _settle(cycle, folder))
            return Done(folder, manifest.read(folder), before=True)
        loaded = load(settings.model, precision=settings.precision)
        processes.once(lambda: preparation[0].rows(loaded))
        rows, tested = Rows(folder / "data" / TRAIN), Rows(folder / "data" / HELD_OUT)
        held_out = tested.held_out()
        record = Recorder(folder, folder.name, cycle.store, held_out=held_out, patience=settings.patience, show=show)
        try:
            fitted = fit(loaded, rows, tested, settings, folder, on_step=record)
        except ConsensusError:
            processes.once(lambda: manifest.stored(cycle.store, folder, manifest.read(folder), "failed"))
            raise
        processes.once(lambda: _finish(cycle, folder, fitted, held_out))
        return Done(folder, manifest.read(folder), before=False)


def _finish(cycle: Cycle, folder: Path, fitted: Fit, held_out: HeldOut) -> None:
    from consensus.summary import gold_sentence
    from training.card import card, portable

    found = manifest.read(folder)
    result: dict[str, Any] = {
        "steps": fitted.steps,
        "stopped_early": fitted.stopped,
        "seconds": round(fitted.seconds, 1),
        "notes": list(fitted.notes),
        "held_out": None
        if fitted.after is None or not len(held_out.prompt)
        else look(fitted.after, held_out).figures(),
    }
    portable(fitted.adapter, cycle.training.model)
    found |= {"state": "ended", "result": result}
    text = card(found, gold_sentence(found["data"]["panel"]["gold"]))
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
    """Write the base model's weights with the adapter's folded in, beside the adapter; the folder."""
    from training.model import load

    target = done.folder / "merged"
    if not (target / "config.json").exists():
        part = done.folder / "merged.part"
        loaded = load(cycle.training.model, adapter=done.adapter)
        loaded.model.merge_and_unload().save_pretrained(part)
        loaded.tokenizer.save_pretrained(part)
        part.rename(target)
    return target
