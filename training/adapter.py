"""One training from rows to an adapter: settings in TRL's words, references, checkpoints, and what may go wrong."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from peft import LoraConfig
from safetensors import SafetensorError, safe_open
from transformers import TrainerState
from transformers.integrations import get_available_reporting_integrations
from trl import DPOConfig

from consensus.errors import TrainingFailed, UsageError
from training.dpo import Fit, Row, Step
from training.estimate import steps
from training.hardware import Hardware, hardware
from training.likelihood import Kept, log_probs, sharing, why_not_share
from training.loss import Loss, loss
from training.order import visited
from training.rewards import Rewards, precision, token_counts
from training.tokens import Tokens, tokenize
from training.trainer import SharedPrefixTrainer, Watch

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
    _check_lengths(chain(train, held_out), chain(pairs, held), settings.max_length)
    meant, machine, checkpoints = loss(settings, train), hardware(), folder / "checkpoints"
    args = arguments(settings, meant, machine, checkpoints, looks=bool(held))
    if not resume and args.should_save:
        shutil.rmtree(checkpoints, ignore_errors=True)

    with _machine_said(settings, folder), contextlib.ExitStack() as open_while_training:
        sharded = any(os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true" for kind in ("FSDP", "DEEPSPEED"))
        why = "its weights are spread over devices" if sharded else why_not_share(loaded.model, [*pairs, *held])
        if not why:
            open_while_training.enter_context(sharing(loaded.model))
        _check_reporters(settings)
        coming = visited(
            [pair.length for pair in pairs], settings.batch_size, settings.seed, steps(len(pairs), settings)
        )
        needed = [*coming, *range(len(pairs), len(pairs) + len(held))]
        reference = None if sharded else _reference(loaded, [*pairs, *held], needed, args, cache, share=not why)
        try:
            trainer = SharedPrefixTrainer(
                loaded,
                args=args,
                lora=lora(settings),
                train_dataset=dataset(pairs, None if reference is None else reference[: len(pairs)], meant.chances),
                eval_dataset=dataset(held, None if reference is None else reference[len(pairs) :], None)
                if held
                else None,
                names=[row["pair_id"] for row in train],
                share=not why,
            )
        except ValueError as error:  # PEFT finds no layer of these names, or none that can have an adapter
            raise UsageError(f"'training.lora' does not fit the model {loaded.name!r}: {error}") from error
        watch = Watch(trainer, on_step, held)
        trainer.add_callback(watch)
        last = _last_whole(checkpoints) if resume else None
        began = time.monotonic()
        if last is None or not _at_its_end(trainer, last):
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        seconds = time.monotonic() - began - watch.seconds_of_looks
        if held and watch.after is None:  # the checkpoint was behind the last step already
            trainer.evaluate()
        said = watch.after.margins if watch.after else log_probs(trainer.model, pairs[:1], share=not why)
        if not np.isfinite(said).all():  # the last step has no loss after it that would tell
            raise TrainingFailed(
                f"the model's log-probabilities are no finite numbers after step {trainer.state.global_step}; lower "
                "'training.learning_rate' or 'training.weight_decay'"
            )
        _save(trainer, loaded, folder / "adapter")
    before = Rewards(np.zeros(len(held)), np.zeros(len(held)), *token_counts(held)) if held else None
    notes = _notes(settings, machine, why, len(pairs))
    return Fit(folder / "adapter", trainer.state.global_step, seconds, before, watch.after, watch.stopped, notes)


def _check_lengths(rows: Iterable[Row], pairs: Iterable[Tokens], most: int) -> None:
    long = [(row["pair_id"], pair.length) for row, pair in zip(rows, pairs, strict=True) if pair.length > most]
    if long:
        raise UsageError(
            f"{len(long)} pairs are longer than 'training.max_length: {most}' tokens, the first of them {long[0][0]!r} with "
            f"{long[0][1]}; raise it, or leave them out with 'training.too_long: leave_out'"
        )


def _notes(settings: Training, machine: Hardware, why: str | None, pairs: int) -> tuple[str, ...]:
    numbers = "bfloat16" if _bf16(settings, machine) else "float32"
    recompute = "with" if _recompute(settings, machine) else "without"
    chosen = f"computes in {numbers} {recompute} gradient checkpointing: this is {machine.why}"
    notes = [chosen]
    if why is not None:
        notes.append(
            f"each prompt is computed twice, once per completion, as TRL does: sharing it was refused for this model, {why}"
        )
    if pairs < settings.batch_size:
        notes.append(
            f"{pairs} pairs are less than a batch of {settings.batch_size}, so some stood in a step more than once: lower "
            "'training.batch_size'"
        )
    return tuple(notes)


def _bf16(settings: Training, machine: Hardware) -> bool:
    return machine.bf16 if settings.precision == "auto" else settings.precision == "bf16"


def _recompute(settings: Training, machine: Hardware) -> bool:
    return machine.recompute if settings.recompute == "auto" else settings.recompute == "always"


def lora(settings: Training) -> LoraConfig:
    """The adapter in PEFT's words."""
    how = settings.lora
    target = how.target if isinstance(how.target, str) else list(how.target)
    return LoraConfig(
        r=how.r, lora_alpha=how.alpha, lora_dropout=how.dropout, target_modules=target, task_type="CAUSAL_LM"
    )


