"""What the store keeps of training runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consensus.runs import Measured, Run, add_metrics, metrics, note, runs
from consensus.store import Store

AT = datetime(2026, 10, 1, tzinfo=UTC).replace(tzinfo=None)  # as the store has it


def run(name="c-12345678", cycle="c"):
    return Run(name, cycle, {"beta": 0.1}, "d" * 64, "soft", {"trl": "1.16.0", "git": None}, 3, f"runs/{name}")


@pytest.fixture
def store():
    with Store() as opened:
        yield opened


def test_a_run_stands_where_it_was_last_heard_of(store):
    first, second = run("one"), run("two")
    for which, step in ((first, "begun"), (second, "begun"), (first, "failed"), (first, "begun"), (first, "ended")):
        note(store, which, step)
    assert [(found.run, found.step) for found in runs(store, "c")] == [(second, "begun"), (first, "ended")]


def test_runs_of_other_cycles_are_told_apart(store):
    note(store, run("one"), "begun")
    note(store, run("two", "other"), "begun")
    assert [found.run.run for found in runs(store, "other")] == ["two"]
    assert [found.run.run for found in runs(store)] == ["one", "two"]


def test_the_losses_and_the_look_of_a_step_are_one_measurement(store):
    loss, look = {"loss": 1.0}, {"held_out/accuracy": 0.5}
    add_metrics(store, "one", [Measured(5, 0.5, loss, AT), Measured(5, 0.5, look, AT + timedelta(seconds=1))])
    assert [one.metrics for one in metrics(store, "one")] == [loss | look]


def test_of_a_step_that_was_done_again_the_last_measurement_counts(store):
    before = [Measured(step, step / 10, {"loss": 1.0}, AT + timedelta(seconds=step)) for step in (1, 2, 3)]
    again = Measured(3, 0.3, {"loss": 0.5, "rewards/margins": 0.1}, AT + timedelta(seconds=9))
    add_metrics(store, "one", before)
    add_metrics(store, "one", [again])
    assert metrics(store, "one") == [*before[:2], again]


def test_what_is_there_already_is_not_added_twice(store):
    measured = [Measured(1, 0.1, {"loss": 1.0}, AT), Measured(2, 0.2, {"loss": 0.9}, AT)]
    assert [add_metrics(store, "one", measured[:1]), add_metrics(store, "one", measured)] == [1, 1]
    assert metrics(store, "one") == measured
