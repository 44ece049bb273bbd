"""The protocols over real HTTP: what is asked, kept, asked again after a break, and scored."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path

import pytest

from consensus.errors import UsageError
from evaluation.benchmarks.asking import kept, open_work, row_judges
from evaluation.benchmarks.protocols import PROTOCOLS
from evaluation.benchmarks.sources import read_benchmark
from evaluation.commands.protocol import protocol
from tests.consensus.cycles import cycle_of
from tests.labeling.servers import Reply, Server, openai_reply


class Serving:
    """A server on a loop of its own, for commands that run theirs."""

    def __init__(self, *script):
        self.server, self.loop = Server(*script), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.__aenter__(), self.loop).result(10)
        return self.server

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.server.__aexit__(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


def best(received):
    """A judge that knows what is right, but cannot say so of prompt 3."""
    asked = received.body["messages"][-1]["content"]
    if "prompt 3" in asked:
        return openai_reply("hard to say", model="m")
    letter = re.search(r"BEGIN completion (\w) \w+\nright", asked)[1]
    return openai_reply(json.dumps({"reasoning": "x", "verdict": letter}), model="m", tokens=(100, 10))


def rate(received):
    """A judge that rates right answers 9 and 8 and wrong ones 3, and does not read one of them."""
    asked = received.body["messages"][-1]["content"]
    text = re.search(r"BEGIN completion \w+\n(.*?)\nEND", asked, re.DOTALL)[1]
    if text == "wrong 1.2":
        return openai_reply("no idea", model="m")
    rating = {"right": 9, "also": 8}.get(text.split()[0], 3)
    return openai_reply(json.dumps({"reasoning": "x", "rating": rating}), model="m")


@pytest.fixture
def source(tmp_path):
    rows = [
        {
            "id": str(k),
            "prompt": f"prompt {k}",
            "chosen": [f"right {k}"],
            "rejected": [f"wrong {k}.{j}" for j in range(3)],
        }
        | {"subset": "xy"[k % 2]}
        for k in range(6)
    ]
    for k in range(2):
        wrong = [f"wrong t{k}"]
        rows.append(
            {"id": f"ref:{k}", "prompt": f"ref {k}", "chosen": [f"right {k}"], "rejected": wrong, "subset": "Ties"}
        )
        rows.append(
            {
                "id": f"tied:{k}",
                "prompt": f"tied {k}",
                "chosen": [f"right {k}", f"also {k}"],
                "rejected": wrong,
                "subset": "Ties",
            }
        )
    file = tmp_path / "rb2.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def cycle_file(folder, url, price="price: {input: 1, output: 1}"):
    file = folder / "cycle.yaml"
    judge = f"{{provider: openai, model: m, api_base: {url}/v1, api_key_env: TEST_KEY, {price}}}"
    file.write_text(f"judges:\n  - {judge}\nlimits: {{max_attempts: 1}}\n")
    return file


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("TEST_KEY", "k")


def asked(capsys, *words, **options):
    code = protocol(*words, json=True, **options)
    return code, json.loads(capsys.readouterr().out)


def test_best_of_four_is_asked_kept_and_scored_by_either_convention(tmp_path, capsys, source):
    with Serving(best) as server:
        file = cycle_file(tmp_path, server.url)
        code, found = asked(capsys, "best-of-four", file, source)
        assert (code, found["rows"], len(server.received)) == (0, 6, 6)
        scores = found["judges"]["m"]
        assert (scores["unread"], scores["micro"]["value"]) == (1, pytest.approx(5 / 6))
        assert {name: each["value"] for name, each in scores["subsets"].items()} == {"x": 1, "y": pytest.approx(2 / 3)}
        assert scores["mean"]["value"] == pytest.approx(5 / 6)
        code, found = asked(capsys, "best-of-four", file, source, convention="official")
        assert found["judges"]["m"]["micro"]["value"] == pytest.approx(5.25 / 6)
        assert len(server.received) == 6  # nothing is paid for twice
    lines = [json.loads(line) for line in (tmp_path / "cycle-1-best-of-four.jsonl").read_text().splitlines()]
    assert {line["row_id"] for line in lines} == set("012345")
    assert all(line["rejected"][line["slot"]] is None for line in lines)
    assert found["spent_usd"] == pytest.approx(sum(line["cost_usd"] for line in lines))


def test_ratings_ask_about_every_answer_alone_and_give_the_ties_score(tmp_path, capsys, source):
    with Serving(rate) as server:
        code, found = asked(capsys, "ratings", cycle_file(tmp_path, server.url), source)
        assert len(server.received) == 6 * 4 + 2 * 2 + 2 * 3
        assert not any(
            "wrong" in r.body["messages"][-1]["content"] and "right" in r.body["messages"][-1]["content"]
            for r in server.received
        )
    scores = found["judges"]["m"]
    assert (code, scores["unread"]) == (0, 1)
    assert scores["subsets"]["y"]["value"] == pytest.approx(2 / 3)
    # all accurate; the gap of 5 exceeds the spread of 1 in the ref twin too: 1 + 0.01 tanh(4)
    assert scores["subsets"]["Ties"]["value"] == pytest.approx(1 + 0.01 * 0.9993293)


def test_what_failed_is_asked_again_by_the_same_command_and_nothing_else(tmp_path, capsys, source):
    broken = iter([True, True])

    def flaky(received):
        return Reply({"error": {"message": "no"}}, status=400) if next(broken, False) else best(received)

    with Serving(flaky) as server:
        file = cycle_file(tmp_path, server.url)
        code, found = asked(capsys, "best-of-four", file, source)
        assert (code, found["failures"], len(server.received)) == (4, 2, 6)
        code, found = asked(capsys, "best-of-four", file, source)
        assert (code, found["failures"], len(server.received)) == (0, 0, 8)
    assert found["judges"]["m"]["micro"]["n"] == 6


def test_a_last_line_written_in_half_is_asked_again(tmp_path, capsys, source):
    with Serving(best) as server:
        file = cycle_file(tmp_path, server.url)
        asked(capsys, "best-of-four", file, source)
        replies = tmp_path / "cycle-1-best-of-four.jsonl"
        replies.write_bytes(replies.read_bytes()[:-20])
        code, found = asked(capsys, "best-of-four", file, source)
        assert (code, len(server.received), found["judges"]["m"]["micro"]["n"]) == (0, 7, 6)
    assert all(json.loads(line) for line in replies.read_text().splitlines())


def test_a_reply_with_every_kind_of_line_end_is_one_line(tmp_path, capsys, source):
    def odd(received):
        reply = best(received)["choices"][0]["message"]["content"]
        return openai_reply(f"\u2028{reply}\x85\r\n", model="m")

    with Serving(odd) as server:
        file = cycle_file(tmp_path, server.url)
        asked(capsys, "best-of-four", file, source)
        code, found = asked(capsys, "best-of-four", file, source)
        assert (code, len(server.received), found["judges"]["m"]["unread"]) == (0, 6, 1)


def test_a_reply_to_other_words_is_not_taken_for_one_to_these(tmp_path, capsys, source):
    with Serving(best) as server:
        file = cycle_file(tmp_path, server.url)
        asked(capsys, "best-of-four", file, source)
        Path(source).write_text(Path(source).read_text().replace("wrong 0.1", "wrong indeed"))
        asked(capsys, "best-of-four", file, source)
        assert len(server.received) == 7


def test_dry_run_counts_calls_and_dollars_and_makes_none(tmp_path, capsys, source):
    with Serving(best) as server:
        code, found = asked(capsys, "ratings", cycle_file(tmp_path, server.url), source, dry_run=True)
        assert (code, found["judges"][0]["calls"], len(server.received)) == (0, 34, 0)
    assert found["judges"][0]["cost_usd"] > 0


def test_a_budget_stops_it_and_more_lets_it_go_on(tmp_path, capsys, source):
    with Serving(best) as server:
        file = cycle_file(tmp_path, server.url)
        code, _ = asked(capsys, "best-of-four", file, source, max_cost=0.0)
        assert (code, len(server.received)) == (4, 0)
        code, _ = asked(capsys, "best-of-four", file, source, max_cost=1.0)
        assert (code, len(server.received)) == (0, 6)


def test_the_terminal_shows_every_judge_and_subset(tmp_path, capsys, source):
    with Serving(best) as server:
        assert protocol("best-of-four", cycle_file(tmp_path, server.url), source) == 0
    said = capsys.readouterr().out
    assert all(words in said for words in ("mean of subsets", "mean of rows", "not readable", "66.7 %", "strict"))


def test_who_cannot_be_asked_is_refused(tmp_path, source):
    for judge, says in (
        ({"provider": "simulated", "model": "s"}, "simulated judge"),
        ("recorded", "all judges are recorded"),
    ):
        with pytest.raises(UsageError, match=says):
            row_judges(cycle_of([judge]), PROTOCOLS["ratings"])
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "p", "completion_a": "a", "completion_b": "b"}')
    with pytest.raises(UsageError, match="has no rows for ratings"):
        protocol("ratings", cycle_file(tmp_path, "http://127.0.0.1:1"), str(pairs))


def test_a_damaged_file_of_replies_is_refused_with_its_line(tmp_path, source):
    rows = read_benchmark(source).rows
    judges = row_judges(cycle_of([{"provider": "openai", "model": "m"}]), PROTOCOLS["ratings"])
    file = tmp_path / "replies.jsonl"
    file.write_text('{"row_id": 1}\n{}\n')
    with pytest.raises(UsageError, match=r"line 1 of .* is no reply"):
        kept(file, rows, judges)
    assert sum(len(work.wave()) for work in open_work(rows, judges, kept(tmp_path / "none", rows, judges))) == 34
