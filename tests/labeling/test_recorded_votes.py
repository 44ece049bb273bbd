"""Real recorded votes: our labels against a majority that is computed here, in plain Python, from the files."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections import defaultdict

import pytest
from aiohttp import web
from rich.console import Console

from consensus.cyclefile import load
from consensus.store import Store
from labeling.cycle_run import run
from labeling.intake import ingest_input
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of
from tests.labeling.runs import labels

JUDGES = ["gpt-4", "gpt-3.5-turbo-0613", "llama-2-70b-chat"]


def read(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def majority_by_hand(folder, judges, *, both):
    """verdict and kept for every pair, without a line of ours."""
    first = defaultdict(dict)
    for vote in read(folder / "votes.jsonl"):
        if vote["judge"] in judges and vote["repeat"] == 0:
            first[vote["pair_id"]][vote["judge"], vote["order"]] = vote["verdict"]
    found = {}
    for pair in read(folder / "pairs.jsonl"):
        said, votes = [], first[pair["pair_id"]]
        h = hashlib.sha256(pair["pair_id"].encode()).digest()[0] & 1
        for seat, judge in enumerate(judges):
            ab, ba = votes.get((judge, "ab")), votes.get((judge, "ba"))
            if both:
                said.append(ab if ab == ba else None)
            else:
                said.append(ab if (h + seat) % 2 == 0 else ba)
        winner = next((side for side in ("a", "b") if said.count(side) >= 2), None)
        if winner is None and said.count("tie") >= 2:
            winner = "tie"
        found[pair["pair_id"]] = (winner, winner in ("a", "b"))
    return found


def cycle_yaml(folder, data, judges, orders):
    lines = ["judges:", *(f"  - {{provider: recorded, model: {judge}}}" for judge in judges)]
    lines += [
        f"input: {{pairs: {data / 'pairs.jsonl'}, votes: {data / 'votes.jsonl'}}}",
        f"sampling: {{orders: {orders}}}",
    ]
    (folder / "cycle.yaml").write_text("\n".join(lines))
    return load(folder / "cycle.yaml")


@pytest.mark.parametrize("orders", ["one", "both"])
@pytest.mark.parametrize(
    ("data", "judges"),
    [("llmbar", JUDGES), ("position_bias_mtbench", ["gpt-4-1106-preview", "claude-3-opus-20240229", "gemini-pro"])],
)
def test_labels_equal_the_majority_by_hand_pair_by_pair(tmp_path, recorded_data, data, judges, orders):
    cycle = cycle_yaml(tmp_path, recorded_data / data, judges, orders)
    with Store(cycle.store) as store:
        store.register(cycle, "rubric")
        intakes = ingest_input(store, cycle, "rubric")
        found = {pair_id: (label.verdict, label.kept) for pair_id, label in labels(store, cycle.name).items()}
    assert [len(intake.refused) for intake in intakes] == [0, 0]
    assert found == majority_by_hand(recorded_data / data, judges, both=orders == "both")


@pytest.mark.slow
@pytest.mark.parametrize("orders", ["one", "both"])
def test_the_same_labels_come_through_http_from_a_server_that_replays_the_votes(tmp_path, recorded_data, orders):
    """Rubric, wire, reply parser and store change nothing."""
    folder = recorded_data / "llmbar"
    pairs = read(folder / "pairs.jsonl")
    recorded = {
        (v["pair_id"], v["judge"], v["order"]): v["verdict"] for v in read(folder / "votes.jsonl") if v["repeat"] == 0
    }

    async def labeled(store):
        runner, address = await replay_server(pairs, recorded)
        judges = [{"provider": "openai", "model": judge, "api_base": address} for judge in JUDGES]
        cycle = cycle_of(judges, store=tmp_path / "http.duckdb", sampling={"orders": orders})
        rubric = Rubric.of(cycle)
        store.register(cycle, rubric.system)
        from labeling.intake import ingest_pairs

        ingest_pairs(store, cycle, folder / "pairs.jsonl")
        outcome = await run(store, cycle, rubric, console=Console(file=io.StringIO()))
        await runner.cleanup()
        return outcome, {key: (label.verdict, label.kept) for key, label in labels(store, cycle.name).items()}

    with Store(tmp_path / "http.duckdb") as store:
        outcome, found = asyncio.run(labeled(store))
    assert (outcome.complete, outcome.failures) == (True, 0)
    assert found == majority_by_hand(folder, JUDGES, both=orders == "both")


async def replay_server(pairs, recorded):
    """Finds the pair by the texts between the fences, and says what the recorded judge said about it in that order."""
    by_text = {(p["prompt"], p["completion_a"], p["completion_b"]): (p["pair_id"], "ab") for p in pairs}
    by_text |= {(p["prompt"], p["completion_b"], p["completion_a"]): (p["pair_id"], "ba") for p in pairs}

    def between(text, name):
        code = text.rpartition("The code of this message is ")[2][:16]
        return text.split(f"BEGIN {name} {code}\n")[1].split(f"\nEND {name} {code}")[0]

    async def complete(request):
        body = await request.json()
        text = body["messages"][-1]["content"]
        pair_id, order = by_text[tuple(between(text, name) for name in ("prompt", "completion A", "completion B"))]
        verdict = recorded[pair_id, body["model"], order]
        slot = {"tie": "tie", None: None}.get(verdict, "A" if verdict == order[0] else "B")
        said = (
            "Hard to say."
            if slot is None
            else f"I compared them.\n```json\n{json.dumps({'reasoning': 'r', 'verdict': slot})}\n```"
        )
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        return web.json_response(
            {"id": "x", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}
        )

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
