"""Cycles of one judge that are asked in batches, and stories of their runs."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console

from consensus.store import Store
from labeling.batches.run import run_batches
from labeling.cycle_run import run
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.runs import pairs

N = 6  # pairs
NEVER = {"sampling": {"stop": "never"}}


class Asked:
    """A cycle of one judge at a provider, and its runs."""

    def __init__(self, provider, folder, n=N, **sections):
        self.provider, self.said = provider, []
        judge = {**provider.judge, "api_base": provider.url, "price": {"input": 2, "output": 10}}
        self.cycle = cycle_of([judge], store=folder / "cycle.duckdb", **{**NEVER, **sections})
        self.rubric = Rubric.of(self.cycle)
        self.store = Store(self.cycle.store)
        self.store.register(self.cycle, self.rubric.system)
        self.store.add_pairs(self.cycle.name, pairs(n))

    async def run(self, **options):
        options = {"settle_s": 1000, "poll_s": 0.01, **options}
        return await run_batches(self.store, self.cycle, self.rubric, say=self.said.append, **options)

    async def online(self, **options):
        return await run(self.store, self.cycle, self.rubric, console=Console(file=io.StringIO()), **options)

    @property
    def votes(self):
        return list(self.store.votes(self.cycle.name))

    @property
    def failures(self):
        return {kind: n for _, kind, n, _ in self.store.failure_kinds(self.cycle.name)}


def at(provider, folder, story, **sections):
    """Run a story with a cycle whose judge is at the provider."""

    async def tell():
        async with provider:
            asked = Asked(provider, folder, **sections)
            with asked.store:
                await story(asked)

    asyncio.run(tell())
