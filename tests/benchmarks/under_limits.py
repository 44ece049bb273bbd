"""How well a limit is used, how long a tail costs, how soon a large plan starts. Each run bounds itself.

python -m tests.benchmarks.under_limits [limit] [tail] [plan]      default: all three

limit   one judge at 500 requests a second, 200 ms latency: share of the limit used from second 3 on, and the most calls that
        arrived within any one second
tail    2 % of calls take SLOW seconds and 5 % fail once: total time against the ideal (exactly these answers, spread evenly over
        the places, none waiting for another)
plan    a million planned ballots: seconds from the imports to the first call, and peak memory
"""

from __future__ import annotations

import asyncio
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left
from contextlib import contextmanager
from pathlib import Path

SLOW = 30.0


@contextmanager
def server(*settings):
    command = [sys.executable, "-m", "tests.benchmarks.light_server", "0", *map(str, settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def told(port, what):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}") as reply:
        return sorted(json.load(reply))


def label(port, n, **judge):
    """Label n pairs with one judge; seconds it took, after the imports."""
    from rich.console import Console

    from consensus.nouns import Pair
    from consensus.store import Store
    from labeling.cycle_run import run
    from labeling.providers.routes import litellm
    from labeling.rubric import Rubric
    from tests.consensus.cycles import cycle_of

    litellm()
    store_file = Path(tempfile.mkdtemp()) / "c.duckdb"
    cycle = cycle_of(
        [{"provider": "openai", "model": "m", "api_base": f"http://127.0.0.1:{port}/v1", **judge}], store=store_file
    )
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        store.register(cycle, rubric.system)
        store.add_pairs(cycle.name, (Pair(f"p{k}", f"prompt {k}", f"answer {k}", f"other {k}") for k in range(n)))
        started = time.perf_counter()
        outcome = asyncio.run(run(store, cycle, rubric, console=Console(file=io.StringIO())))
        took = time.perf_counter() - started
    assert outcome.votes == n, outcome
    return took


def limit(rate=500, seconds=12):
    with server(0.2) as port:
        label(port, rate * seconds, rpm=rate * 60, max_parallel=400)
        times = told(port, "seen")
    begin, end = times[0] + 3, times[-1] - 0.5  # at the end nothing is left to send
    used = sum(begin <= t <= end for t in times) / (end - begin) / rate
    most, at = max((bisect_left(times, t + 1) - k, t - times[0]) for k, t in enumerate(times))
    print(
        f"limit: {used:.1%} of {rate}/s used from second 3 on; at most {most} calls in any one second (from {at:.2f} s on)"
    )


def tail(n=10_000, places=40, latency=0.5):
    with server(latency, 0.02, SLOW, 0.05) as port:
        took = label(port, n, max_parallel=places)
        ideal = max(sum(told(port, "waits")) / places, SLOW)
    print(f"tail: {took:.1f} s, ideal {ideal:.1f} s, ratio {took / ideal:.2f}")


def plan():
    with server(0.05) as port:
        plan_on(port)


def plan_on(port, ballots=1_000_000):
    from consensus.store import Store
    from tests.consensus.cycles import cycle_of

    folder = Path(tempfile.mkdtemp())
    judges = [{"provider": "openai", "model": f"m{k}", "api_base": f"http://127.0.0.1:{port}/v1"} for k in range(3)]
    cycle = cycle_of(judges, store=folder / "c.duckdb")
    with Store(cycle.store) as store:
        from labeling.rubric import Rubric

        store.register(cycle, Rubric.of(cycle).system)
        store.db.execute(
            "INSERT INTO pairs SELECT 'p' || i, 'q' || i, '\"prompt ' || i || '\"', '\"one ' || i || '\"', '\"two ' || i || '\"', "
            f"NULL, NULL, '{{}}', 'h', now()::TIMESTAMP FROM range({ballots // 3}) t(i)"
        )
        store.db.execute(
            "INSERT INTO cycle_pairs SELECT ?, pair_id, ('0x' || sha256(pair_id)[1:2])::SMALLINT, "
            "('0x' || sha256(pair_id)[3:4])::SMALLINT FROM pairs",
            [cycle.name],
        )
    (folder / "cycle.json").write_text(cycle.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.under_limits", "begin", str(folder / "cycle.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    print(done.stdout.strip())


def begin(file):
    """In a process of its own: time to the first call, then a few seconds of work, then the peak."""
    from rich.console import Console

    from consensus.cycle import Cycle
    from consensus.store import Store
    from labeling import cycle_run, labeler
    from labeling.providers import wire  # noqa: F401 - imports are not counted
    from labeling.providers.routes import litellm
    from labeling.rubric import Rubric

    litellm()

    cycle = Cycle.model_validate_json(Path(file).read_text())
    rubric, first = Rubric.of(cycle), []
    original = labeler.Labeler._ask

    async def noted(self, *arguments):
        first.append(time.perf_counter())
        asyncio.get_running_loop().call_later(4, self.interrupt) if len(first) == 1 else None
        await original(self, *arguments)

    labeler.Labeler._ask = noted
    started = time.perf_counter()
    with Store(cycle.store) as store:
        store.register(cycle, rubric.system)
        outcome = asyncio.run(cycle_run.run(store, cycle, rubric, console=Console(file=io.StringIO())))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"plan: first of a million ballots after {first[0] - started:.2f} s, {peak:.0f} MB, {outcome.votes} votes in 4 s"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["begin"]:
        begin(sys.argv[2])
    else:
        for name in sys.argv[1:] or ["limit", "tail", "plan"]:
            {"limit": limit, "tail": tail, "plan": plan}[name]()
