"""Time, memory and calls of configs/cycle.yaml at its full size, on simulated models in process.

python -m tests.benchmarks.whole_cycle [CALLS [PROMPTS]]      default: 20000 calls in the traces, 2400 prompts

Each command runs in a process of its own. Simulated models answer at once, so that what is seen is the platform's own work.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from consensus.shipped import shipped
from tests.benchmarks.traces import plain

RUN = """
import resource, sys, time
from consensus.cli import main
began = time.perf_counter()
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)
"""


def command(*words):
    """What a command printed as JSON, its seconds, processor seconds, and peak memory in MB."""
    done = subprocess.run([sys.executable, "-c", RUN, *words, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout), [float(number) for number in done.stderr.split("\n")[-2].split()]


def main(calls, prompts):
    print(f"{'':<10} {'seconds':>8} {'CPU s':>7} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        cycle = Path(folder) / "cycle.yaml"
        cycle.write_text(shipped("cycle.yaml").read_text())
        with (Path(folder) / "traces.jsonl").open("wb") as file:
            for row in plain(random.Random(1), calls):
                file.write(orjson.dumps(row) + b"\n")
        settings = [
            f"input.prompts.size={prompts}",
            "generation={provider: simulated, model: policy, n: 4}",
            *(f"judges.{k}={{provider: simulated, model: sim-{k}}}" for k in range(3)),
        ]
        for verb in ("ingest", "generate", "label", "export"):
            said, (wall, cpu, peak) = command(verb, str(cycle), *settings)
            match verb:
                case "ingest":
                    note = f"{said['prompts']:,} prompts of {calls:,} calls"
                case "generate":
                    note = f"{said['completions']:,} calls; {said['pairs']:,} pairs"
                case "label":
                    note = f"{said['votes']:,} calls; {said['kept']:,} pairs kept"
                case _:
                    note = f"{said['rows']:,} rows"
            print(f"{verb:<10} {wall:>8.1f} {cpu:>7.1f} {peak:>8.0f}  {note}", flush=True)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [20_000, 2400][len(given) :]))
