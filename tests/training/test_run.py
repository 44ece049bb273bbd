"""A run: what it leaves, what it says, and that it goes on where it was."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pytest
import torch
from filelock import FileLock

from consensus.audits import keep
from consensus.cli import main
from consensus.cyclefile import load as load_cycle
from consensus.runs import metrics, runs
from consensus.sections.training import Training
from consensus.store import Store
from evaluation.audit.audit import audit
from tests.training.runs import cycle_file, labeled, pairs
from tests.training.tiny import tiny_model
from training.identity import run_name
from training.model import load
from training.preferences import plan
from training.record import measured

QUICK = "learning_rate: 0.01, epochs: 2, batch_size: 8, validation: 0.3, near: null"
STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A labeled cycle file beside the tiny model."""
    folder = tmp_path_factory.mktemp("run")
    tiny_model(folder / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSENSUS_CACHE", str(folder / "cache"))
        yield labeled(folder, pairs(60, gold=20), training=f"model: {folder / 'tiny'}, {QUICK}")[0]


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["train", *(str(word) for word in words)])
    return ended.value.code or 0


@pytest.fixture(scope="module")
def done(made):
    """A finished run's folder."""
    assert run(made, "--name", "first", "--merge") == 0
    return made.parent / "runs" / "first"


def weights(adapter: Path):
    from safetensors.torch import load_file

    return load_file(adapter / "adapter_model.safetensors")


def furthest(one: Path, other: Path) -> float:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_peft_loads_the_adapter_and_it_tells_the_chosen_from_the_rejected(made, done):
    from training.rewards import rewards
    from training.rows import HELD_OUT, dataset, row

    loaded = load(str(made.parent / "tiny"), adapter=done / "adapter")
    rows = [row(one) for one in dataset(done / "data" / HELD_OUT)]
    found = rewards(loaded, rows, beta=0.1)
    accuracy = json.loads((done / "manifest.json").read_text())["result"]["held_out"]["accuracy"]
    assert float((found.margins > 0).mean()) == pytest.approx(accuracy["value"])
    assert accuracy["low"] > 0.5


def test_the_merged_weights_say_what_base_and_adapter_say(made, done):
    asked = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        apart = load(str(made.parent / "tiny"), adapter=done / "adapter").model(asked).logits
        merged = load(str(done / "merged")).model(asked).logits
    assert torch.allclose(apart, merged, atol=1e-4)


