"""Processes for the kill -9 test: a server that logs what it answered, and a nursery that forks labelers.

python -m tests.labeling.killable serve LOG          a simulated server; prints its port
python -m tests.labeling.killable nursery            reads cycle files from stdin, forks a labeler for each, prints its pid,
                                                     then its exit status; "batch " before a file labels in
                                                     batches, "generate " draws completions, "contest " plays candidate
                                                     against baseline
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time
from pathlib import Path

FAULTS = {"accuracy": 0.8, "flip_rate": 0.15, "ties": 0.1, "prose": 0.02, "failures": 0.02, "latency_s": 0.02}


def serve(log: str) -> None:
    from aiohttp import web

    from labeling.providers.server import application
    from labeling.providers.simulated import Faults, SimulatedJudge, World
    from labeling.providers.simulated_model import Habits, SimulatedModel

    judges = {name: SimulatedJudge(name, Faults(**FAULTS), World({})) for name in ("sim-0", "sim-1", "sim-2")}
    judges["policy"] = SimulatedModel("policy", Habits(failures=0.02, latency_s=0.02))
    judges["base"] = SimulatedModel("base", Habits(failures=0.02, latency_s=0.02))

    async def forever() -> None:
        out = Path(log).open("a", buffering=1)  # noqa: ASYNC230, SIM115 - lives as long as the process

        @web.middleware
        async def logged(request, handler):
            out.write(f"asked {time.time():.4f} {request.headers['X-Client-Request-Id']}\n")
            response = await handler(request)
            if response.status == 200 and response.content_type == "application/json":
                out.write(f"answered {time.time():.4f} {request.headers['X-Client-Request-Id']}\n")
            return response

        app = application(judges)
        app.middlewares.append(logged)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(forever())


def nursery() -> None:
    """Importing litellm costs seconds; a fork has it already."""
    from rich.console import Console

    import labeling.providers.completion
    import labeling.providers.wire  # noqa: F401
    from consensus.cyclefile import load
    from consensus.prompt_store import Prompts
    from consensus.store import Store
    from evaluation.head_to_head.contest import Contest
    from evaluation.head_to_head.run import play
    from labeling import generation_run
    from labeling.batches.run import run_batches
    from labeling.cycle_run import run
    from labeling.intake import ingest_input
    from labeling.providers.routes import litellm
    from labeling.rubric import Rubric
    from labeling.trace_intake import ingest_traces

    litellm()
    print("ready", flush=True)
    for line in sys.stdin:
        if pid := os.fork():
            print(pid, flush=True)
            _, status = os.waitpid(pid, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        in_batches, draws, plays = (line.startswith(word) for word in ("batch ", "generate ", "contest "))
        cycle = load(Path(line.partition(" ")[2].strip() if in_batches or draws or plays else line.strip()))
        rubric = Rubric.of(cycle)
        with Store(cycle.store) as store:
            store.register(cycle, rubric.system)
            ingest_input(store, cycle, rubric.system)
            if draws:
                if not Prompts(store).count(cycle.name):
                    ingest_traces(store, cycle, cycle.input.traces)
                outcome = asyncio.run(generation_run.run(store, cycle, console=Console(file=io.StringIO())))
                os._exit(0 if outcome.complete else 4)
            if plays:
                outcome = asyncio.run(
                    play(store, Contest.of(store, cycle), rubric, console=Console(file=io.StringIO()))
                )
                os._exit(0 if outcome.complete else 4)
            running = (
                run_batches(store, cycle, rubric, say=lambda _: None)
                if in_batches
                else run(store, cycle, rubric, console=Console(file=io.StringIO()))
            )
            outcome = asyncio.run(running)
        os._exit(0 if outcome.complete else 4)


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else nursery()
