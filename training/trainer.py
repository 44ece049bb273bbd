"""TRL's DPOTrainer, where prompts are computed once, references come from a store, and labels have chances."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # TRL would tell its makers about every run

import numpy as np
import torch
from accelerate.utils import broadcast_object_list, gather_object
from datasets import Dataset
from peft import LoraConfig
from torch.utils.data import Sampler
from transformers import PrinterCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from consensus.errors import TrainingFailed, UsageError
from training.dpo import Fit, Row, Step
from training.hardware import Hardware, hardware
from training.likelihood import Kept, log_probs, sharing, why_not_share
from training.loss import Loss, loss
from training.prefix import share_prompts
from training.rewards import Rewards, precision, token_counts
from training.tokens import Tokens, tokenize

if TYPE_CHECKING:
    from consensus.sections.training import Training
    from training.model import Loaded

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def train_adapter(
    loaded: Loaded,
    train: Sequence[Row],
    held_out: Sequence[Row],
    settings: Training,
    folder: Path,
    *,
    on_step: Callable[[Step], bool | None] | None,
    resume: bool,
    cache: Path,
) -> Fit:
    """See `training.dpo.fit`."""
    if not train:
        raise UsageError("there is no pair to train on")
    if loaded.adapter is not None:
        raise UsageError(f"{loaded.name!r} was loaded with an adapter; a training begins at the base model")
    pairs, held = tokenize(train, loaded.tokenizer), tokenize(held_out, loaded.tokenizer)
    _check_lengths([*train, *held_out], [*pairs, *held], settings.max_length)
    chances = loss(settings, train)
    machine = hardware()
    notes = [_note(settings, machine)]
    checkpoints = folder / "checkpoints"
    args = _arguments(settings, chances, machine, checkpoints, looks=bool(held))
    if not resume and args.should_save:
        shutil.rmtree(checkpoints, ignore_errors=True)

    sharded = any(os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true" for kind in ("FSDP", "DEEPSPEED"))
    why = "its weights are spread over devices" if sharded else why_not_share(loaded.model, [*pairs, *held])
    if why:
        notes.append(
            f"each prompt is computed twice, once per completion, as TRL does: for this model sharing it was refused, {why}"
        )
    with contextlib.nullcontext() if why else sharing(loaded.model):
        reference = None if sharded else _reference(loaded, [*pairs, *held], args, cache, share=not why)
        trainer = SharedPrefixTrainer(
            loaded,
            args=args,
            lora=_lora(settings),
            train_dataset=_dataset(pairs, None if reference is None else reference[: len(pairs)], chances.chances),
            eval_dataset=_dataset(held, None if reference is None else reference[len(pairs) :], None) if held else None,
            names=[row["pair_id"] for row in train],
            share=not why,
        )
        watch = _Watch(trainer, on_step, held)
        trainer.add_callback(watch)
        last = _last_whole(checkpoints) if resume else None
        began = time.monotonic()
        with _memory_said(settings):
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        seconds = time.monotonic() - began - watch.seconds_of_looks
        if trainer.state.global_step and held and watch.after is None:  # resumed behind its last step
            with _memory_said(settings):
                trainer.evaluate()
    adapter = folder / "adapter"
    _save(trainer, loaded, adapter)
    before = Rewards(np.zeros(len(held)), np.zeros(len(held)), *token_counts(held)) if held else None
    return Fit(adapter, trainer.state.global_step, seconds, before, watch.after, watch.stopped, tuple(notes))


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


class GroupedByLength(Sampler[int]):  # type: ignore[misc]
    """A random order in which the rows of a batch have similar lengths, by seed and epoch alone.

    The last batch is filled up from the front, so that every step has the same weight on any number of processes.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, window: int = 50) -> None:
        self.lengths = np.asarray(lengths)
        self.batch, self.seed, self.window, self.epoch = batch, seed, window, 0

    def set_epoch(self, epoch: int) -> None:
        """Another order for each epoch; the trainer calls this, after a resume as well."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch) * self.batch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = np.resize(rng.permutation(len(self.lengths)), len(self))
        size = self.batch * self.window
        near = [
            part[np.argsort(-self.lengths[part], kind="stable")]
            for part in np.split(order, range(size, len(order), size))
        ]
        batches = np.concatenate(near).reshape(-1, self.batch)
        yield from batches[rng.permutation(len(batches))].ravel().tolist()


@dataclass
class _Watch(TrainerCallback):  # type: ignore[misc]
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


def _check_lengths(rows: Sequence[Row], pairs: Sequence[Tokens], most: int) -> None:
    long = [(row["pair_id"], pair.length) for row, pair in zip(rows, pairs, strict=True) if pair.length > most]
    if long:
        raise UsageError(
            f"{len(long)} pairs are longer than 'training.max_length: {most}' tokens, the first of them {long[0][0]!r} with "
            f"{long[0][1]}; raise it, or leave them out with 'training.too_long: leave_out'"
        )


def _note(settings: Training, machine: Hardware) -> str:
    numbers = "bfloat16" if _bf16(settings, machine) else "float32"
    recompute = "with" if _recompute(settings, machine) else "without"
    return f"computes in {numbers} {recompute} gradient checkpointing: this is {machine.why}"


def _bf16(settings: Training, machine: Hardware) -> bool:
    return machine.bf16 if settings.precision == "auto" else settings.precision == "bf16"


def _recompute(settings: Training, machine: Hardware) -> bool:
    return machine.recompute if settings.recompute == "auto" else settings.recompute == "always"


def _lora(settings: Training) -> LoraConfig:
    lora = settings.lora
    target = lora.target if isinstance(lora.target, str) else list(lora.target)
    return LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=target, task_type="CAUSAL_LM"
    )


def _arguments(settings: Training, chances: Loss, machine: Hardware, checkpoints: Path, *, looks: bool) -> DPOConfig:
    world = int(os.environ.get("WORLD_SIZE", "1"))
    share, rest = divmod(settings.batch_size, world)
    at_once = min(settings.at_once or share, share)
    if rest or not share or share % at_once:
        raise UsageError(
            f"'training.batch_size: {settings.batch_size}' cannot be divided into {world} processes"
            + (f" of {settings.at_once} pairs at once" if settings.at_once else "")
        )
    every: dict[str, Any] = {"save_steps": settings.look_every or 0.1}
    if looks:
        every |= {
            "eval_strategy": "steps",
            "eval_steps": settings.look_every or 0.1,
            "per_device_eval_batch_size": at_once,
        }
    return DPOConfig(
        output_dir=str(checkpoints),
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=share // at_once,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.clip,
        beta=settings.beta,
        loss_type=[chances.name],
        label_smoothing=chances.smoothing,
        max_length=None,  # nothing is cut: longer pairs were refused
        disable_dropout=settings.lora.dropout == 0,
        bf16=_bf16(settings, machine),
        activation_checkpointing=_recompute(settings, machine),
        use_cpu=machine.device.type == "cpu",
        seed=settings.seed,
        data_seed=settings.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_total_limit=2,
        report_to=list(settings.report_to) or "none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=machine.device.type == "cuda",
        ddp_find_unused_parameters=False,
        **every,
    )


def _reference(loaded: Loaded, pairs: Sequence[Tokens], args: DPOConfig, cache: Path, *, share: bool) -> Any:
    """The base model's log-probabilities, shape [n, 2]; each process computes its share, and all get the whole."""
    kept = Kept(cache, f"{loaded.base}-{precision(loaded)}")
    known = dict(kept.known)
    with torch.autocast(loaded.model.device.type, torch.bfloat16, enabled=args.bf16):
        kept.complete(
            pairs,
            lambda some: log_probs(loaded.model, some, share=share),
            share_of=(args.process_index, args.world_size),
        )
    if args.world_size > 1:
        for key, value in gather_object([item for item in kept.known.items() if item[0] not in known]):
            kept.known[key] = value
    return kept.of(pairs)


