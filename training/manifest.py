"""What a run's folder says of it: everything that decided it, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consensus.errors import UsageError
from consensus.runs import Run, Step

if TYPE_CHECKING:
    from training.model import Loaded

FILE = "manifest.json"
_NEEDED = {*Run.__dataclass_fields__, "base", "state", "stored", "data"}


def read(folder: Path) -> dict[str, Any]:
    """The manifest of the run in the folder; empty where there is none.

    Raises:
        UsageError: it is broken.
    """
    file = folder / FILE
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text("utf-8"))
        if not isinstance(found, dict) or not found.keys() >= _NEEDED:
            raise ValueError("what a run says of itself is not in it")
    except ValueError as error:
        raise UsageError(
            f"the manifest {file} is broken: {error}; delete the folder {folder} to train the run anew, or give another --name"
        ) from None
    return found


def same_base(manifest: Mapping[str, Any], loaded: Loaded) -> None:
    """An adapter means something on its own base alone.

    Raises:
        UsageError: the model has other weights than the run was trained on. In other numbers (a GPU's bfloat16) the weights are
            others anyway, and nothing can be said.
    """
    if manifest.get("numbers") == loaded.numbers and manifest["base"] != loaded.base:
        raise UsageError(
            f"the model {loaded.name!r} has other weights than those that the run {manifest['run']!r} was trained on; bring them "
            "back, or train again under another --name"
        )


def write(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Put a manifest in the place of the last one."""
    part = folder / f"{FILE}.part"
    part.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
    part.replace(folder / FILE)


def run_of(manifest: Mapping[str, Any]) -> Run:
    """The run as the store has it."""
    return Run(**{name: manifest[name] for name in Run.__dataclass_fields__})


def stored(store: Path, folder: Path, manifest: Mapping[str, Any], step: Step) -> bool:
    """Write down in the store how the run stands, with what was measured; False if another process has the store open."""
    from consensus.errors import StoreBusy
    from consensus.runs import add_metrics, note
    from consensus.store import Store
    from training.record import METRICS, measured

    try:
        with Store(store) as opened:
            add_metrics(opened, manifest["run"], measured(folder / METRICS))
            note(opened, run_of(manifest), step)
    except StoreBusy:
        return False
    return True
