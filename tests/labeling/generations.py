"""Cycles that begin with traces, for tests."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from consensus.cycle import Cycle
from consensus.prompts import Prompt
from consensus.store import Store
from labeling.generation_run import run
from labeling.labeler import Outcome
from labeling.rubric import Rubric
from labeling.trace_intake import ingest_traces
from tests.consensus.cycles import cycle_of

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
JUDGES = [{"provider": "simulated", "model": f"sim-{k}"} for k in range(3)]


def rows(n: int, **more: Any) -> list[dict[str, Any]]:
    """n calls of an agent, every other one with a tool at hand."""
    return [
        {
            "id": f"t{k}",
            "messages": [
                {"role": "system", "content": "You help customers."},
                {"role": "user", "content": f"Where is order {k * 7919}, and what is in it? I am customer {k}."},
                {"role": "assistant", "content": f"Order {k * 7919} is on its way."},
            ],
            "model": "gpt-4o",
            "route": "returns" if k % 3 else "billing",
            **({"tools": [TOOL]} if k % 2 else {}),
            **more,
        }
        for k in range(n)
    ]


def traced(folder: Path, traces: list[dict[str, Any]], generation: dict[str, Any], **sections: Any) -> Cycle:
    """A cycle of these traces and three simulated judges, with a store in the folder."""
    file = folder / "traces.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in traces))
    made = {"provider": "simulated", "model": "policy", **generation}
    told = {"traces": [str(file)], "prompts": {"near": None}, **sections.pop("input", {})}
    sections = {"judges": JUDGES, "store": folder / "cycle.duckdb", **sections}
    return cycle_of(sections.pop("judges"), input=told, generation=made, **sections)


def generated(store: Store, cycle: Cycle, **options: Any) -> Outcome:
    """Register, read the traces, draw the completions, form the pairs."""
    store.register(cycle, Rubric.of(cycle).system)
    ingest_traces(store, cycle, cycle.input.traces)
    return asyncio.run(run(store, cycle, console=Console(file=io.StringIO()), **options))


def prompt(*said: str, production: str | None = None, **more: Any) -> Prompt:
    """A prompt of a user's turns."""
    answer = [] if production is None else [{"role": "assistant", "content": production}]
    return Prompt("p", [{"role": "user", "content": text} for text in said or ("hi",)], production=answer, **more)


def completions(store: Store, cycle: str) -> dict[tuple[str, int], str]:
    """Every completion by prompt and sample, as JSON."""
    found = store.db.execute("SELECT prompt_id, sample, messages FROM completions WHERE cycle = ?", [cycle]).fetchall()
    assert len({row[:2] for row in found}) == len(found), "a draw is stored twice"
    return {(prompt_id, sample): json.dumps(json.loads(said), sort_keys=True) for prompt_id, sample, said in found}
