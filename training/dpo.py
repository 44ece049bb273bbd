"""DPO on preference rows, by TRL: what is trained, and what one run gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from training.model import cache_folder

if TYPE_CHECKING:
    from consensus.sections.training import Training
    from training.model import Loaded
    from training.rewards import Rewards


class Row(TypedDict):
    """One preference: TRL's conversational columns, and what the label says.

    Attributes:
        prompt, chosen, rejected: chat messages.
        tools: a JSON string, or None.
        p_chosen: the chance that the chosen side is the better one, in [0, 1]; read by `loss: soft` only.
        pair_id: names the pair in errors and rewards.
    """

    prompt: list[dict[str, Any]]
    chosen: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    tools: str | None
    p_chosen: float
    pair_id: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is known after an optimizer step.

    Attributes:
        step, steps: this one, from 1 on (0: before the first), and how many there will be.
        epoch: passes over the rows so far.
        metrics: by TRL's names: `loss`, `rewards/margins`, `rewards/accuracies`, `learning_rate`, `grad_norm`, ...;
            after a look at the held-out rows, the same with `eval_` before it.
        held_out: the held-out rows' implicit rewards, where this step ended with a look at them; in the rows' order.
    """

    step: int
    steps: int
    epoch: float
    metrics: Mapping[str, float]
    held_out: Rewards | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """What a finished training gives back; the same on every process.

    Attributes:
        adapter: the folder `adapter/` with the trained weights as safetensors and adapter_config.json.
        steps: optimizer steps in the adapter, those before a resume included.
        seconds: wall time of this call's steps, without loading, reference and looks.
        before, after: implicit rewards of the held-out rows at step 0 (all of them 0) and at the end; None without any.
        stopped: whether `on_step` ended it early.
        notes: what was chosen by the hardware or fell back, and why; sentences for the log.
    """

    adapter: Path
    steps: int
    seconds: float
    before: Rewards | None
    after: Rewards | None
    stopped: bool
    notes: tuple[str, ...]


def fit(
    loaded: Loaded,
    train: Sequence[Row],
    held_out: Sequence[Row],
    settings: Training,
    folder: Path,
    *,
    on_step: Callable[[Step], bool | None] | None = None,
    resume: bool = True,
    cache: Path | None = None,
) -> Fit:
    """Train a LoRA adapter on preference rows.

    Under `accelerate launch` every process calls this with the same arguments; `on_step` is called on the first one only.

    Args:
        loaded: the base model, without an adapter; its weights stay as they are, but the model is wrapped: load it anew
            for anything else.
        train: at least one row; none longer than `settings.max_length` tokens (see `lengths`).
        held_out: rows that are looked at before the first step, at every checkpoint, and at the end; may be empty.
        folder: of this run; `checkpoints/` and `adapter/` are written there.
        on_step: hears every step, and every look at the held-out rows; giving True back ends the training after it.
        resume: go on from the last whole checkpoint in `folder`, to the same result as a run that was not broken off; False
            begins anew.
        cache: where reference log-probabilities are kept, by weights, tokenizer, template and row; by default
            `cache_folder()`.

    Raises:
        UsageError: the settings do not fit the rows or each other (a loss that cannot take per-pair chances), a row is
            longer than `max_length`, or the completion of a row has no tokens.
        TrainingFailed: the loss is not a number (with the pair ids of the batch), or memory ran out (with what to change).
    """
    from training.adapter import train_adapter

    return train_adapter(
        loaded, train, held_out, settings, folder, on_step=on_step, resume=resume, cache=cache or cache_folder()
    )
