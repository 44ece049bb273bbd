"""The figures of a large store can be had at once, and say what is not in them."""

from __future__ import annotations

import pytest

from consensus import summary as summaries
from consensus.nouns import Ballot, Pair, Shown, Verdict, Vote
from consensus.store import Store
from consensus.summary import glance, keep_up, summary
from tests.consensus.cycles import cycle_of

CYCLE = cycle_of(["x", "y", "z"])
HASHES = {judge.label: judge.config_hash("rubric") for judge in CYCLE.judges}


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(summaries, "AT_ONCE", 5)
    with Store() as opened:
        opened.register(CYCLE, "rubric")
        opened.add_pairs(CYCLE.name, [Pair(f"p{k}", "q", f"a{k}", f"b{k}") for k in range(20)])
        yield opened


def vote(store, pairs):
    votes = [Vote(Ballot(f"p{k}", judge, Shown.AB), Verdict.A) for k in pairs for judge in "xyz"]
    store.add(CYCLE.name, HASHES, votes)


def test_what_came_after_the_last_figures_is_counted_not_hidden(store):
    vote(store, range(4))
    complete = summary(store, CYCLE.name)
    vote(store, range(4, 6))
    store.add_pairs(CYCLE.name, [Pair("late", "q", "a", "b")])
    seen = glance(store, CYCLE.name)
    assert (seen["newer_votes"], seen["newer_pairs"]) == (6, 1)
    assert {**complete, "newer_votes": 6, "newer_pairs": 1} == seen


def test_complete_figures_say_so_and_those_of_a_small_store_always_are(store):
    vote(store, range(1))
    summary(store, CYCLE.name)
    store.add(CYCLE.name, HASHES, [Vote(Ballot("p1", "x", Shown.AB), Verdict.B)])
    seen = glance(store, CYCLE.name)
    assert (seen["votes"], seen["newer_votes"], seen["newer_pairs"]) == (4, 0, 0)


def test_figures_of_another_rule_are_no_figures(store):
    vote(store, range(4))
    summary(store, CYCLE.name)
    vote(store, range(4, 6))
    store.use_rule(cycle_of(["x", "y", "z"], consensus={"min_agree": 3}))
    assert glance(store, CYCLE.name)["newer_votes"] == 0
    assert glance(store, CYCLE.name)["votes"] == 18


def test_figures_of_a_growing_cycle_are_kept_when_it_has_grown_by_half(store):
    kept = []
    for k in range(12):
        vote(store, [k])
        keep_up(store, CYCLE.name)
        found = store.last_figures(CYCLE.name)
        kept.append(found[1]["votes"] if found else None)
    assert kept == [None, 6, 6, 12, 12, 12, 21, 21, 21, 21, 33, 33]
