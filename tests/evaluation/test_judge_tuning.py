"""A judge before and after training, end to end on a model that is made in a second."""

from __future__ import annotations

import json

import numpy as np
import pytest

from consensus.cyclefile import load
from consensus.nouns import Ballot, Pair, Shown, Verdict, Vote
from consensus.store import Store
from tests.benchmarks import judge_tuning
from tests.evaluation.audits import run
from tests.training.tiny import tiny_model

WORDS = ["stone", "river", "candle", "window", "garden", "paper", "bridge", "winter", "copper", "lantern"]


def pairs_file(file, n=24):
    """Pairs of which the completion that repeats the prompt's word is the better one."""
    rows = []
    for k in range(n):
        word, other = WORDS[k % 10], WORDS[(k + 3) % 10]
        both = [f"{word} {k}", f"{other} {k}"]
        rows.append(
            {
                "pair_id": f"p{k}",
                "prompt": f"Say the word {word} and the number {k}.",
                "completion_a": both[k % 2],
                "completion_b": both[1 - k % 2],
                "category": "xy"[k // 12],
                "gold": "ab"[k % 2],
            }
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_without_the_pairs_it_says_what_it_needs(tmp_path, capsys):
    assert judge_tuning.main([str(tmp_path), "--pairs", str(tmp_path / "nowhere.jsonl")]) == 2
    assert "needs LLMBar's 507 pairs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_half_the_sum_of_both_orders_is_the_slots_and_half_the_difference_the_contents(tmp_path):
    """A judge that says A by 2 nats and the better one by .5: A by 2.5 where that one is first, by 1.5 where it is second."""
    file = tmp_path / "cycle.yaml"
    file.write_text("judges: [{provider: recorded, model: one}]\n")
    cycle = load(file)
    given = [Pair("p0", "q", "x", "y", gold=Verdict.B), Pair("p1", "q", "x", "y", gold=Verdict.A)]
    said = {("p0", "ab"): ("a", 1.5), ("p0", "ba"): ("b", 2.5), ("p1", "ab"): ("a", 2.5), ("p1", "ba"): ("b", 1.5)}
    votes = [
        Vote(Ballot(pair, "one", Shown(shown)), Verdict(verdict), margin=margin)
        for (pair, shown), (verdict, margin) in said.items()
    ]
    with Store(cycle.store) as store:
        store.register(cycle, "rubric")
        store.add_pairs(cycle.name, given)
        store.add(cycle.name, {judge.label: judge.config_hash("rubric") for judge in cycle.judges}, votes)
    found = judge_tuning.leanings(file)
    assert found == {"one": {"p0": [2.0, 0.5], "p1": [2.0, 0.5]}}


@pytest.mark.slow
def test_a_judge_is_compared_before_and_after_training_on_every_kind_of_data(tmp_path, capsys, monkeypatch):
    """By the commands that a user has; the same command again does nothing again."""
    asked = []

    def here(*words, threads):
        asked.append(words[0] if words[0] != "evaluate" else words[1])
        code, printed, _ = run(capsys, *words)
        assert code == 0
        return printed

    monkeypatch.setattr(judge_tuning, "consensus", here)
    model = tmp_path / "tiny"
    model.mkdir()
    options = ["--pairs", pairs_file(tmp_path / "pairs.jsonl"), "--model", tiny_model(model)]
    sizes = ["--train", "8", "--test", "6", "--learning-rate", "0.01"]
    command = [str(word) for word in (tmp_path / "run", *options, *sizes)]
    assert judge_tuning.main(command) == 0
    assert asked == ["benchmark", "train", "train", "train", "label", "judges", "judges", "judges", "judges"]

    table = json.loads((tmp_path / "run" / "judges.json").read_text())["strict"]
    rows = {row["judge"]: row for row in table["judges"]}
    assert set(rows) == {judge_tuning.BASE, *judge_tuning.TUNED}
    assert all(row["calls"]["votes"] == 12 and row["counts"]["missing"] == 0 for row in rows.values())
    assert not any("was trained on" in warning for warning in table["warnings"])
    lines = (tmp_path / "run" / "table.md").read_text().splitlines()
    table_of = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    third = next(k for k, words in enumerate(table_of) if words[-1] == "– base")
    cells = {words[0]: words[1:] for words in table_of[:third]}
    nats = {words[0]: words[1:] for words in table_of[third:]}
    leaning = judge_tuning.leanings(tmp_path / "run" / "judges.yaml")
    for judge in rows:
        of = leaning.get(judge, {})
        assert nats[judge][0] == str(len(of))
        if len(of) > 1:
            assert float(nats[judge][1].split()[0]) == pytest.approx(
                np.mean([slot for slot, _ in of.values()]), abs=0.006
            )
    for judge, row in rows.items():
        assert cells[judge][4] == judge_tuning.share(row["first_share"])
    for judge in judge_tuning.TUNED:
        gap = 100 * (rows[judge]["consistency"]["value"] - rows[judge_tuning.BASE]["consistency"]["value"])
        assert float(cells[f"{judge} – base"][3].split()[0]) == pytest.approx(gap, abs=0.06)

    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run" / "runs").glob("*/adapter/*.safetensors")}
    assert len(before) == 3
    assert judge_tuning.main(command) == 0
    assert (tmp_path / "run" / "table.md").read_text().splitlines() == lines
    assert {file: file.stat().st_mtime_ns for file in before} == before
