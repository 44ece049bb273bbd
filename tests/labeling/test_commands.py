"""The commands as a user meets them: words, exit codes, and what happens when they are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from consensus.cli import main
from consensus.cyclefile import load
from consensus.store import Store
from tests.labeling.runs import pairs, verdicts


def run(*words):
    """Exit code of a command run in this process."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def write_cycle(folder, *, latency=0.0, n=30, more="", faults=""):
    with (folder / "pairs.jsonl").open("w") as out:
        for pair in pairs(n):
            row = {
                "pair_id": pair.pair_id,
                "prompt": pair.prompt,
                "completion_a": pair.completion_a,
                "completion_b": pair.completion_b,
            }
            out.write(json.dumps({**row, "gold": pair.gold}) + "\n")
    judges = "".join(
        f"  - {{provider: simulated, model: sim-{k}, price: {{input: 1, output: 2}}, max_parallel: 4, "
        f"extra: {{latency_s: {latency}{faults}}}}}\n"
        for k in range(3)
    )
    (folder / "cycle.yaml").write_text(
        f"judges:\n{judges}input: {{pairs: pairs.jsonl}}\nsampling: {{stop: never}}\n{more}"
    )
    return folder / "cycle.yaml"


@pytest.fixture
def cycle(tmp_path):
    return write_cycle(tmp_path)


