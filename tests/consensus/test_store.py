"""The store: facts are appended once, nothing old is lost, and one process at a time is told so."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.errors import StoreBusy, UsageError
from consensus.live import Live
from consensus.nouns import Ballot, Failure, Pair, Shown, Spent, Verdict, Vote
from consensus.store import Store
from consensus.writer import Writer
from tests.consensus.cycles import cycle_of

CYCLE = cycle_of(["x", "y", "z"])
HASHES = {judge.label: judge.config_hash("rubric") for judge in CYCLE.judges}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.fixture
def store():
    with Store() as opened:
        opened.register(CYCLE, "rubric")
        yield opened


@given(TEXT, TEXT, TEXT)
def test_texts_come_back_exactly(prompt, a, b):
    with Store() as store:
        store.register(CYCLE, "rubric")
        pair = Pair(
            "p'; DROP TABLE pairs; --", prompt, a, [{"role": "assistant", "content": b}], "c", Verdict.B, {"tools": [b]}
        )
        store.add_pairs(CYCLE.name, [pair])
        assert [found for found, _ in store.work(CYCLE.name, HASHES)] == [pair]


def test_a_vote_comes_back_with_everything_it_had(store):
    vote = Vote(
        Ballot("p", "x", Shown.BA, 3),
        Verdict.TIE,
        "raw",
        {"clarity": {"a": 4.0}},
        "gpt",
        0.5,
        "stop",
        Spent(10, 5, 0.25, 1.5, 2),
        2.5,
        fingerprint="fp_1",
    )
    store.add(CYCLE.name, HASHES, [vote])
    (row,) = store.votes(CYCLE.name)
    created = row.pop("created_at")
    assert abs(created.timestamp() - vote.created_at.replace(tzinfo=None).timestamp()) < 1e-3
    assert row == {
        "pair_id": "p",
        "judge": "x",
        "config_hash": HASHES["x"],
        "shown": "ba",
        "repeat": 3,
        "verdict": "tie",
        "scores": '{"clarity": {"a": 4.0}}',
        "raw": "raw",
        "served_by": "gpt",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost_usd": 0.25,
        "latency_s": 1.5,
        "temperature": 0.5,
        "finish_reason": "stop",
        "attempts": 2,
        "margin": 2.5,
        "fingerprint": "fp_1",
    }


def test_a_pair_id_with_another_text_is_named_and_not_added(store):
    assert store.add_pairs(CYCLE.name, [Pair("p", "q", "a", "b")]) == (1, [])
    assert store.add_pairs(CYCLE.name, [Pair("p", "q", "a", "b"), Pair("r", "q", "a", "b")]) == (1, [])
    assert store.add_pairs(CYCLE.name, [Pair("p", "q", "a", "other")]) == (0, ["p"])
    assert store.known_pairs(CYCLE.name) == {"p", "r"}


def test_two_cycles_share_pairs_but_not_votes(store):
    other = cycle_of(["x", "y"], cycle={"name": "second"})
    store.register(other, "rubric")
    store.add_pairs(CYCLE.name, [Pair("p", "q", "a", "b")])
    assert store.add_pairs("second", [Pair("p", "q", "a", "b")]) == (1, [])
    store.add(CYCLE.name, HASHES, [Vote(Ballot("p", "x", Shown.AB), Verdict.A)])
    assert [len(stored) for _, stored in store.work("second", HASHES)] == [0]
    assert len(list(store.votes("second"))) == 0


def test_recorded_votes_are_added_once(store):
    votes = [Vote(Ballot("p", judge, Shown.AB), Verdict.A) for judge in "xyz"]
    assert store.add_recorded(CYCLE.name, HASHES, votes) == 3
    assert store.add_recorded(CYCLE.name, HASHES, votes) == 0


def test_a_failed_ballot_that_was_answered_later_is_no_open_failure(store):
    store.add_pairs(CYCLE.name, [Pair("p", "q", "a", "b")])
    ballots = [Ballot("p", judge, Shown.AB) for judge in "xy"]
    store.add(CYCLE.name, HASHES, [Failure(b, "timeout", "m", Spent(cost_usd=0.5)) for b in ballots])
    store.add(CYCLE.name, HASHES, [Vote(ballots[0], Verdict.A, spent=Spent(cost_usd=1.0))])
    tallies = {tally.judge: tally for tally in store.tallies(CYCLE.name)}
    assert [tallies[j].failures for j in "xyz"] == [0, 1, 0]
    assert [tallies[j].cost_usd for j in "xyz"] == [1.5, 0.5, None]
    assert store.spent(CYCLE.name) == 2.0


def test_a_second_process_is_told_who_holds_the_store(tmp_path):
    path = tmp_path / "s.duckdb"
    with Store(path):
        code = f"from consensus.store import Store; Store({str(path)!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "StoreBusy" in done.stderr
    assert "in use by process" in done.stderr


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    with Store(tmp_path / "s.duckdb") as store:
        store.db.execute("INSERT INTO migrations VALUES (999, 'later', NULL)")
    with pytest.raises(UsageError, match="newer version"):
        Store(tmp_path / "s.duckdb")


def test_an_unknown_file_is_refused(tmp_path):
    (tmp_path / "s.duckdb").write_text("this is not a database, but it is long enough to be read as one" * 100)
    with pytest.raises(UsageError, match="cannot open"):
        Store(tmp_path / "s.duckdb")


def test_what_the_writer_was_given_is_on_disk_within_a_second(tmp_path):
    path = tmp_path / "s.duckdb"
    votes = [Vote(Ballot(f"p{k}", "x", Shown.AB), Verdict.A, "raw " * 50) for k in range(3000)]
    with Store(path) as store, Writer(lambda batch: store.add(CYCLE.name, HASHES, batch)) as writer:
        for vote in votes:
            writer.add(vote)
        time.sleep(1.0)
        seen = store.twin().db.execute("SELECT count(*) FROM votes").fetchone()
        assert seen == (3000,)


def test_a_twin_reads_and_writes_the_same_store(tmp_path):
    with Store(tmp_path / "s.duckdb") as store:
        store.twin().add(CYCLE.name, HASHES, [Vote(Ballot("p", "x", Shown.AB), Verdict.A)])
        assert [vote["verdict"] for vote in store.votes(CYCLE.name)] == ["a"]


def test_the_writer_takes_from_many_threads_without_losing_one():
    got = []
    with Writer(got.extend, every=0.001) as writer:
        crew = [
            threading.Thread(
                target=lambda: [writer.add(Vote(Ballot("p", "x", Shown.AB), Verdict.A)) for _ in range(2000)]
            )
            for _ in range(4)
        ]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
    assert len(got) == 8000


def test_a_writer_that_cannot_write_says_so_and_loses_its_silence():
    def broken(_):
        raise duckdb.Error("disk full")

    writer = Writer(broken, every=0.001)
    with pytest.raises(duckdb.Error, match="disk full"), writer:
        writer.add(Vote(Ballot("p", "x", Shown.AB), Verdict.A))
        time.sleep(0.1)
        writer.add(Vote(Ballot("p", "x", Shown.AB), Verdict.A))


def test_live_figures_are_replaced_whole(tmp_path):
    live = Live(tmp_path / "s.duckdb")
    assert live.read() is None
    live.write({"cycle": "c", "n": 1})
    live.write({"cycle": "c", "n": 2})
    assert live.read()["n"] == 2
    live.remove()
    assert live.read() is None


def test_busy_is_a_usage_error():
    assert issubclass(StoreBusy, UsageError)
