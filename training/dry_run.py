"""What a run would be: pairs by policy, steps, about how long. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consensus.cycle import Cycle


def dry_run(cycle: Cycle) -> dict[str, Any]:
    """The figures of a run that is not begun.

    Raises:
        UsageError: there is no store, no such cycle, no such model.
        ConsensusError: nothing is left to train on.
    """
    import tempfile
    from pathlib import Path

    from training.estimate import seconds, steps
    from training.identity import run_name
    from training.model import load
    from training.prepare import Material

    settings, material = cycle.training, Material.of(cycle)
    found, loaded = material.plan, load(settings.model, beside=settings.folder, precision=settings.precision)
    with tempfile.TemporaryDirectory() as folder:
        counts = material.write(cycle, loaded, Path(folder))
    weights, n = int(loaded.model.num_parameters()), steps(counts.train, settings)
    mean = counts.tokens / counts.train
    return {
        "cycle": cycle.name,
        "run": run_name(cycle.name, settings, found.digest),
        "policy": found.policy,
        "because": found.because,
        "policies": {name: {"train": train, "held_out": test} for name, (train, test) in found.sizes.items()},
        "train": counts.train,
        "held_out": counts.held_out,
        "left_out": dict(counts.left_out),
        "prompts": found.prompts,
        "groups": found.groups,
        "largest": found.largest,
        "batch_size": settings.batch_size,
        "steps": n,
        "weights": weights,
        "mean_tokens": mean,
        "longest": counts.longest,
        "seconds": seconds(weights, 2 * mean * n * settings.batch_size),
    }
