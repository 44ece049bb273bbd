"""TRL's DPOTrainer, where prompts are computed once, references come from a store, and labels have chances."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL would tell its makers about every run

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import Sampler
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from consensus.errors import TrainingFailed
from training.dpo import Step
from training.order import GroupedByLength
from training.prefix import share_prompts
from training.rewards import Rewards, token_counts
from training.tokens import Tokens

if TYPE_CHECKING:
    from training.model import Loaded


class SharedPrefixTrainer(DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on rows that are tokens already, with per-pair chances and, where it is exact, shared prompts."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        args: DPOConfig,
        lora: LoraConfig,
        train_dataset: Dataset,
        eval_dataset: Dataset | None,
        names: Sequence[str],
        share: bool,
    ) -> None:
        self.names = names
        self.looked: list[tuple[list[int], list[float], list[float]]] = []
        super().__init__(
            model=loaded.model,
            args=args,
            data_collator=_Collator(pad_token_id=loaded.tokenizer.pad_token_id),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=loaded.tokenizer,
            peft_config=lora,
        )
        self.remove_callback(PrinterCallback)  # it writes to stdout, where results go
        # The argument of this name would compute references here, under a key that changes with the adapter's seed.
        self.precompute_ref_logps = "ref_chosen_logps" in train_dataset.column_names
        if share:
            share_prompts(self.model.get_base_model())

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _send_telemetry(self) -> None:
        """Nobody is told."""

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The run writes its own; TRL's says "fine-tuned version of None"."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        """Batches of pairs of similar length; the same on every number of processes."""
        rows = train_dataset if train_dataset is not None else self.train_dataset
        whole = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return GroupedByLength(rows["length"], whole, self.args.data_seed)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss, and for pairs that may be mislabelled the linear term of `training.loss`."""
        rows, chances = inputs.pop("row"), inputs.pop("p_chosen", None)
        said: list[Any] = []
        listening = self.accelerator.unwrap_model(model).register_forward_hook(
            lambda _, __, output: said.append(output)
        )
        try:
            whole = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        finally:
            listening.remove()
        value = whole[0] if return_outputs else whole
        chosen, rejected = self._log_ratios(inputs, said)
        if not self.model.training:
            self._look(rows, chosen.detach(), rejected.detach())
            return whole
        if chances is not None:
            value = value + ((1 - chances) * self.beta * (chosen - rejected)).mean()
        if not torch.isfinite(value):
            ids = ", ".join(repr(self.names[row]) for row in rows.tolist())
            raise TrainingFailed(
                f"the loss is {value.item()} at step {self.state.global_step + 1}, on the pairs {ids}; look at these pairs, "
                "or lower 'training.learning_rate'; what was saved before stays in the run's checkpoints"
            )
        return (value, whole[1]) if return_outputs else value

    def _log_ratios(self, inputs: Mapping[str, Any], said: Sequence[Any]) -> tuple[Any, Any]:
        chosen, rejected = said[0].log_probs.sum(1).chunk(2)
        if self.precompute_ref_logps:
            return chosen - inputs["ref_chosen_logps"], rejected - inputs["ref_rejected_logps"]
        first, second = said[1].log_probs.sum(1).chunk(2)
        return chosen - first, rejected - second

    def _look(self, rows: Any, chosen: Any, rejected: Any) -> None:
        found = self.accelerator.gather((rows, self.beta * chosen, self.beta * rejected))
        self.looked.append(tuple(values.tolist() for values in found))

    def held_out(self, pairs: Sequence[Tokens]) -> Rewards:
        """What the last look found, in the rows' order; the look is over then."""
        chosen, rejected = np.full((2, len(pairs)), np.nan)
        for rows, first, second in self.looked:
            chosen[rows], rejected[rows] = first, second
        self.looked.clear()
        return Rewards(chosen, rejected, *token_counts(pairs))


@dataclass
class _Collator(DataCollatorForPreference):  # type: ignore[misc]
    """TRL's batches, with the number of each row and its chance."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(examples)
        batch["row"] = torch.tensor([example["row"] for example in examples])
        if "p_chosen" in examples[0]:
            batch["p_chosen"] = torch.tensor([example["p_chosen"] for example in examples], dtype=torch.float32)
        return batch


@dataclass
class Watch(TrainerCallback):  # type: ignore[misc]
    """Tells the first process's listener of steps and looks; every process stops when it says so."""

    trainer: SharedPrefixTrainer
    on_step: Callable[[Step], bool | None] | None
    pairs: Sequence[Tokens]
    after: Rewards | None = None
    stopped: bool = False
    seconds_of_looks: float = 0.0
    _began: float | None = field(default=None, init=False)

    def on_train_begin(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0 and self.pairs:
            nothing = np.zeros(len(self.pairs))
            self._tell(state, control, {}, Rewards(nothing, nothing, *token_counts(self.pairs)))

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.pairs and state.global_step >= state.max_steps:
            control.should_evaluate = True
        if control.should_evaluate:
            self._began = time.monotonic()

    def on_log(self, _args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        if "loss" in logs:
            self._tell(state, control, logs, None)

    def on_evaluate(self, _args: Any, state: Any, control: Any, metrics: Mapping[str, Any], **_: Any) -> None:
        self.after = self.trainer.held_out(self.pairs)
        if self._began is not None:
            self.seconds_of_looks, self._began = self.seconds_of_looks + time.monotonic() - self._began, None
        self._tell(state, control, state.log_history[-1] if state.log_history else metrics, self.after)

    def _tell(self, state: Any, control: Any, metrics: Mapping[str, Any], found: Rewards | None) -> None:
        enough = [False]
        if self.on_step and state.is_world_process_zero:
            numbers = {key: float(value) for key, value in metrics.items() if isinstance(value, int | float)}
            enough = [bool(self.on_step(Step(state.global_step, state.max_steps, state.epoch or 0.0, numbers, found)))]
        broadcast_object_list(enough)
        if enough[0]:
            self.stopped = control.should_training_stop = control.should_save = True
