"""`consensus evaluate` as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from consensus import runs
from consensus.cyclefile import load
from consensus.results import results
from consensus.scores import scores
from consensus.store import Store
from tests.evaluation.audits import run

CHECKPOINTS = """
evaluation:
  candidate: {provider: simulated, model: tuned, extra: {drafts: 3, same: 0}, price: {input: 1, output: 2}}
  baseline: {provider: simulated, model: base, extra: {same: 0}, price: {input: 1, output: 2}}
"""


def cycle_file(folder, more=CHECKPOINTS, pairs=120):
    """A cycle of three simulated judges whose pairs are in the store."""
    rows = [
        {"prompt": f"question {k}", "completion_a": f"one {k}", "completion_b": f"two {k}", "category": "ab"[k % 2]}
        for k in range(pairs)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = "{provider: simulated, model: sim-%d, extra: {accuracy: 0.9}, price: {input: 1, output: 2}}"
    file = folder / "cycle.yaml"
    file.write_text(
        "judges:\n"
        + "".join(f"  - {judge % k}\n" for k in range(3))
        + f"input: {{pairs: pairs.jsonl}}\ntraining: {{validation: 0.5, near: null}}\n{more}"
    )
    return file


def labeled(folder, capsys, **more):
    file = cycle_file(folder, **more)
    assert run(capsys, "label", file)[0] == 0
    return file


def test_a_contest_is_priced_played_kept_and_corrected_by_people(tmp_path, capsys):
    file = labeled(tmp_path, capsys)
    code, out, _ = run(capsys, "evaluate", file, "--dry-run", "--json")
    plan = json.loads(out)["head_to_head"]
    prompts = plan["prompts"]
    assert (code, plan["calls"]) == (0, 2 * prompts + 6 * prompts)
    code, out, _ = run(capsys, "evaluate", file, "--dry-run")
    assert "--max-cost" in out

    review = tmp_path / "review.jsonl"
    code, out, _ = run(capsys, "evaluate", file, "--review", review, "--size", "40", "--json")
    found = json.loads(out)
    assert (code, found["rewards"], found["review"]["pairs"]) == (0, None, 40)
    win = found["head_to_head"]["all"]["figures"]["win_rate"]
    assert win["low"] < 0.9 * 0.75 < win["high"]
    assert found["spent"]["votes"] == 6 * prompts
    cycle = load(file)
    with Store(cycle.store) as store:
        kept = results(store, cycle=cycle.name, checkpoint="tuned", metric="win")
        assert kept.value.mean() == pytest.approx(win["value"])
        assert set(kept.baseline) == {"base"}
        assert set(kept.category) == {"a", "b"}
        assert len(results(store, checkpoint="base", metric="length")) == prompts
        (score,) = [each for each in scores(store, checkpoint="tuned") if each.metric == "win_rate"]
        assert (score.value, score.baseline, score.clusters) == (win["value"], "base", prompts)
        assert [part["category"] for part in score.details["categories"]] == ["a", "b"]

    rows = [json.loads(line) | {"gold": "a"} for line in review.read_text().splitlines()]
    review.write_text("".join(json.dumps(row) + "\n" for row in rows))
    gold = "evaluation.gold=review.jsonl"
    code, out, _ = run(capsys, "evaluate", file, gold, "--json")
    corrected = json.loads(out)["head_to_head"]["by_people"]
    assert (corrected["answers"], corrected["by_votes"]) == (40, True)
    assert json.loads(out)["spent"] == found["spent"]
    with review.open("a") as more:
        more.write(json.dumps({"pair_id": "of another contest", "gold": "b", "drawn": "by votes"}) + "\n")
    _, out, _ = run(capsys, "evaluate", file, gold)
    assert "1 of 41 answers of evaluation.gold are about no judged pair" in out
    assert "corrected by people: 40 answers" in out
    assert "judges only: where judges share a bias" in out
    with Store(cycle.store) as store:
        items = results(store, checkpoint="tuned", metric="win_corrected")
        (score,) = [each for each in scores(store, checkpoint="tuned") if each.metric == "win_rate_corrected"]
        assert (len(items), items.value.mean()) == (prompts, pytest.approx(score.value))
        assert score.value == pytest.approx(corrected["corrected"]["value"])


def test_a_contest_that_is_broken_off_keeps_no_figures_and_goes_on(tmp_path, capsys):
    file = labeled(tmp_path, capsys)
    cycle = load(file)
    with Store(cycle.store) as store:
        cap = store.spent(cycle.name) + 0.02
    code, out, _ = run(capsys, "evaluate", file, "--max-cost", cap)
    assert code == 4
    assert "to go on where it was" in out
    with Store(cycle.store) as store:
        assert scores(store) == []
    assert run(capsys, "evaluate", file)[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-run"], "no run 'no-such-run' that has ended; its runs are: none"),
        (["--only", "rewards"], "has nothing to evaluate"),
        (["one", "two"], "one run is evaluated at a time"),
        (["--max-cost", "-1"], "is an amount of US dollars"),
        (["--review", "r.jsonl", "--size", "0"], "at least one"),
        (["evaluation.gold=nowhere.jsonl"], "there is no file"),
        (["evaluation.baseline.model=tuned"], "both checkpoints are called 'tuned'"),
        (["evaluation.candidate.n=2"], "less than or equal to 1"),
        (["training.validation=0"], "no prompt of cycle"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, capsys, words, said):
    file = labeled(tmp_path, capsys, pairs=9)
    code, _, err = run(capsys, "evaluate", file, *words)
    assert code == 2
    assert said in err


def test_pairs_for_people_need_a_head_to_head(tmp_path, capsys):
    file = labeled(tmp_path, capsys, more="", pairs=9)
    code, _, err = run(capsys, "evaluate", file, "--review", str(tmp_path / "people.jsonl"))
    assert code == 2
    assert "names no checkpoints" in err


def test_without_a_run_or_checkpoints_it_says_what_makes_them(tmp_path, capsys):
    file = labeled(tmp_path, capsys, more="", pairs=9)
    code, _, err = run(capsys, "evaluate", file)
    assert code == 2
    assert "'consensus train' makes a run" in err
    code, _, err = run(capsys, "evaluate", file, "--only", "head-to-head")
    assert code == 2
    assert "names no checkpoints" in err


def adapted(model, folder):
    """An adapter of random weights for the model in this folder, written to that one."""
    from peft import LoraConfig, get_peft_model

    from training.model import load as load_model

    settings = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(load_model(str(model)).model, settings).save_pretrained(folder)


@pytest.mark.slow
def test_an_adapter_meets_its_base_in_this_process(tmp_path, capsys, monkeypatch):
    pytest.importorskip("peft")
    from tests.training.tiny import tiny_model

    monkeypatch.setenv("CONSENSUS_CACHE", str(tmp_path / "cache"))
    model = tiny_model(tmp_path / "tiny")
    adapted(model, tmp_path / "runs" / "first" / "adapter")
    here = f"provider: local, model: {model}, max_tokens: 6"
    contest = (
        f"evaluation:\n  candidate: {{{here}, name: first, adapter: runs/first/adapter}}\n"
        f"  baseline: {{{here}, name: base}}\n  prompts: 4\n"
    )
    file = labeled(tmp_path, capsys, more=contest, pairs=30)
    code, out, _ = run(capsys, "evaluate", file, "--json")
    found = json.loads(out)
    assert (code, found["spent"]["answers"]) == (0, 8)
    assert found["head_to_head"]["all"]["items"] == 4
    assert found["head_to_head"]["same"] < 4  # the adapter says something else than the base


@pytest.mark.slow
def test_rewards_of_a_run_are_measured_kept_and_shown(tmp_path, capsys, monkeypatch):
    """A run's folder with an adapter that was never trained: its rewards are some numbers, those that the model gives."""
    pytest.importorskip("peft")
    from tests.training.runs import labeled as voted
    from tests.training.runs import pairs
    from tests.training.tiny import tiny_model
    from training.model import load as load_model
    from training.preferences import plan
    from training.rewards import rewards
    from training.rows import write
    from training.run import Rows

    monkeypatch.setenv("CONSENSUS_CACHE", str(tmp_path / "cache"))
    model = tiny_model(tmp_path / "tiny")
    file, cycle = voted(tmp_path, pairs(60, gold=20), training=f"model: {model}, validation: 0.4")
    folder = tmp_path / "runs" / "first"
    with Store(cycle.store) as store:
        write(store, plan(store, cycle), folder / "data")
        config = cycle.training.model_dump(mode="json")
        for step in ("begun", "ended"):
            runs.note(store, runs.Run("first", cycle.name, config, "x", "hard", {}, 0, "runs/first"), step)
    adapted(model, folder / "adapter")

    code, out, _ = run(capsys, "evaluate", file, "--json")
    assert code == 0
    found = json.loads(out)["rewards"]
    rows = Rows(folder / "data" / "held_out.arrow")
    given = rewards(load_model(str(model), adapter=folder / "adapter"), rows, beta=0.1)
    assert found["labels"]["items"] + found["undecided"] <= len(rows) == found["all"]["items"]
    assert found["by_people"] > 0
    # Every row's chosen side is the better one: people's where they spoke, else the label's.
    assert found["all"]["figures"]["reward_margin"]["value"] == pytest.approx(float(given.margins.mean()), rel=1e-4)
    with Store(cycle.store) as store:
        kept = results(store, checkpoint="first", metric="reward_correct")
        assert set(kept.baseline) == {"tiny"}
        assert kept.value.mean() == pytest.approx(np.mean(given.margins > 0))
        assert {each.metric for each in scores(store)} == {
            *("reward_accuracy", "reward_margin", "gold_accuracy", "label_accuracy")
        }
    code, out, _ = run(capsys, "evaluate", file, "first")
    assert "Rewards of first against its base" in out
    assert "people's gold on" in out
    code, _, err = run(capsys, "evaluate", file, "second")
    assert "its runs are: first (ended)" in err