def _dataset(pairs: Sequence[Tokens], reference: Any, chances: Sequence[float] | None) -> Dataset:
    columns: dict[str, Any] = {
        "prompt_ids": [pair.prompt for pair in pairs],
        "chosen_ids": [pair.chosen for pair in pairs],
        "rejected_ids": [pair.rejected for pair in pairs],
        "length": [pair.length for pair in pairs],
        "row": list(range(len(pairs))),
    }
    if reference is not None:
        columns |= {"ref_chosen_logps": reference[:, 0], "ref_rejected_logps": reference[:, 1]}
    if chances is not None:
        columns["p_chosen"] = list(chances)
    return Dataset.from_dict(columns)


def _last_whole(checkpoints: Path) -> Path | None:
    """The newest checkpoint that was written to its end: the trainer's state is the last of its files."""
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda folder: -int(folder.name.rpartition("-")[2]))
    for folder in found:
        with contextlib.suppress(OSError, ValueError):
            json.loads((folder / "trainer_state.json").read_text())
            return folder
    return None


def _save(trainer: SharedPrefixTrainer, loaded: Loaded, adapter: Path) -> None:
    """The adapter alone, with the base model's name as it was asked for instead of a path of this machine."""
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.is_fsdp_enabled else None
    if trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(adapter, state_dict=state)
        file = adapter / "adapter_config.json"
        config = json.loads(file.read_text()) | {"base_model_name_or_path": loaded.name}
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (adapter / "README.md").unlink(missing_ok=True)
    trainer.accelerator.wait_for_everyone()


@contextlib.contextmanager
def _memory_said(settings: Training) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        half = max(1, (settings.at_once or settings.batch_size) // 2)
        raise TrainingFailed(
            f"memory ran out; the result stays the same with 'training.at_once: {half}' (pairs that are computed at once) or "
            f"'training.recompute: always', and another one comes of a smaller 'max_length' (now {settings.max_length}) or "
            f"'lora.r' (now {settings.lora.r})"
        ) from error
