"""How many steps a run has, and about how long they take, before it is begun."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consensus.sections.training import Training

PASSES = 6
"""Floating point operations per weight and token: two forward, two for the gradient of what comes in, and about as much again for
recomputation, the adapter and what is no matrix product. Weights that stay as they are need no gradient of their own."""


def steps(pairs: int, settings: Training) -> int:
    """Optimizer steps of a run, an epoch's last batch included."""
    planned = math.ceil(math.ceil(pairs / settings.batch_size) * settings.epochs)
    return min(planned, settings.max_steps or planned)


def seconds(weights: int, tokens: float) -> float:
    """About how long a pass over so many tokens takes, forward and backward, on this machine; within a factor of two or three.

    Args:
        weights: of the model, embeddings included.
        tokens: of all pairs and epochs, both completions counted.
    """
    return PASSES * weights * tokens / speed()


def speed() -> float:
    """Floating point operations a second that this machine does in a matrix product of a small model's size, measured now."""
    import torch

    from training.hardware import hardware

    machine = hardware()
    kind = torch.bfloat16 if machine.bf16 else torch.float32
    left, right = (torch.ones(size, dtype=kind, device=machine.device) for size in ((512, 1024), (1024, 1024)))
    best = math.inf
    for _ in range(5):
        begun = time.perf_counter()
        _done(left @ right)
        best = min(best, time.perf_counter() - begun)
    return 2 * 512 * 1024 * 1024 / best


def _done(value: Any) -> None:
    """Wait for a result; an accelerator gives a promise."""
    value.sum().item()