def test_label_prints_what_was_kept_and_json_says_the_same(cycle, capsys):
    assert run("label", cycle) == 0
    said = capsys.readouterr().out
    assert run("status", cycle, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["schema_version"] == 1
    assert f"kept {figures['kept']} of 30 pairs" in said
    assert figures["kept"] + sum(n for r, n in figures["reasons"].items() if r != "agreed") == 30
    assert [judge["votes"] for judge in figures["judges"]] == [30, 30, 30]
    assert figures["gold"]["n"] == figures["kept"]


def test_dry_run_prices_and_calls_nobody(cycle, capsys):
    assert run("label", cycle, "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["calls"], plan["unpriced"]) == (90, [])
    with Store(load(cycle).store) as store:
        assert verdicts(store, "cycle-1") == {}
    assert run("label", cycle, "--json") == 0
    spent = json.loads(capsys.readouterr().out)["cost_usd"]
    assert 0.5 <= spent / plan["cost_usd"] <= 1.2
    assert run("label", cycle, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 0


def test_dry_run_needs_no_key(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cycle = write_cycle(tmp_path)
    text = cycle.read_text().replace(
        "{provider: simulated, model: sim-0", "{provider: openai, model: gpt-4o, rpm: 60", 1
    )
    cycle.write_text(
        text.replace("price: {input: 1, output: 2}, max_parallel: 4, extra: {latency_s: 0.0}", "max_parallel: 4", 1)
    )
    assert run("label", cycle, "--dry-run", "--json") == 0
    judge = json.loads(capsys.readouterr().out)["judges"][0]
    assert judge["judge"] == "gpt-4o"
    assert judge["cost_usd"] > 0
    assert judge["seconds"] == 30.0
    assert run("label", cycle) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err


def test_max_cost_stops_with_four_and_says_how_to_go_on(cycle, capsys):
    assert run("label", cycle, "--max-cost", "0.02") == 4
    said = capsys.readouterr().out
    assert "stopped at --max-cost" in said
    assert f"consensus label {cycle}" in said
    assert run("label", cycle) == 0


def test_doctor_finds_what_is_wrong_before_it_costs(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert run("doctor", write_cycle(tmp_path), "--call") == 0
    assert capsys.readouterr().out.count("✓") == 9
    broken = tmp_path / "broken.yaml"
    broken.write_text("judges:\n  - {provider: openai, model: gpt-4o}\ninput: {pairs: nowhere.jsonl}\n")
    assert run("doctor", broken, "--json") == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {check["what"] for check in checks if check["ok"] is False} == {"pairs", "gpt-4o"}


def test_doctor_looks_at_every_file_that_the_cycle_file_names(tmp_path, capsys):
    file = tmp_path / "cycle.yaml"
    (tmp_path / "there.csv").write_text("checkpoint,metric,value\n")
    file.write_text(
        "judges:\n  - {provider: recorded, model: one}\n  - {provider: local, model: tiny, name: two, adapter: nowhere}\n"
        "input: {outcomes: [there.csv, gone.csv]}\ntraining: {rows: gone.jsonl}\nevaluation: {gold: gone.gold.jsonl}\n"
    )
    assert run("doctor", file, "--json") == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    said = {(check["what"], check["ok"]) for check in checks}
    assert said >= {("outcomes", True), ("outcomes", False), ("training.rows", False), ("evaluation.gold", False)}
    assert ("two (adapter)", False) in said
    assert "extra train" in {check["what"] for check in checks}


def test_doctor_asks_for_the_extra_that_trains_where_it_is_needed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    judge = "judges:\n  - {provider: recorded, model: one}\nconsensus: {min_agree: 1}\n"
    for more, ok in (("", None), ("training: {beta: 0.2}\n", "warned")):
        (tmp_path / "cycle.yaml").write_text(judge + more)
        assert run("doctor", tmp_path / "cycle.yaml", "--json") == 0
        checks = {check["what"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        assert ("extra train" in checks) == bool(ok)
    assert checks["extra train"]["ok"] is None
    assert "pip install 'judge-consensus[train]'" in checks["extra train"]["said"]


@pytest.mark.parametrize("words", [["label", "--nope"], ["nope"], ["evaluate", "x.yaml", "--only", "nothing"]])
def test_words_that_no_command_has_are_an_object_too(capsys, words):
    assert run(*words, "--json") == 2
    found = capsys.readouterr()
    assert json.loads(found.out)["exit_code"] == 2
    assert found.err


def test_ctrl_c_in_any_command_is_an_object_with_its_exit_code(cycle, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("consensus.cyclefile.load", stop)
    assert run("status", cycle, "--json") == 130
    assert json.loads(capsys.readouterr().out)["exit_code"] == 130


@pytest.mark.parametrize("kind", ["panel", "simulated", "recorded"])
def test_init_writes_a_file_that_loads_and_never_overwrites(tmp_path, capsys, kind):
    file = tmp_path / "new" / "cycle.yaml"
    assert run("init", file, "--kind", kind) == 0
    assert load(file).judges
    assert run("init", file) == 2
    assert "--force" in capsys.readouterr().err


def test_a_mistake_in_json_mode_is_an_object_too(tmp_path, capsys):
    assert run("status", tmp_path / "none.yaml", "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["exit_code"], found["schema_version"]) == (2, 1)


def started(cycle, *words):
    command = [sys.executable, "-m", "consensus.cli", "label", str(cycle), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_status_answers_while_label_runs_and_ctrl_c_finishes_what_is_in_flight(tmp_path, capsys):
    cycle = write_cycle(tmp_path, latency=0.3, n=400)
    live = tmp_path / "consensus.duckdb.live.json"
    with started(cycle) as process:
        wait_for(live.exists)
        time.sleep(1.5)
        assert run("status", cycle, "--json") == 0
        figures = json.loads(capsys.readouterr().out)
        assert figures["running"] is True
        assert figures["pid"] == process.pid
        assert figures["age_s"] < 3
        assert 0 < figures["progress"][0]["done"] < 400
        assert run("label", cycle) == 2
        assert f"process {process.pid}" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "in flight" in err
    assert f"to go on where it was: consensus label {cycle}" in out
    assert not live.exists()
    with Store(load(cycle).store) as store:
        assert len(verdicts(store, "cycle-1")) >= figures["progress"][0]["done"]


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once(tmp_path):
    cycle = write_cycle(tmp_path, latency=30, n=40)
    with started(cycle) as process:
        wait_for((tmp_path / "consensus.duckdb.live.json").exists)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.slow
def test_simulate_serves_until_it_is_stopped(tmp_path):
    command = [sys.executable, "-m", "consensus.cli", "simulate", str(write_cycle(tmp_path)), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        found = json.loads(process.stdout.readline())
        assert found["models"] == ["sim-0", "sim-1", "sim-2"]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error(cycle):
    command = f"{sys.executable} -m consensus.cli --help | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=os.environ)
    assert "Traceback" not in done.stderr
