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

    from consensus.errors import ConsensusError
    from training.estimate import seconds, steps
    from training.identity import run_name
    from training.lengths import counter
    from training.model import load
    from training.preferences import plan
    from training.prepare import nothing_left, opened
    from training.rows import write

    settings = cycle.training
    with opened(cycle) as store, tempfile.TemporaryDirectory() as folder:
        found = plan(store, cycle)
        if not found.train:
            raise ConsensusError(nothing_left(cycle, found))
        loaded = load(settings.model, precision=settings.precision)
        counts = write(
            store,
            found,
            Path(folder),
            tokens=counter(loaded.tokenizer),
            max_length=settings.max_length,
            stop=settings.too_long == "stop",
        )
    if not counts.train:
        raise ConsensusError(nothing_left(cycle, found))
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
