"""kill -9 at random moments of a head to head over loopback."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import pytest

from consensus.cyclefile import load
from consensus.nouns import digest
from consensus.store import Store
from evaluation.head_to_head.analysis import analyse
from evaluation.head_to_head.contest import Contest
from evaluation.head_to_head.judged import judged
from tests.labeling.generations import completions
from tests.labeling.test_kill import events, process, start, wait_for_answers

KILLS, PROMPTS = 3, 90


def write_cycle(folder, port):
    folder.mkdir()
    rows = [
        {"pair_id": f"p{k}", "prompt": f"question {k}", "completion_a": "one", "completion_b": "two"}
        for k in range(PROMPTS)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    at = f"provider: openai, api_base: 'http://127.0.0.1:{port}/v1', max_parallel: 2"
    judges = "".join(f"  - {{{at}, model: sim-{k}}}\n" for k in range(3))
    (folder / "cycle.yaml").write_text(
        f"judges:\n{judges}input: {{pairs: pairs.jsonl}}\ntraining: {{validation: 0.6, near: null}}\nlimits: {{max_attempts: 20}}\n"
        f"evaluation:\n  candidate: {{{at}, model: policy}}\n  baseline: {{{at}, model: base}}\n"
    )
    return folder / "cycle.yaml"


def stored(file):
    """What was answered, by its id on the wire; and what the contest says."""
    cycle = load(file)
    with Store(cycle.store) as store:
        contest = Contest.of(store, cycle)
        keys, answers = [], {}
        for each in contest.contestants:
            name = contest.answering(each).name
            for (prompt, sample), said in completions(store, name).items():
                keys.append(digest([name, "completion", prompt, each.label, sample])[:32])
                answers[each.label, prompt] = said
        side = contest.judging.name
        votes = {}
        for vote in store.votes(side):
            key = (vote["pair_id"], vote["judge"], vote["shown"], vote["repeat"])
            assert key not in votes, "a vote is stored twice"
            votes[key] = vote["verdict"]
            keys.append(digest([side, *key])[:32])
        return set(keys), answers, votes, analyse(judged(store, contest), "policy", "base")


@pytest.mark.slow
def test_a_killed_head_to_head_pays_nothing_twice_and_ends_as_an_undisturbed_one(tmp_path):
    dice = random.Random(3)
    log, before, at_work, killed = tmp_path / "log", set(), 0, 0
    with process("serve", str(log)) as server, process("nursery") as nursery:
        port = int(server.stdout.readline())
        assert nursery.stdout.readline().strip() == "ready"
        file = write_cycle(tmp_path / "killed", port)
        for _ in range(KILLS):
            log.write_text("")
            pid = start(nursery, f"contest {file}")
            wait_for_answers(log)
            time.sleep(dice.uniform(0.3, 1.2))
            os.kill(pid, signal.SIGKILL)
            killed += int(nursery.stdout.readline()) == -signal.SIGKILL
            happened = {name for _, _, name in events(log)}
            assert not before & happened, "what was stored was asked again"
            before = stored(file)[0]
            at_work += bool(before)
        start(nursery, f"contest {file}")
        assert nursery.stdout.readline().strip() == "0"
        calm = write_cycle(tmp_path / "calm", port)
        start(nursery, f"contest {calm}")
        assert nursery.stdout.readline().strip() == "0"
    _, answers, votes, found = stored(file)
    assert (answers, votes, found) == stored(calm)[1:]
    assert len(answers) == 2 * found.all.items
    assert len(votes) == 6 * (found.all.items - found.same)
    # The claim is empty unless a kill hit a run that had something to lose.
    assert killed >= 1
    assert at_work >= 1
