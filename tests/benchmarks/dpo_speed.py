"""Our trainer against TRL's own on SmolLM2-135M, in time, memory and loss: `python -m tests.benchmarks.dpo_speed`.

Both arms are whole `train()` runs of trainers with the same data, batch order, seed and first adapter weights, in one process,
and take turns step by step: what else the machine does hits both. TRL's has the settings that suit a CPU (no bfloat16, no
gradient checkpointing), which its defaults do not. Peak memory is of processes of their own. What is counted is the processor
time of steps; the reference log-probabilities of ours are computed before and counted apart ("cold" adds them over one epoch).

"pair" counts the tokens of both sequences of a pair, the prompt twice: 300 is a prompt of 65 and completions of 85, and 1,700 a
prompt of 756 and completions of 94. The third case is a harder one: completions as long as the prompt.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

OPEN = contextlib.ExitStack()  # the attention of our arm stays exchanged to the end
ROOT = Path(__file__).resolve().parents[2]
CASES = {"300": (65, 85, 1, 2.0), "1700": (756, 94, 1, 4.0), "1700, half of it completions": (567, 283, 1, None)}
"""By name: tokens of prompt and completion, pairs of a step, required ratio."""


def text_rows(tokenizer, prompt, completion, n):
    """Rows out of this repository's own words, whose lengths are a few per cent around the ones asked for."""
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    words = tokenizer("\n".join(file.read_text(encoding="utf-8") for file in files)).input_ids
    overhead, at, rows = 30, 0, []  # tokens of the template's system prompt and turns

    def take(size):
        nonlocal at
        at = (at + size) % (len(words) - 2000)
        return tokenizer.decode(words[at : at + size])

    for k in range(n):
        more = 1 + (k % 5 - 2) / 50
        rows.append(
            {
                "prompt": [{"role": "user", "content": take(max(1, int((prompt - overhead) * more)))}],
                "chosen": [{"role": "assistant", "content": take(int(completion * more))}],
                "rejected": [{"role": "assistant", "content": take(int(completion / more))}],
                "tools": None,
                "p_chosen": 1.0,
                "pair_id": str(k),
            }
        )
    return rows


def settings(case, steps):
    from consensus.sections.training import Training

    batch = CASES[case][2]
    return Training(loss="dpo", batch_size=batch, max_steps=steps, learning_rate=1e-4, warmup=0.0, max_length=8192)


def arms(case, steps, folder, which):
    """The trainers by name, each with a model of its own, and the seconds that the references took."""
    from trl import DPOTrainer

    from training import adapter
    from training.hardware import hardware
    from training.likelihood import log_probs, sharing, why_not_share
    from training.loss import loss
    from training.model import SMALL, load
    from training.tokens import tokenize
    from training.trainer import SharedPrefixTrainer

    class Stock(DPOTrainer):
        """TRL's, in the same order."""

        def _get_train_sampler(self, train_dataset=None):
            return SharedPrefixTrainer._get_train_sampler(self, self.train_dataset)

        _send_telemetry = SharedPrefixTrainer._send_telemetry

    made, config, seconds = {}, settings(case, steps), 0.0
    for name in which:
        loaded = load(SMALL)
        prompt, completion, batch, _ = CASES[case]
        rows = text_rows(loaded.tokenizer, prompt, completion, batch * min(steps, 20))
        pairs = tokenize(rows, loaded.tokenizer)
        args = adapter.arguments(config, loss(config, rows), hardware(), folder / name, looks=False)
        args.save_strategy = "no"
        if name == "stock":
            from datasets import Dataset

            data = Dataset.from_list([{side: row[side] for side in ("prompt", "chosen", "rejected")} for row in rows])
            data = data.add_column("length", [pair.length for pair in pairs])
            args.remove_unused_columns = True
            made[name] = Stock(
                model=loaded.model,
                args=args,
                train_dataset=data,
                processing_class=loaded.tokenizer,
                peft_config=adapter.lora(config),
            )
            continue
        if why := why_not_share(loaded.model, pairs):
            raise SystemExit(why)
        OPEN.enter_context(sharing(loaded.model))
        began = time.process_time()
        reference = log_probs(loaded.model, pairs, share=True)
        seconds = time.process_time() - began
        made[name] = SharedPrefixTrainer(
            loaded,
            args=args,
            lora=adapter.lora(config),
            train_dataset=adapter.dataset(pairs, reference, None),
            eval_dataset=None,
            names=[row["pair_id"] for row in rows],
            share=True,
        )
    return made, seconds / len(rows) * batch


def by_turns(trainers, *, say):
    """Run the trainers together, one step of one at a time; for each, processor seconds and losses of its steps."""
    from transformers import PrinterCallback, TrainerCallback

    names, turn, condition, failed = list(trainers), [0], threading.Condition(), []
    spent, losses = ({name: [] for name in names} for _ in range(2))

    class Turn(TrainerCallback):
        def __init__(self, me):
            self.me = me

        def on_step_begin(self, args, state, control, **kwargs):
            with condition:
                condition.wait_for(lambda: names[turn[0] % len(names)] == self.me or failed)
            self.began = time.process_time()

        def on_step_end(self, args, state, control, **kwargs):
            spent[self.me].append(time.process_time() - self.began)
            if say:
                print(f"  {self.me} step {state.global_step}: {spent[self.me][-1]:.2f} s", file=sys.stderr, flush=True)
            with condition:
                turn[0] += 1
                condition.notify_all()

        def on_log(self, args, state, control, logs, **kwargs):
            if "loss" in logs:
                losses[self.me].append(float(logs["loss"]))

    def run(name):
        try:
            trainers[name].train()
        except BaseException as error:
            failed.append(error)
            with condition:
                condition.notify_all()
            raise

    for name, trainer in trainers.items():
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Turn(name))
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ({}, {}) if failed else (spent, losses)


def highest():
    """Peak memory of this process in GiB; what `getrusage` says is never less than the parent's, which a process begins as."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**20


def peak(case, arm):
    """Peak memory of a process that does two steps of one arm, in GiB."""
    code = [sys.executable, "-m", "tests.benchmarks.dpo_speed", "--peak-of", arm, "--case", case]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is steady on a shared machine")
    parser.add_argument("--peak-of", choices=("stock", "ours"))
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()

    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.peak_of:
            trainers, _ = arms(options.case[0], 2, Path(folder), [options.peak_of])
            by_turns(trainers, say=False)
            print(json.dumps(highest()))
            return
        print("| pair | steps | TRL s/step | ours s/step | ratio | cold | needed | loss differs | TRL GiB | ours GiB |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for case in options.case or CASES:
            trainers, reference = arms(case, options.steps, Path(folder), ["stock", "ours"])
            spent, losses = by_turns(trainers, say=True)
            stock, ours = (statistics.median(spent[name][1:]) for name in ("stock", "ours"))
            ratio = statistics.median(one / two for one, two in zip(spent["stock"][1:], spent["ours"][1:], strict=True))
            apart = max(abs(one - two) / one for one, two in zip(losses["stock"], losses["ours"], strict=True))
            del trainers
            memory = ["", ""] if options.no_memory else [f"{peak(case, arm):.1f}" for arm in ("stock", "ours")]
            needed = CASES[case][3]
            print(
                f"| {case} | {len(losses['ours'])} | {stock:.2f} | {ours:.2f} | {ratio:.2f} | {stock / (ours + reference):.2f} "
                f"| {needed or ''} | {apart:.1e} | {memory[0]} | {memory[1]} |",
                flush=True,
            )


if __name__ == "__main__":
    with OPEN:
        main()
