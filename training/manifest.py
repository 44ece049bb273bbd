"""What a run's folder says of it: everything that decided it, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consensus.runs import Run, Step

FILE = "manifest.json"


def read(folder: Path) -> dict[str, Any]:
    """The manifest of the run in the folder; empty where there is none."""
    file = folder / FILE
    return dict(json.loads(file.read_text("utf-8"))) if file.exists() else {}


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
