"""A training learns, goes on, says what broke it, and computes nothing twice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from consensus.errors import TrainingFailed, UsageError
from tests.training.fits import quick, rows
from tests.training.tiny import tiny_model

torch = pytest.importorskip("torch")

from training import adapter, likelihood, trainer  # noqa: E402
from training.dpo import fit  # noqa: E402
from training.model import load  # noqa: E402
from training.order import GroupedByLength  # noqa: E402
from training.rewards import rewards  # noqa: E402

TRAIN, HELD = rows(16), rows(22)[16:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def train(folder, tmp_path):
    def run(name="run", train_rows=TRAIN, held_out=HELD, **given):
        how = {key: given.pop(key) for key in ("on_step", "resume") if key in given}
        return fit(
            load(str(folder)), train_rows, held_out, quick(**given), tmp_path / name, cache=tmp_path / "cache", **how
        )

    return run


def weights(done):
    from safetensors.torch import load_file

    return load_file(done.adapter / "adapter_model.safetensors")


def same(one, other, **tolerance):
    for name, value in weights(one).items():
        torch.testing.assert_close(weights(other)[name], value, **tolerance)


def test_it_learns_which_side_is_preferred_and_says_so_at_every_step(train):
    heard = []
    done = train(on_step=heard.append, epochs=2)
    assert done.steps == 8
    assert [step.step for step in heard if "loss" in step.metrics] == list(range(1, 9))
    assert {"rewards/margins", "rewards/accuracies", "grad_norm", "learning_rate"} <= heard[1].metrics.keys()
    assert done.before.margins.tolist() == [0.0] * len(HELD)
    assert (done.after.margins > 0.2).all()
    assert heard[-1].held_out.margins.tolist() == done.after.margins.tolist()
    assert "eval_rewards/accuracies" in heard[-1].metrics


def test_rewards_of_the_saved_adapter_are_those_of_the_last_look(train, folder, tmp_path):
    done = train()
    found = rewards(load(str(folder), adapter=done.adapter), HELD, beta=0.1, cache=tmp_path / "cache")
    np.testing.assert_allclose(found.chosen, done.after.chosen, atol=1e-5)
    np.testing.assert_allclose(found.rejected, done.after.rejected, atol=1e-5)
    assert found.chosen_tokens.tolist() == done.after.chosen_tokens.tolist()


def test_rewards_without_an_adapter_are_refused(folder):
    with pytest.raises(UsageError, match="without one"):
        rewards(load(str(folder)), HELD, beta=0.1)


def test_the_saved_adapter_names_its_base_as_it_was_asked_for(train, folder):
    done = train(max_steps=1)
    assert f'"base_model_name_or_path": "{folder}"' in (done.adapter / "adapter_config.json").read_text()
    assert sorted(file.name for file in done.adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_nothing_goes_to_stdout(train, capfd):
    train(max_steps=1)
    assert capfd.readouterr().out == ""


def test_a_run_that_was_broken_off_ends_where_an_unbroken_one_does(train, tmp_path):
    class Killed(BaseException):
        pass

    def kill(step):
        if step.step == 5 and "loss" in step.metrics:
            raise Killed

    whole = train("whole", epochs=2, look_every=2)
    with pytest.raises(Killed):
        train("broken", epochs=2, look_every=2, on_step=kill)
    half = tmp_path / "broken" / "checkpoints" / "checkpoint-6"  # what a kill while saving leaves behind
    shutil.copytree(half.with_name("checkpoint-4"), half)
    (half / "trainer_state.json").write_text("{")
    heard = []
    resumed = train("broken", epochs=2, look_every=2, on_step=heard.append)
    assert heard[0].step == 5
    assert resumed.steps == whole.steps
    same(whole, resumed, rtol=0, atol=1e-6)


def test_a_run_that_had_ended_says_the_same_again(train):
    first = train()
    again = train()
    same(first, again, rtol=0, atol=0)
    np.testing.assert_allclose(again.after.margins, first.after.margins, atol=1e-6)


def test_a_run_that_had_ended_takes_no_step_more_whatever_the_learning_rate_is_then(train):
    first = train(schedule="constant", warmup=0)
    again = train(schedule="constant", warmup=0)
    assert again.steps == first.steps
    same(first, again, rtol=0, atol=0)


@pytest.mark.parametrize("broken", ["optimizer.pt", "adapter_model.safetensors", "rng_state.pth"])
def test_a_broken_checkpoint_is_passed_over_for_the_one_before(train, tmp_path, broken):
    whole = train(look_every=2, max_steps=4)
    checkpoints = tmp_path / "run" / "checkpoints"
    (checkpoints / "checkpoint-4" / broken).write_bytes(b"junk")
    (checkpoints / "checkpoint-best").mkdir()
    heard = []
    again = train(look_every=2, max_steps=4, on_step=heard.append)
    assert heard[0].step == 3
    same(whole, again, rtol=0, atol=1e-6)


def test_without_resume_it_begins_anew(train):
    train(max_steps=2)
    heard = []
    train(max_steps=2, resume=False, on_step=heard.append)
    assert [step.step for step in heard if "loss" in step.metrics] == [1, 2]


def test_the_listener_ends_it_early(train):
    done = train(epochs=5, on_step=lambda step: step.step == 3)
    assert done.stopped
    assert done.steps == 3


def test_pairs_computed_one_at_a_time_make_the_same_adapter(train):
    same(train("together"), train("alone", at_once=1), rtol=1e-3, atol=2e-5)


@pytest.fixture
def computed(monkeypatch):
    """The number of pairs of every computation of references."""
    sizes = []
    once = likelihood.log_probs
    monkeypatch.setattr(
        adapter, "log_probs", lambda net, pairs, **how: sizes.append(len(pairs)) or once(net, pairs, **how)
    )
    return sizes


def test_references_are_computed_once_for_all_runs_epochs_and_seeds(train, computed):
    train("first")
    assert sum(computed) == len(TRAIN) + len(HELD)
    train("second", seed=9, lora={"r": 4})
    assert sum(computed) == len(TRAIN) + len(HELD)
    train("more", train_rows=[*TRAIN, *rows(25)[23:]])
    assert sum(computed) == len(TRAIN) + len(HELD) + 2


@pytest.mark.parametrize("short", [{"max_steps": 2}, {"epochs": 0.5}])
def test_a_short_training_computes_the_references_of_the_pairs_that_it_comes_to(train, computed, short):
    losses = []
    train("short", **short, on_step=lambda step: losses.append(step.metrics.get("loss")))
    assert sum(computed) == 2 * 4 + len(HELD)
    assert np.isfinite([loss for loss in losses if loss is not None]).all()


def test_a_broken_file_of_references_is_computed_again(train, tmp_path):
    first = train("first", max_steps=2)
    (file,) = (tmp_path / "cache" / "reference").glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    same(first, train("second", max_steps=2), rtol=0, atol=0)


def test_where_sharing_is_not_exact_it_trains_the_plain_way_and_says_so(train, tmp_path, monkeypatch):
    shared = train("shared")
    monkeypatch.setattr(adapter, "why_not_share", lambda *_: "it is different")
    plain = train("plain")
    assert any("it is different" in note for note in plain.notes)
    assert not any("twice" in note for note in shared.notes)
    same(shared, plain, rtol=1e-3, atol=2e-5)


def test_a_batch_of_more_pairs_than_there_are_is_said(train):
    assert any("5 pairs are less than a batch of 8" in note for note in train("few", TRAIN[:5], batch_size=8).notes)
    assert not any("less than a batch" in note for note in train("enough", TRAIN[:8], batch_size=8).notes)


def test_a_loss_that_is_no_number_stops_it_and_names_the_pairs(train, tmp_path):
    with pytest.raises(TrainingFailed, match=r"pair-\d+', 'pair-\d+.*learning_rate") as failed:
        train(learning_rate=1e30, warmup=0, clip=1e30)
    assert len(re.findall(r"'pair-\d+'", str(failed.value))) == 4


def test_a_last_step_that_bursts_is_found_without_a_loss_after_it(train):
    for held_out in (HELD, []):
        with pytest.raises(TrainingFailed, match="no finite numbers after step 1"):
            train(f"burst {len(held_out)}", held_out=held_out, learning_rate=1e30, warmup=0, max_steps=1)


def test_layers_that_are_not_there_are_said(train):
    with pytest.raises(UsageError, match=r"'training\.lora' does not fit"):
        train(lora={"target": ["nonsense"]})


def test_a_reporter_that_is_not_installed_is_said(train):
    with pytest.raises(UsageError, match="report_to: nonsense"):
        train(report_to=("nonsense",))


def test_a_full_disk_says_that_it_goes_on(train, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0")

    monkeypatch.setattr(trainer.SharedPrefixTrainer, "_save_checkpoint", full)
    with pytest.raises(TrainingFailed, match="with room on the disk the same command goes on"):
        train()


def test_memory_that_runs_out_says_what_to_change(train, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(trainer.SharedPrefixTrainer, "compute_loss", full)
    with pytest.raises(TrainingFailed, match="at_once: 2"):
        train()


def test_a_pair_beyond_max_length_is_refused_by_name(train):
    with pytest.raises(UsageError, match=r"16 pairs are longer than 'training.max_length: 20' tokens.*'pair-0'"):
        train(max_length=20, held_out=[])


def test_an_uneven_batch_is_refused(train):
    with pytest.raises(UsageError, match="cannot be divided"):
        train(batch_size=4, at_once=3)


def test_no_pair_is_no_training(train):
    with pytest.raises(UsageError, match="no pair"):
        train(train_rows=[])


@pytest.mark.parametrize("n", [1, 5, 8, 203])
def test_batches_hold_every_row_and_rows_of_similar_length(n):
    lengths = np.random.default_rng(0).integers(1, 1000, n)
    order = GroupedByLength(lengths, 4, seed=1)
    first = list(order)
    assert len(first) == len(order) == -(-n // 4) * 4
    assert set(first) == set(range(n))
    order.set_epoch(1)
    assert n == 1 or list(order) != first
    order.set_epoch(0)
    assert list(order) == first
    if n > 100:
        spread, by_chance = (
            np.ptp(lengths[these].reshape(-1, 4), axis=1).mean() for these in (first[:200], range(200))
        )
        assert spread < by_chance / 4


ALONE = """
import os
import sys
from pathlib import Path
from tests.training.fits import quick, rows
from training.dpo import fit
from training.model import load

