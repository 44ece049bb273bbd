"""What the machine computes fast, and the defaults that follow from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Hardware:
    """Where a model runs, and how.

    Attributes:
        device: torch's.
        bf16: whether computing in bfloat16 is faster than in float32.
        recompute: whether gradient checkpointing is worth its time, which is where memory is the limit.
        read_at_once: tokens of a batch that is only read, as a judge's requests are; measured on a CPU by
            `tests/benchmarks/local_judging.py`: more take longer each, as what is computed leaves the caches.
        why: the reasons, in one sentence.
    """

    device: Any
    bf16: bool
    recompute: bool
    read_at_once: int
    why: str


@cache
def hardware() -> Hardware:
    """What this process runs on: an accelerator where torch finds one, unless the launcher says CPU."""
    import torch

    if torch.cuda.is_available() and os.environ.get("ACCELERATE_USE_CPU", "").lower() not in ("1", "true", "yes"):
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        bf16 = bool(torch.cuda.is_bf16_supported(including_emulation=False))
        return Hardware(
            device, bf16, True, 8192, f"a GPU {'with' if bf16 else 'without'} bfloat16, whose memory is the limit"
        )
    cpu = torch.device("cpu")
    if _amx():
        return Hardware(cpu, True, False, 1024, "a CPU with AMX, which multiplies in bfloat16; memory is not the limit")
    # Measured on two cores with SmolLM2-135M: bfloat16 autocast runs at 0.33 of the speed, checkpointing at 0.58.
    return Hardware(
        cpu, False, False, 1024, "a CPU without AMX, on which bfloat16 and gradient checkpointing slow training down"
    )


def _amx() -> bool:
    file = Path("/proc/cpuinfo")
    return file.is_file() and "amx_bf16" in file.read_text(errors="replace")
