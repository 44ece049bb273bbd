"""kill -9 at random moments of runs that draw completions over loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest

from consensus.cyclefile import load
from consensus.nouns import digest
from consensus.prompt_store import Prompts
from consensus.store import Store
from tests.labeling.generations import completions, rows
from tests.labeling.test_kill import events, process, start, wait_for_answers

KILLS, PROMPTS, DRAWS = 4, 150, 4


def write_cycle(folder, port):
    folder.mkdir()
    (folder / "traces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(PROMPTS)))
    (folder / "cycle.yaml").write_text(
        "judges:\n  - {provider: simulated, model: sim}\n"
        "input: {traces: traces.jsonl, prompts: {near: null}}\nlimits: {max_attempts: 20}\n"
        f"generation: {{provider: openai, model: policy, api_base: 'http://127.0.0.1:{port}/v1', n: {DRAWS}, max_parallel: 2}}\n"
    )
    return folder / "cycle.yaml"


def stored(cycle):
    loaded = load(cycle)
    with Store(loaded.store) as store:
        there = completions(store, loaded.name)
        pairs = store.known_pairs(loaded.name)
        return there, pairs, Prompts(store).drawn(loaded.name)


def key(prompt_id, sample):
    """A draw's id on the wire."""
    return digest(["cycle-1", "completion", prompt_id, "policy", sample])[:32]


@pytest.mark.slow
def test_a_killed_run_draws_nothing_twice_that_was_stored_and_ends_as_an_undisturbed_one(tmp_path):
    dice = random.Random(7)
    log, before, at_work, killed = tmp_path / "log", set(), 0, 0
    with process("serve", str(log)) as server, process("nursery") as nursery:
        port = int(server.stdout.readline())
        assert nursery.stdout.readline().strip() == "ready"
        cycle = write_cycle(tmp_path / "killed", port)
        for _ in range(KILLS):
            log.write_text("")
            pid = start(nursery, f"generate {cycle}")
            wait_for_answers(log)
            time.sleep(dice.uniform(1.0, 2.2))
            os.kill(pid, signal.SIGKILL)
            killed += int(nursery.stdout.readline()) == -signal.SIGKILL
            there = {key(*draw) for draw in stored(cycle)[0]}
            happened = events(log)
            at_work += 0 < len(there) < PROMPTS * DRAWS
            assert not before & {name for _, _, name in happened}, "a stored completion was drawn again"
            before = there
        start(nursery, f"generate {cycle}")
        assert nursery.stdout.readline().strip() == "0"
        calm = write_cycle(tmp_path / "calm", port)
        start(nursery, f"generate {calm}")
        assert nursery.stdout.readline().strip() == "0"
    there, pairs, drawn = stored(cycle)
    assert len(there) == PROMPTS * DRAWS
    assert (there, pairs) == stored(calm)[:2]
    assert (drawn.paired, drawn.pairs) == (PROMPTS, len(pairs))
    # The claim is empty unless a kill hit a run at work that had completions to lose.
    assert killed >= 1
    assert at_work >= 1