model, folder = Path(sys.argv[1]), Path(sys.argv[2])
heard = []
done = fit(load(str(model)), rows(10), rows(15)[10:], quick(epochs=2), folder, cache=folder / "cache", on_step=heard.append)
told = [len([step for step in heard if "loss" in step.metrics]), done.steps, *done.after.margins.round(4)]
(folder / f"{os.environ.get('RANK', 0)}.told").write_text(" ".join(map(str, told)))
"""


@pytest.mark.slow
def test_two_processes_train_what_one_does(folder, tmp_path):
    """Ten pairs in batches of four: the last batch is not full, and the held-out rows are odd."""
    script = tmp_path / "alone.py"
    script.write_text(ALONE)
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    launch = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launch = [sys.executable, *launch.split(), "--main_process_port", "0"]
    for start, name in (([sys.executable], "one"), (launch, "two")):
        subprocess.run([*start, script, folder, tmp_path / name], env=environment, check=True)
    (heard, steps, *margins), *by_rank = (
        [float(word) for word in (tmp_path / file).read_text().split()]
        for file in ("one/0.told", "two/0.told", "two/1.told")
    )
    assert [told[0] for told in by_rank] == [heard, 0]
    for _, ended, *found in by_rank:
        assert ended == steps
        np.testing.assert_allclose(found, margins, atol=2e-3)