def arguments(settings: Training, chances: Loss, machine: Hardware, checkpoints: Path, *, looks: bool) -> DPOConfig:
    """The settings in TRL's words, for this process of however many there are.

    Args:
        looks: whether there are held-out rows to look at.
    """
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


def _reference(
    loaded: Loaded, pairs: Sequence[Tokens], needed: Sequence[int], args: DPOConfig, cache: Path, *, share: bool
) -> Any:
    """The base model's log-probabilities, shape [n, 2]; each process computes its share, and all get the whole.

    Those of rows that are not needed are nan, on which a training would stop.
    """
    coming = [pairs[k] for k in needed]
    kept = Kept(cache, f"{loaded.base}-{precision(loaded)}")
    known = set(kept.known)

    def compute(some: Sequence[Tokens]) -> Any:
        with torch.autocast(loaded.model.device.type, torch.bfloat16, enabled=args.bf16):
            return log_probs(loaded.model, some, share=share)

    if args.world_size > 1:
        PartialState().wait_for_everyone()  # all have read the same file before one of them adds to it
        kept.complete(coming, compute, share_of=(args.process_index, args.world_size))
        kept.known |= dict(gather_object([item for item in kept.known.items() if item[0] not in known]))
    kept.complete(coming, compute)
    reference = np.full((len(pairs), 2), np.nan, dtype=np.float32)
    reference[needed] = kept.of(coming)
    return reference


def dataset(pairs: Sequence[Tokens], reference: Any, chances: Sequence[float] | None) -> Dataset:
    """The columns that the trainer reads.

    Args:
        reference: the base model's log-probabilities, shape [n, 2]; None lets the trainer compute them in every step.
    """
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
    """The newest checkpoint that was written to its end, and whose files are as they were written."""
    found = {int(step): one for one in checkpoints.glob("checkpoint-*") if (step := one.name[11:]).isdecimal()}
    for _, folder in sorted(found.items(), reverse=True):
        with contextlib.suppress(OSError, ValueError, SafetensorError, zipfile.BadZipFile):
            json.loads((folder / "trainer_state.json").read_text())  # the last file to be written
            for file in folder.glob("*.safetensors"):
                safe_open(file, framework="np")  # its header says how long it is
            for file in (*folder.glob("*.pt"), *folder.glob("*.pth")):
                with zipfile.ZipFile(file) as parts:
                    if parts.testzip():
                        raise ValueError(file)
            return folder
    return None


def _at_its_end(trainer: SharedPrefixTrainer, checkpoint: Path) -> bool:
    """Whether no step is left after a checkpoint, whose weights are loaded then: transformers would make one step more."""
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < state.max_steps:
        return False
    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = state
    return True


def _check_reporters(settings: Training) -> None:
    there = get_available_reporting_integrations()
    for name in settings.report_to:
        if name not in there:
            raise UsageError(
                f"'training.report_to: {name}' cannot be reported to: install its package, or take it out (it changes nothing "
                f"else of the run); there is {', '.join(sorted(there)) or 'none'}"
            )


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
def _machine_said(settings: Training, folder: Path) -> Iterator[None]:
    """What the machine has too little of, memory or room on its disk, is said, and no bug."""
    try:
        yield
    except (MemoryError, RuntimeError, SafetensorError) as error:
        if (
            isinstance(error, SafetensorError)
            or "PytorchStreamWriter" in str(error)
            or "inline_container" in str(error)
        ):
            raise TrainingFailed(
                f"cannot write into {folder}: {str(error).splitlines()[0]}; with room on the disk the same command goes on from "
                "the last whole checkpoint"
            ) from error
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        half = max(1, (settings.at_once or settings.batch_size) // 2)
        raise TrainingFailed(
            f"memory ran out; the result stays the same with 'training.at_once: {half}' (pairs that are computed at once) or "
            f"'training.recompute: always', and another one comes of a smaller 'max_length' (now {settings.max_length}) or "
            f"'lora.r' (now {settings.lora.r})"
        ) from error
