"""kill -9 at 50 random moments of runs over loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from consensus.cyclefile import load
from consensus.nouns import Ballot, Shown, digest
from consensus.store import Store
from tests.labeling.runs import labels, pairs

CYCLES, KILLS = 5, 10
PAIRS = 1500


@contextmanager
def process(*words):
    command = [sys.executable, "-m", "tests.labeling.killable", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as child:
        try:
            yield child
        finally:
            child.kill()


def write_cycle(folder, port):
    folder.mkdir()
    with (folder / "pairs.jsonl").open("w") as out:
        out.writelines(json.dumps({k: v for k, v in asdict(p).items() if k != "extra"}) + "\n" for p in pairs(PAIRS))
    judges = "".join(
        f"  - {{provider: openai, model: sim-{k}, api_base: 'http://127.0.0.1:{port}/v1', max_parallel: 3}}\n"
        for k in range(3)
    )
    (folder / "cycle.yaml").write_text(
        f"judges:\n{judges}input: {{pairs: pairs.jsonl}}\nsampling: {{stop: never}}\nlimits: {{max_attempts: 20}}\n"
    )
    return folder / "cycle.yaml"


def stored_keys(store, cycle):
    """How often each ballot that was sent is stored, by its id on the wire."""
    rows = store.votes(cycle)
    return Counter(digest([cycle, v["pair_id"], v["judge"], v["shown"], v["repeat"]])[:32] for v in rows)


def events(log):
    return [(word, float(at), key) for word, at, key in (line.split() for line in log.read_text().splitlines())]


def wait_for_answers(log):
    deadline = time.time() + 10
    while "answered" not in log.read_text() and time.time() < deadline:
        time.sleep(0.01)


def start(nursery, cycle):
    nursery.stdin.write(f"{cycle}\n")
    return int(nursery.stdout.readline())


@pytest.mark.slow
def test_a_killed_run_loses_nothing_older_than_a_second_and_pays_for_nothing_twice(tmp_path):
    dice = random.Random(20)
    old_enough = killed = 0
    finished = {}
    log = tmp_path / "log"
    with process("serve", str(log)) as server, process("nursery") as nursery:
        port = int(server.stdout.readline())
        assert nursery.stdout.readline().strip() == "ready"
        for n in range(CYCLES):
            cycle = write_cycle(tmp_path / f"cycle-{n}", port)
            for _ in range(KILLS):
                log.write_text("")
                pid = start(nursery, cycle)
                wait_for_answers(log)
                time.sleep(dice.uniform(0.0, 2.0))
                at = time.time()
                os.kill(pid, signal.SIGKILL)
                killed += int(nursery.stdout.readline()) == -signal.SIGKILL
                loaded = load(cycle)
                with Store(loaded.store) as store:
                    stored = stored_keys(store, loaded.name)
                happened = events(log)
                old = {key for word, when, key in happened if word == "answered" and when < at - 1}
                old_enough += len(old)
                assert set(stored.values()) <= {1}
                assert old <= stored.keys()
                before = finished.get(cycle, set())
                assert not before & {key for _, _, key in happened}, "a stored vote was asked again"
                finished[cycle] = set(stored)
            start(nursery, cycle)
            assert nursery.stdout.readline().strip() == "0"
        undisturbed = write_cycle(tmp_path / "undisturbed", port)
        start(nursery, undisturbed)
        assert nursery.stdout.readline().strip() == "0"
    expected = labels_of(undisturbed)
    assert len(expected) == PAIRS
    for cycle in finished:
        assert labels_of(cycle) == expected
    # The claim is empty unless most kills hit a run at work that had old votes to lose.
    assert killed >= 0.8 * CYCLES * KILLS
    assert old_enough > 1500


def labels_of(cycle):
    loaded = load(cycle)
    with Store(loaded.store) as store:
        assert set(stored_keys(store, loaded.name).values()) == {1}
        return labels(store, loaded.name)


def test_the_id_on_the_wire_names_the_ballot():
    """What the test above relies on."""
    from labeling.panel import Panel
    from labeling.rubric import Rubric
    from tests.consensus.cycles import cycle_of

    cycle = cycle_of([{"provider": "simulated", "model": "m"}])
    judge = Panel(cycle, Rubric("r")).priced()["m"]
    ballot = Ballot("p", "m", Shown.BA, 2)
    assert judge.key(ballot) == digest(["cycle-1", "p", "m", "ba", 2])[:32]
