"""The figures of a running command, left beside the store once a second for `status` to read."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Live:
    """A small JSON file next to the store, replaced as a whole so that a reader never sees half of it."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(f"{store.name}.live.json")

    def write(self, figures: dict[str, Any]) -> None:
        """Replace the figures."""
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        part.write_text(json.dumps({**figures, "pid": os.getpid(), "at": time.time()}), "utf-8")
        part.replace(self.path)

    def read(self) -> dict[str, Any] | None:
        """The figures and their age in seconds (`age_s`); None if nobody left any."""
        try:
            found: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
            return {**found, "age_s": time.time() - found["at"]}
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def remove(self) -> None:
        """The command is over."""
        self.path.unlink(missing_ok=True)
