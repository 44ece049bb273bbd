"""What is written down of a run, when it stops, and which weights are kept."""

from __future__ import annotations

import json
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.runs import metrics
from consensus.store import Store
from training.dpo import Step
from training.looks import EarlyStop, HeldOut, figures_of, look, share_won
from training.record import Recorder, back_to_best, kept, measured, sync
from training.rewards import Rewards

N = 40
HELD = HeldOut.of([f"prompt {k // 2}" for k in range(N)], ["chosen" if k % 4 else "rejected" for k in range(N)])


def rewards(right):
    """Of so many pairs the chosen side has the larger reward."""
    margins = np.where(np.arange(N) < right, 1.0, -1.0)
    return Rewards(margins, np.zeros(N), np.ones(N, np.int64), np.ones(N, np.int64))


class Nobody:
    def step(self, *_):
        pass

    def look(self, *_):
        pass


@pytest.fixture
def recorder(tmp_path):
    def made(patience=2):
        return Recorder(tmp_path, "r", tmp_path / "s.duckdb", held_out=HELD, patience=patience, show=Nobody())

    return made


def losses(step):
    return Step(step, 10, step / 10, {"loss": 1 / (1 + step), "step": 99.0})


def looked(step, right):
    return Step(step, 10, step / 10, {"eval_loss": 0.5}, rewards(right))


def checkpoint(folder, step):
    where = folder / "checkpoints" / f"checkpoint-{step}"
    where.mkdir(parents=True)
    (where / "adapter_model.safetensors").write_text(f"weights {step}")


def run_of(recorder, folder, looks):
    """A run with a look after each step; the steps until it stopped."""
    for step, right in enumerate(looks, 1):
        recorder(losses(step))
        if recorder(looked(step, right)):
            return step
        checkpoint(folder, step)
    return None


def test_it_stops_after_so_many_worse_looks_in_a_row_and_the_best_weights_are_kept(recorder, tmp_path):
    assert run_of(recorder(), tmp_path, [20, 30, 36, 30, 37, 36, 35]) == 7
    (tmp_path / "adapter").mkdir()
    assert back_to_best(tmp_path, tmp_path / "adapter") == 5
    assert (tmp_path / "adapter" / "adapter_model.safetensors").read_text() == "weights 5"


def test_without_patience_it_goes_on_and_keeps_nothing_beside(recorder, tmp_path):
    assert run_of(recorder(None), tmp_path, [30, 20, 10, 5, 0]) is None
    assert kept(tmp_path) is None


def test_a_run_that_was_killed_stops_where_an_unbroken_one_does(recorder, tmp_path):
    looks = [20, 36, 30, 31]
    first = recorder()
    for step, right in enumerate(looks[:3], 1):
        first(losses(step))
        first(looked(step, right))
        checkpoint(tmp_path, step)
    first(losses(4))  # measured, but there is no checkpoint of it
    again = recorder()
    again(losses(4))
    assert again(looked(4, looks[3])) is True
    assert [(one.step, "loss" in one.metrics) for one in measured(tmp_path / "metrics.jsonl")] == [
        (step, kind) for step in (1, 2, 3, 4) for kind in (True, False)
    ]
    assert kept(tmp_path) == 2


def test_a_line_that_was_cut_off_by_a_kill_is_no_measurement(recorder, tmp_path):
    record = recorder()
    record(losses(1))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert [one.step for one in measured(tmp_path / "metrics.jsonl")] == [1]


def test_the_store_gets_what_the_file_has_also_after_it_was_in_use(recorder, tmp_path):
    record = recorder()
    for step in (1, 2):
        record(losses(step))
        record(looked(step, 30))
    assert sync(tmp_path, "r", tmp_path / "s.duckdb")
    record(losses(3))
    assert sync(tmp_path, "r", tmp_path / "s.duckdb")
    with Store(tmp_path / "s.duckdb") as store:
        found = metrics(store, "r")
        count = store.db.execute("SELECT count(*) FROM run_metrics").fetchone()
    assert [one.step for one in found] == [1, 2, 3]
    assert {"loss", "eval_loss", "held_out/accuracy"} <= found[0].metrics.keys()
    assert count == (5,)


def test_numbers_that_are_none_are_left_out(recorder, tmp_path):
    recorder()(Step(1, 2, 0.5, {"loss": 1.0, "grad_norm": nan}))
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line).keys() == {"step", "epoch", "loss", "at"}


@given(st.integers(0, N))
def test_a_look_counts_the_pairs_that_labels_and_people_bear_out(right):
    found = look(rewards(right), HELD)
    assert found.accuracy.value == pytest.approx(right / N)
    says = np.where(np.arange(N) < right, 1, -1) == HELD.gold
    assert found.gold.value == pytest.approx(says.mean())
    assert found.margin.value == pytest.approx(2 * right / N - 1)


@given(st.integers(0, N))
def test_the_figures_of_a_look_come_back_from_its_metrics(right):
    found = look(rewards(right), HELD)
    assert figures_of(found.metrics(), HELD) == found.figures()


def test_before_training_the_accuracy_is_a_half_and_has_no_bounds():
    nothing = share_won(np.zeros(5), np.arange(5))
    assert (nothing.value, nothing.n) == (0.5, 5)
    assert np.isnan([nothing.low, nothing.high]).all()


@given(st.lists(st.floats(0.5, 1), max_size=30), st.integers(1, 4))
def test_a_run_that_only_gets_better_never_stops(lows, patience):
    stop = EarlyStop(patience)
    assert not any(stop(step, {"low": low, "high": 1.0}) for step, low in enumerate(sorted(lows), 1))
