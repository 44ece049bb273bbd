"""Processor time per judgment of `label` end to end, against raw aiohttp and litellm.acompletion sending the same bodies.

python -m tests.benchmarks.call_cost [IN_FLIGHT ...]      default: 256 1024

Each contender runs in a process of its own against a light server on loopback, in turn, three rounds; imports and opening are
not counted. Ours plans, renders the rubric, sends, reads, prices and stores; the others only send and read. Where CURATOR_PYTHON
names the Python of an environment with bespokelabs-curator, that is measured too.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

CALLS = {"label": 30000, "aiohttp": 30000, "acompletion": 900, "curator": 3000}  # 10,000 pairs, three judges
ROUNDS = 3
LATENCY = 0.1


def cycle_and_pairs(port, in_flight, n):
    from consensus.nouns import Pair
    from tests.consensus.cycles import cycle_of

    judges = [
        {"provider": "openai", "model": f"m{k}", "api_base": f"http://127.0.0.1:{port}/v1"}
        | {"max_parallel": -(-in_flight // 3), "price": {"input": 1, "output": 2}}
        for k in range(3)
    ]
    store = Path(tempfile.mkdtemp()) / "c.duckdb"
    pairs = [Pair(f"p{k}", f"prompt {k} " * 60, f"answer {k} " * 70, f"other {k} " * 70) for k in range(n // 3)]
    return cycle_of(judges, store=store, sampling={"stop": "never"}), pairs


def bodies(port, in_flight, n):
    """What `label` sends, byte for byte."""
    from consensus.rule import label_ballots
    from labeling.panel import Panel
    from labeling.rubric import Rubric

    cycle, pairs = cycle_and_pairs(port, in_flight, n)
    judges = Panel(cycle, Rubric.of(cycle)).priced()

    async def collect():
        panel = Panel(cycle, Rubric.of(cycle))
        async with panel:
            return {name: judge.transport.call for name, judge in panel.judges.items()}

    calls = asyncio.run(collect())
    for pair in pairs:
        for ballot in label_ballots(pair.pair_id, cycle.judge_names, cycle.rule):
            messages = judges[ballot.judge].rubric.messages(pair, ballot, seed=0)
            yield calls[ballot.judge], messages


def run_label(port, in_flight, n):
    from rich.console import Console

    import labeling.providers.wire  # noqa: F401 - imports are not counted
    from consensus.store import Store
    from labeling.cycle_run import run
    from labeling.providers.routes import litellm
    from labeling.rubric import Rubric

    litellm()
    for _ in bodies(port, in_flight, 3):  # opening a panel costs a second, once
        pass
    cycle, pairs = cycle_and_pairs(port, in_flight, n)
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        store.register(cycle, rubric.system)
        store.add_pairs(cycle.name, pairs)
        with measured():
            outcome = asyncio.run(run(store, cycle, rubric, console=Console(file=io.StringIO())))
    assert outcome.votes == n, outcome


async def in_parallel(in_flight, jobs, call):
    jobs = iter(jobs)

    async def worker():
        for job in jobs:
            await call(job)

    await asyncio.gather(*(worker() for _ in range(in_flight)))


def run_aiohttp(port, in_flight, n):
    import aiohttp
    import orjson

    sent = [(c.url, c.headers, orjson.dumps(c.body(m))) for c, m in bodies(port, in_flight, n)]

    async def go():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def call(job):
                url, headers, data = job
                async with session.post(url, data=data, headers=headers) as response:
                    orjson.loads(await response.read())

            await in_parallel(in_flight, sent, call)

    with measured():
        asyncio.run(go())


def run_acompletion(port, in_flight, n):
    from labeling.providers.routes import litellm

    lib = litellm()
    sent = [(c.model, c.parameters, m) for c, m in bodies(port, in_flight, n)]

    async def go():
        async def call(job):
            model, parameters, messages = job
            base = f"http://127.0.0.1:{port}/v1"
            await lib.acompletion(
                model=f"hosted_vllm/{model}", messages=messages, api_base=base, api_key="none", **parameters
            )

        await in_parallel(in_flight, sent, call)

    with measured():
        asyncio.run(go())


@contextmanager
def measured():
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{time.process_time() - cpu} {time.perf_counter() - wall}", flush=True)


def run_curator(port, in_flight, n):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(messages) + "\n" for _, messages in bodies(port, in_flight, n))
        file.flush()
        script = Path(__file__).with_name("curator_calls.py")
        command = [os.environ["CURATOR_PYTHON"], script, f"http://127.0.0.1:{port}/v1", str(in_flight), file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(done.stdout.splitlines()[-1])


def contend(name, port, in_flight):
    command = [sys.executable, "-m", "tests.benchmarks.call_cost", "run", name, str(port), str(in_flight)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu, wall = map(float, done.stdout.split()[-2:])
    return 1000 * cpu / CALLS[name], CALLS[name] / wall


def main(levels):
    server = [sys.executable, "-m", "tests.benchmarks.light_server", "0", str(LATENCY)]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline())
            print(f"{'in flight':>9} {'contender':<12} {'ms CPU/call':>12} {'calls/s':>9} {'times aiohttp':>14}")
            names = [name for name in CALLS if name != "curator" or "CURATOR_PYTHON" in os.environ]
            for in_flight in levels:
                rounds = [{name: contend(name, port, in_flight) for name in names} for _ in range(ROUNDS)]
                for name in names:
                    ratio = median(r[name][0] / r["aiohttp"][0] for r in rounds)
                    ms, rate = (median(r[name][k] for r in rounds) for k in (0, 1))
                    print(f"{in_flight:>9} {name:<12} {ms:>12.3f} {rate:>9.0f} {ratio:>14.2f}")
        finally:
            process.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        name, port, in_flight = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        globals()[f"run_{name}"](port, in_flight, CALLS[name])
    else:
        main([int(level) for level in sys.argv[1:]] or [256, 1024])
