"""What the store knows of batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.batches import Batch, Batches
from consensus.nouns import Ballot, Failure, Pair, Shown, Verdict, Vote
from consensus.store import Store
from consensus.tables import utc_now
from tests.consensus.cycles import cycle_of

CYCLE = cycle_of([{"provider": "openai", "model": "m"}, "other"])
HASHES = {judge.label: judge.config_hash("rubric") for judge in CYCLE.judges}
BALLOTS = {f"key-{k}": Ballot(f"pair-{k}", "m", Shown.AB) for k in range(4)}


@pytest.fixture
def store():
    with Store() as store:
        store.register(CYCLE, "rubric")
        store.add_pairs(CYCLE.name, [Pair(f"pair-{k}", "p", "a", "b") for k in range(4)])
        yield store


def planned(store, tag="tag", ballots=BALLOTS, most=0.5):
    batch = Batch(tag, "m", HASHES["m"], "http://127.0.0.1/v1/batches", len(ballots), most, 0.0, utc_now())
    Batches(store).plan(CYCLE.name, batch, ballots)
    return batch


def waiting(store):
    """Pairs whose ballot waits, as the plan sees it."""
    return {
        stored.ballot.pair_id for _, known in store.work(CYCLE.name, HASHES) for stored in known if not stored.verdict
    }


@given(st.sampled_from(["", "uploaded", "sent", "submitted", "collected", "withdrawn"]))
def test_ballots_wait_from_the_plan_on_until_the_batch_is_collected_or_withdrawn(last):
    with Store() as store:
        store.register(CYCLE, "rubric")
        store.add_pairs(CYCLE.name, [Pair(f"pair-{k}", "p", "a", "b") for k in range(4)])
        planned(store)
        for step in ("uploaded", "sent", "submitted", last)[: 3 if last in ("collected", "withdrawn") else None]:
            if step:
                Batches(store).step("tag", step, f"{step}-1")
        if last in ("collected", "withdrawn"):
            Batches(store).step("tag", last)
        over = last in ("collected", "withdrawn")
        assert waiting(store) == (set() if over else {ballot.pair_id for ballot in BALLOTS.values()})
        assert [batch.tag for batch in Batches(store).open(CYCLE.name)] == ([] if over else ["tag"])


def test_an_open_batch_says_how_far_it_came(store):
    planned(store)
    batches = Batches(store)
    (batch,) = batches.open(CYCLE.name)
    assert (batch.file_id, batch.sent_at, batch.remote_id, batch.name) == (None, None, None, "tag")
    for step, detail in (("uploaded", "file-1"), ("sent", None), ("submitted", "batch-1")):
        batches.step("tag", step, detail)
    (batch,) = batches.open(CYCLE.name)
    assert (batch.file_id, batch.remote_id, batch.name) == ("file-1", "batch-1", "batch-1")
    assert batch.sent_at >= batch.created_at
    assert batches.known_ids() == {"batch-1"}


def test_a_ballot_that_has_its_vote_waits_no_more_though_its_batch_is_open(store):
    batch = planned(store)
    store.add(CYCLE.name, HASHES, [Vote(BALLOTS["key-1"], Verdict.A)])
    assert Batches(store).waiting(CYCLE.name) == 3
    ballots, answered = Batches(store).ballots(CYCLE.name, batch)
    assert (ballots, answered) == (BALLOTS, {"key-1"})


def test_what_ends_a_batch_is_stored_all_of_it_or_nothing(store):
    batch = planned(store)
    failure = Failure(BALLOTS["key-2"], "expired", "too late")
    with pytest.raises(KeyError):
        Batches(store).collected(
            CYCLE.name, batch, [failure, Failure(Ballot("pair-1", "nobody", Shown.AB), "x", "y")], []
        )
    assert (store.failure_kinds(CYCLE.name), len(Batches(store).open(CYCLE.name))) == ([], 1)
    Batches(store).collected(CYCLE.name, batch, [failure], ["stray"])
    assert [row[:3] for row in store.failure_kinds(CYCLE.name)] == [("m", "expired", 1)]
    assert Batches(store).open(CYCLE.name) == []


def test_open_batches_set_aside_what_they_can_cost_and_others_nothing(store):
    planned(store, "one", {"a": BALLOTS["key-0"]}, most=0.25)
    planned(store, "two", {"b": BALLOTS["key-1"]}, most=None)
    planned(store, "three", {"c": BALLOTS["key-2"]}, most=0.5)
    assert Batches(store).reserved(CYCLE.name) == 0.75
    Batches(store).step("three", "withdrawn", "why")
    assert Batches(store).reserved(CYCLE.name) == 0.25


def test_batches_of_another_cycle_are_no_concern_of_this_one(store):
    other = cycle_of(["other"], cycle={"name": "second"})
    store.register(other, "rubric")
    planned(store)
    assert (Batches(store).open("second"), Batches(store).waiting("second")) == ([], 0)
