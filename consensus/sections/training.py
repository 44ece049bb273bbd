"""What is trained on the labels, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from consensus.sections.base import Misfit, Name, OfModel, Section

MODEL = "smollm2-135m-instruct"
"""SmolLM2-135M-Instruct (Apache-2.0), whose weights a Python package brings: it needs no model hub, and trains on a CPU."""

Loss = Literal[
    "soft", "dpo", "cdpo", "rdpo", "ipo", "hinge", "exo_pair", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
    "apo_zero", "apo_down", "discopop", "sft",
]  # fmt: skip


class Lora(Section):
    """The low-rank adapter that is trained; the base model's own weights stay as they are."""

    r: int = Field(default=16, ge=1, le=1024, description="rank")
    alpha: float = Field(default=32.0, gt=0, description="the adapter's output is scaled by alpha / r")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="on the adapter's input; above 0 no two passes are the same"
    )
    target: str | tuple[Name, ...] = Field(
        default="all-linear", description="names of the layers that get one; all-linear takes every one but the head"
    )


class Training(OfModel):
    """How the cycle's labels become an adapter."""

    model: Name = Field(default=MODEL, description="the base model: a hub's name, a folder, a .gguf file")
    task: Literal["policy", "judge"] = Field(
        default="policy",
        description="policy: prefer the chosen completion; judge: the right judgment, whose `rows` `evaluate benchmark` writes",
    )
    rows: Path | None = Field(
        default=None, description="preference rows (JSONL, Parquet) to train on in place of the cycle's labels"
    )
    policy: Literal["soft", "hard"] = Field(
        default="soft",
        description="soft: every pair with the chance of its better side, where gold calibrates it and the loss reads it; hard: "
        "kept pairs only",
    )
    gold: bool = Field(
        default=True,
        description="a person's verdict stands above the panel's; false trains on the panel's labels alone",
    )
    loss: Loss = Field(
        default="soft", description="soft: each pair by its own p_chosen; dpo and TRL's others take labels for true"
    )
    noise: float | None = Field(
        default=None, ge=0, lt=0.5, description="the share of labels that are wrong, for cdpo, rdpo and exo_pair"
    )
    beta: float = Field(
        default=0.1, gt=0, description="how dear it is to leave the base model: the KL penalty's weight"
    )
    epochs: float = Field(default=3.0, gt=0, description="passes over the training pairs")
    max_steps: int | None = Field(default=None, ge=1, description="stop there, whatever the epochs")
    learning_rate: float = Field(default=5e-6, gt=0, description="at its peak; full-weight DPO recipes use a tenth")
    schedule: Literal["linear", "cosine", "constant"] = Field(default="linear", description="of the learning rate")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps in which the rate rises from 0")
    weight_decay: float = Field(default=0.0, ge=0, description="of AdamW")
    clip: float = Field(default=1.0, gt=0, description="longest norm of the gradient")
    batch_size: int = Field(default=8, ge=1, description="pairs of one step, over all devices together")
    at_once: int | None = Field(
        default=None,
        ge=1,
        description="pairs that a device computes at once; fewer take less memory; by default its share",
    )
    max_length: int = Field(default=2048, ge=8, description="tokens of the prompt with one completion")
    too_long: Literal["leave_out", "stop"] = Field(
        default="leave_out", description="a pair beyond max_length; it is never cut"
    )
    lora: Lora = Lora()
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: what is fastest on the hardware"
    )
    recompute: Literal["auto", "always", "never"] = Field(
        default="auto", description="gradient checkpointing: less memory, slower; auto: where the hardware gains by it"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**32, description="of the adapter's first weights and the order of the pairs"
    )
    validation: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of the prompts that is held out, by a hash of the prompt; 0 holds out none",
    )
    near: float | None = Field(
        default=0.9, gt=0, lt=1, description="prompts that are so similar stay on one side; null: only the same ones"
    )
    look_every: int | None = Field(
        default=None,
        ge=1,
        description="steps between looks at the held-out pairs, each with a checkpoint; by default ten looks",
    )
    patience: int | None = Field(
        default=3,
        ge=1,
        description="looks in a row at which held-out accuracy is worse than its best or than a half, then it stops; null: never",
    )
    report_to: tuple[Name, ...] = Field(
        default=(), description="where TRL reports to beside the store: tensorboard, wandb, trackio"
    )

    @model_validator(mode="after")
    def _sound(self) -> Training:
        if self.task == "judge" and self.rows is None:
            raise Misfit(
                "'task: judge' needs 'rows': the judgments that 'consensus evaluate benchmark' writes",
                "training",
                "task",
            )
        if self.loss in ("cdpo", "rdpo") and self.noise is None:
            raise Misfit(f"'loss: {self.loss}' needs 'noise', the share of labels that are wrong", "training", "loss")
        if self.noise is not None and self.loss not in ("cdpo", "rdpo", "exo_pair"):
            raise Misfit(f"'loss: {self.loss}' reads no 'noise'; cdpo, rdpo and exo_pair do", "training", "noise")
        if self.loss.startswith("aot") and self.policy == "soft":
            raise Misfit(
                f"'loss: {self.loss}' compares sorted batches, so no pair can have a chance of its own; use 'policy: hard'",
                "training",
                "loss",
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _no_padding_free(cls, given: Any) -> Any:
        if isinstance(given, dict) and "padding_free" in given:
            raise Misfit(
                "there is no 'padding_free': TRL 1.16 turns it off in DPO without a word, and a prompt that is computed once for "
                "both completions leaves little to pad; take it out",
                "training",
                "padding_free",
            )
        return given

    @property
    def reads_chances(self) -> bool:
        """Whether the loss reads each pair's own chance; others take every label for true, or all for wrong as often."""
        return self.loss == "soft"

    def identity(self) -> dict[str, Any]:
        """What decides the adapter; where metrics go, how much is computed at once and where rows stand do not."""
        return self.model_dump(mode="json", exclude={"report_to", "at_once", "rows"})
