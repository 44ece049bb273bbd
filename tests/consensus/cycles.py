"""Cycles made in a line, for tests."""

from __future__ import annotations

from typing import Any

from consensus.cycle import Cycle


def cycle_of(judges: list[Any], **sections: Any) -> Cycle:
    """A cycle of judges: names of recorded ones, or their settings."""
    made = [{"provider": "recorded", "model": judge} if isinstance(judge, str) else judge for judge in judges]
    return Cycle.model_validate({"judges": made, **sections})
