"""kill -9 at the moments of a batch's life at which something could be paid for twice, or lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import asdict

import pytest

from consensus.batches import Batches
from consensus.cyclefile import load
from consensus.store import Store
from labeling.batches.run import run_batches
from labeling.rubric import Rubric
from tests.labeling.batch_runs import N
from tests.labeling.batch_servers import Anthropic, OpenAI
from tests.labeling.runs import pairs, verdicts
from tests.labeling.test_kill import process

pytestmark = pytest.mark.usefixtures("keys")

# The call at whose arrival the process is killed, and whether the provider does what it was asked for all the same.
MOMENTS = {
    "upload": (OpenAI, True),  # written down, not sent
    "create": (OpenAI, True),  # sent, made, and the id is lost
    "create, in vain": (OpenAI, False),  # sent, and lost on the way
    "create at Anthropic": (Anthropic, True),
    "look": (OpenAI, True),  # submitted, and the id is stored
    "results": (OpenAI, True),  # ended, and being read
}


def cycle_file(folder, provider):
    folder.mkdir()
    rows = [{k: v for k, v in asdict(pair).items() if k != "extra"} for pair in pairs(N)]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = {**provider.judge, "api_base": provider.url}
    settings = {"judges": [judge], "input": {"pairs": "pairs.jsonl"}, "sampling": {"stop": "never"}}
    (folder / "cycle.yaml").write_text(json.dumps(settings))
    return folder / "cycle.yaml"


async def batched(file):
    """A run that takes a batch which is not listed for one that does not exist."""
    cycle = load(file)
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        outcome = await run_batches(store, cycle, rubric, say=lambda _: None, settle_s=-1)
        return outcome, verdicts(store, cycle.name), Batches(store).open(cycle.name)


async def killed(nursery, provider, file):
    """Label in a process until it is killed by the provider, or ends; the exit status."""

    def wait():
        nursery.stdin.write(f"batch {file}\n")
        provider.victim = int(nursery.stdout.readline())
        return int(nursery.stdout.readline())

    return await asyncio.to_thread(wait)


def deadly(protocol, word, really):
    class Deadly(protocol):
        victim = None

        def strike(self):
            if self.victim:
                os.kill(self.victim, signal.SIGKILL)
                self.victim = None

        async def upload(self, request):
            if word == "upload":
                self.strike()
            return await super().upload(request)

        async def look(self, request):
            if word == "look":
                self.strike()
            return await super().look(request)

        async def content(self, request):
            if word == "results":
                self.strike()
            return await super().content(request)

        def make_it(self):
            alive = self.victim is not None
            if word.startswith("create"):
                self.strike()
            return really or not alive

    made = Deadly()
    made.on_create = made.make_it
    return made


@pytest.mark.slow
def test_whenever_it_is_killed_every_ballot_is_submitted_once_and_gets_its_vote(tmp_path):
    async def story(nursery, name):
        protocol, really = MOMENTS[name]
        word = name.partition(",")[0].partition(" at")[0]
        async with deadly(protocol, word, really) as provider:
            file = cycle_file(tmp_path / name.replace(" ", "-"), provider)
            if word in ("look", "results"):
                assert (
                    await killed(nursery, provider, file) == 4
                )  # nothing strikes before there is something to look at
            assert await killed(nursery, provider, file) == -signal.SIGKILL, name
            for _ in range(2):
                outcome, votes, open_ = await batched(file)
            assert (outcome.complete, len(votes), open_) == (True, N, []), name
            assert sorted(provider.asked) == sorted(set(provider.asked)), name
            assert len(provider.asked) == N, name

    with process("nursery") as nursery:
        assert nursery.stdout.readline().strip() == "ready"
        for name in MOMENTS:
            asyncio.run(story(nursery, name))