def test_the_adapters_config_names_the_base_model_as_the_cycle_file_does(made, done):
    config = json.loads((done / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(made.parent / "tiny")
    assert (done / "adapter" / "adapter_model.safetensors").exists()


def test_the_manifest_has_everything_that_decided_the_run(made, done):
    found = json.loads((done / "manifest.json").read_text())
    assert (found["state"], found["stored"], found["policy"], found["seed"]) == ("ended", True, "hard", 0)
    assert found["config"]["learning_rate"] == 0.01
    assert found["versions"]["trl"] is not None
    assert (len(found["data_hash"]), len(found["base"])) == (64, 32)
    assert found["data"]["train"] + found["data"]["held_out"] + sum(found["data"]["left_out"].values()) == 60
    assert found["result"]["steps"] == STEPS


def test_the_card_says_base_model_data_and_the_held_out_accuracy_with_its_interval(done):
    text = (done / "README.md").read_text()
    assert (done / "adapter" / "README.md").read_text() == text
    assert text.startswith("---\nbase_model: ")
    assert "larger implicit reward in" in text
    assert "95 % interval by prompt" in text
    assert "| j0 | 60 |" in text
    assert "agree with gold" in text


def test_the_card_has_the_audit_with_its_intervals_or_says_that_there_was_none(made, done, tmp_path):
    assert "were not audited before" in (done / "README.md").read_text()
    shutil.copytree(made.parent, tmp_path / "audited")
    file = tmp_path / "audited" / made.name
    cycle = load_cycle(file)
    with Store(cycle.store) as store:
        found = audit(store, cycle)
        keep(store, cycle.name, found.votes, found.kept())
    assert run(file, "training.max_steps=1", "--name", "audited") == 0
    card = (tmp_path / "audited/runs/audited/README.md").read_text()
    for judge in found.judges:
        bias = judge["position_bias"]
        shown = f"{100 * bias.value:.1f} % [{100 * bias.low:.1f} %, {100 * bias.high:.1f} %]"
        assert re.search(rf"^\| {judge.judge} \| .*{re.escape(shown)}", card, re.MULTILINE)
    alpha = found.panel["alpha"]
    assert f"alpha {alpha.value:.2f} [{alpha.low:.2f}, {alpha.high:.2f}]" in card


def test_the_store_and_the_file_have_every_step_by_trls_names(made, done):
    with Store(made.parent / "consensus.duckdb") as store:
        (standing,) = [one for one in runs(store, "c") if one.run.run == "first"]
        kept = metrics(store, "first")
    assert (standing.step, standing.run.folder) == ("ended", "runs/first")
    assert [one.step for one in kept] == list(range(STEPS + 1))
    assert all({"loss", "rewards/margins", "rewards/accuracies"} <= one.metrics.keys() for one in kept[1:])
    assert kept[0].metrics["held_out/accuracy"] == 0.5
    assert kept[-1].metrics["held_out/accuracy_low"] <= kept[-1].metrics["held_out/accuracy"]
    assert {one.step for one in measured(done / "metrics.jsonl")} == set(range(STEPS + 1))


def test_a_run_that_is_over_is_not_trained_again(made, done, capsys):
    before = (done / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    assert run(made, "--name", "first", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["was_over"] is True
    assert found["serve"].startswith("vllm serve ")
    assert (done / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_a_name_that_is_taken_by_other_settings_is_refused_with_the_difference(made, done, capsys):
    assert run(made, "training.beta=0.3", "--name", "first") == 2
    assert "training.beta: 0.1 before, 0.3 now" in capsys.readouterr().err
    assert run(made, "consensus.min_agree=3", "--name", "first") == 2
    assert "the labels, or the rule over them" in capsys.readouterr().err


def test_a_dry_run_says_pairs_by_policy_steps_and_time_and_writes_nothing(made, done, capsys):
    there = sorted(made.parent.rglob("*"))
    assert run(made, "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    manifest = json.loads((done / "manifest.json").read_text())
    assert (found["train"], found["held_out"], found["steps"]) == (
        manifest["data"]["train"],
        manifest["data"]["held_out"],
        STEPS,
    )
    assert found["policies"].keys() == {"hard"}
    assert found["seconds"] > 0
    assert sorted(made.parent.rglob("*")) == there


def test_without_the_extra_it_says_what_to_install(made, monkeypatch, capsys):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "trl" else there(name, *rest))
    assert run(made) == 2
    assert "training needs trl: pip install 'judge-consensus[train]'" in capsys.readouterr().err


def test_two_commands_do_not_train_the_same_run_at_once(made, capsys):
    folder = made.parent / "runs" / "locked"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        assert run(made, "--name", "locked") == 2
    assert "another process trains the run 'locked'" in capsys.readouterr().err


def test_labels_that_are_not_there_are_said(made, capsys):
    assert run(made, "cycle.name=ghost") == 2
    assert "no cycle 'ghost'" in capsys.readouterr().err


def test_training_stops_when_it_makes_the_test_worse(made, capsys):
    """People call what is held out the other way round than what is trained on."""
    folder = made.parent / "turned"
    folder.mkdir()
    with Store(made.parent / "consensus.duckdb") as store:
        held_out = set(plan(store, load_cycle(made)).table.filter(pc.field("held_out"))["prompt_id"].to_pylist())
    turned = [replace(p, gold=p.gold.swapped()) if p.prompt_id in held_out else p for p in pairs(60, gold=60)]
    settings = f"model: {made.parent / 'tiny'}, {QUICK}, patience: 2, look_every: 1"
    file, _ = labeled(folder, turned, training=settings)
    assert run(file, "--name", "turned", "--json") == 0
    result = json.loads(capsys.readouterr().out)["result"]
    worse = [
        one.step
        for one in measured(folder / "runs/turned/metrics.jsonl")
        if one.metrics.get("held_out/accuracy_high", 1) < 0.5
    ]
    assert result["stopped_early"] is True
    assert result["steps"] == worse[1] < STEPS


def test_nothing_held_out_is_said_and_known_to_be_unknown(made, capsys):
    assert run(made, "training.validation=0", "training.max_steps=2", "--name", "blind", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["result"]["held_out"], found["data"]["held_out"], found["result"]["steps"]) == (None, 0, 2)
    assert "nothing is known of how well it does" in (made.parent / "runs/blind/README.md").read_text()


def test_a_judge_is_trained_on_judgments_without_any_store(made, tmp_path, capsys):
    rows = [
        {
            "prompt": f"Which is better, {k}?",
            "chosen": '{"verdict": "A"}',
            "rejected": '{"verdict": "B"}',
            "pair_id": f"j{k}",
        }
        for k in range(12)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    settings = (
        f"task: judge, rows: rows.jsonl, model: {made.parent / 'tiny'}, max_steps: 2, batch_size: 4, validation: 0.3"
    )
    assert run(cycle_file(tmp_path, settings), "--name", "judge", "--json") == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["train"] + data["held_out"] == 12
    assert (tmp_path / "runs/judge/adapter/adapter_model.safetensors").exists()
    card = (tmp_path / "runs/judge/README.md").read_text()
    assert "Rows of rows.jsonl" in card
    assert "majority" not in card  # there was no panel

    assert run(cycle_file(tmp_path, settings), "--name", "judge") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("as a judge in a cycle file: ")]
    file = tmp_path / "judged.yaml"
    file.write_text(f"judges:\n  - {line.partition(': ')[2]}\n")
    (judge,) = load_cycle(file).judges
    assert (judge.provider, judge.name, judge.adapter) == ("local", "judge", tmp_path / "runs/judge/adapter")


def test_a_loss_that_is_no_number_ends_the_run_and_the_store_says_so(made, capsys):
    assert run(made, "training.learning_rate=1e30", "training.clip=1e30", "training.warmup=0", "--name", "burst") == 1
    assert "look at these pairs" in capsys.readouterr().err
    with Store(made.parent / "consensus.duckdb") as store:
        assert [one.step for one in runs(store) if one.run.run == "burst"] == ["failed"]


@pytest.fixture
def copied(made, done):
    """Another finished run, to be broken."""
    assert run(made, "--name", "copied", "training.max_steps=2") == 0
    yield done.with_name("copied")
    shutil.rmtree(done.with_name("copied"))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_broken_manifest_is_said_and_nothing_is_trained(made, copied, capsys, content):
    (copied / "manifest.json").write_text(content)
    assert run(made, "--name", "copied", "training.max_steps=2", "--json") == 2
    found = capsys.readouterr()
    assert json.loads(found.out.splitlines()[-1])["error"] == found.err.strip().splitlines()[-1]
    assert "is broken" in found.err
    assert "delete the folder" in found.err


def test_without_a_manifest_nothing_of_an_earlier_run_is_gone_on_from(made, copied, capsys):
    (copied / "manifest.json").unlink()
    assert run(made, "--name", "copied", "training.max_steps=3") == 0
    assert [one.step for one in measured(copied / "metrics.jsonl") if "loss" in one.metrics] == [1, 2, 3]


def test_a_run_that_is_over_without_its_adapter_is_not_called_done(made, copied, capsys):
    shutil.rmtree(copied / "adapter")
    assert run(made, "--name", "copied", "training.max_steps=2") == 2
    assert "its adapter is not in" in capsys.readouterr().err


def test_rows_of_a_run_that_are_not_whole_are_said(made, copied, capsys):
    (copied / "data" / "held_out.arrow").write_bytes(b"junk")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(made), "copied"])
    assert ended.value.code == 2
    assert "cannot read the rows of the run" in capsys.readouterr().err


def test_an_adapter_is_neither_measured_nor_merged_on_other_weights_than_its_base(made, copied, capsys):
    keep = made.parent / "keep"
    (made.parent / "tiny").rename(keep)
    try:
        tiny_model(made.parent / "tiny", seed=1)
        for words in (["evaluate", str(made), "copied"], ["train", str(made), "--name", "copied", "--merge"]):
            with pytest.raises(SystemExit) as ended:
                main([*words, "training.max_steps=2"])
            assert ended.value.code == 2
            assert "has other weights than those" in capsys.readouterr().err
    finally:
        shutil.rmtree(made.parent / "tiny")
        keep.rename(made.parent / "tiny")


@pytest.mark.parametrize("name", ["", "a/b", "..", "é", "a" * 101])
def test_a_name_that_is_no_folder_is_refused(made, capsys, name):
    assert run(made, f"--name={name}") == 2
    assert "a run's name has up to 100 letters" in capsys.readouterr().err


def test_a_cycle_of_any_name_has_a_run_of_its_own():
    names = [run_name(cycle, Training(), "x") for cycle in ("[é]", "x" * 200, "..", "ok")]
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) for name in names)
    assert names[-1].startswith("ok-")


def test_ctrl_c_says_that_the_same_command_goes_on(made, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.run.train", stop)
    assert run(made, "--json") == 130
    found = capsys.readouterr()
    assert "the same command goes on from the last checkpoint" in found.err
    assert json.loads(found.out)["exit_code"] == 130


def command(made, *words):
    return [sys.executable, "-m", "consensus.cli", "train", str(made), *words]


@pytest.fixture
def environment(made):
    return {**os.environ, "OMP_NUM_THREADS": "1", "CONSENSUS_CACHE": str(made.parent / "cache")}


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_result_of_an_unbroken_one(made, done, environment):
    folder = made.parent / "runs" / "killed"
    child = subprocess.Popen(command(made, "--name", "killed"), env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while time.monotonic() < until and child.poll() is None:
        if any(one.step >= STEPS // 2 for one in measured(folder / "metrics.jsonl")):
            break
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert json.loads((folder / "manifest.json").read_text())["state"] == "begun"
    reached = max(one.step for one in measured(folder / "metrics.jsonl"))
    assert STEPS // 2 <= reached < STEPS
    assert run(made, "--name", "killed") == 0
    assert furthest(folder / "adapter", done / "adapter") < 1e-6
    lines = measured(folder / "metrics.jsonl")
    assert [one.step for one in lines if "loss" in one.metrics] == list(range(1, STEPS + 1))
    with Store(made.parent / "consensus.duckdb") as store:
        losses = [[one.metrics["loss"] for one in metrics(store, name) if one.step] for name in ("killed", "first")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
def test_two_processes_train_what_one_trains_and_one_of_them_writes(made, done, environment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launcher += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(port)]
    words = ["-m", "consensus.cli", "train", str(made), "--name", "both", "--json"]
    ended = subprocess.run([*launcher, *words], env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert len(ended.stdout.strip().splitlines()) == 1
    assert furthest(made.parent / "runs/both/adapter", done / "adapter") < 1e-4
    with Store(made.parent / "consensus.duckdb") as store:
        assert [one.step for one in metrics(store, "both")] == list(range(STEPS + 1))
        rows = store.db.execute("SELECT step, count(*) FROM run_metrics WHERE run = 'both' GROUP BY step").fetchall()
        assert [one.step for one in runs(store) if one.run.run == "both"] == ["ended"]
    lines = measured(made.parent / "runs/both/metrics.jsonl")
    assert sum(n for _, n in rows) == len(lines)
