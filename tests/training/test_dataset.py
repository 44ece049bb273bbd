"""The dataset that leaves: TRL's conversational preference form."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from consensus.cli import main
from consensus.cyclefile import load
from consensus.nouns import Ballot, Label, Pair, Reason, Shown, Verdict, Vote
from consensus.prompts import Prompt
from consensus.sections.generation import Generation
from consensus.store import Labeled, Store
from labeling.candidates import candidate_pairs
from tests.labeling.runs import label_cycle, pairs, simulated
from training.dataset import messages, rows, write_parquet

KEPT = Label(Verdict.B, Reason.AGREED, 1.0, 3)
CALL = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": {"x": 1}}}


def test_the_chosen_side_is_the_labels_verdict():
    (row,) = rows([Labeled(Pair("p", "q?", "one", "two", "math"), KEPT)])
    assert row == {
        "prompt": [{"role": "user", "content": "q?"}],
        "chosen": [{"role": "assistant", "content": "two"}],
        "rejected": [{"role": "assistant", "content": "one"}],
        "tools": None,
        "pair_id": "p",
        "support": 1.0,
        "p_chosen": None,
        "category": "math",
        "outcomes": None,
    }


def test_what_production_said_travels_from_the_prompt_to_the_dataset(tmp_path):
    said = [{"name": "solved", "value": True, "source": "API", "at": None}]
    prompt = Prompt("p", [{"role": "user", "content": "q?"}], outcomes=said)
    generation = Generation(provider="simulated", model="m")
    drawn = {k: [{"role": "assistant", "content": text}] for k, text in enumerate(("one", "two"))}
    ((pair,), _) = candidate_pairs(prompt, drawn, generation, seed=0)
    found = list(rows([Labeled(pair, KEPT)]))
    write_parquet(found, tmp_path / "train.parquet")
    (kept,) = pq.read_table(tmp_path / "train.parquet").to_pylist()
    assert json.loads(found[0]["outcomes"]) == json.loads(kept["outcomes"]) == said


def test_dropped_pairs_are_not_in_it():
    dropped = Label(Verdict.TIE, Reason.TIE, 1.0, 3)
    assert list(rows([Labeled(Pair("p", "q", "a", "b"), dropped)])) == []


def test_tool_calls_and_results_survive():
    trace = [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}],
        },
    ]
    assert messages(trace, "assistant") == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"x": 1}'}}],
        },
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
    ]


@pytest.fixture
def cycle_file(tmp_path):
    """A cycle with two kept pairs, one of them with tools, and one that is split."""
    judges = "".join(f"  - {{provider: recorded, model: j{k}}}\n" for k in range(3))
    file = tmp_path / "cycle.yaml"
    file.write_text(f"judges:\n{judges}cycle: {{name: [c]}}\n".replace("[c]", "c"))
    cycle = load(file)
    tooled = [{"role": "assistant", "content": None, "tool_calls": [CALL]}]
    given = [
        Pair("p0", "q", "a", "b"),
        Pair("p1", "q", tooled, "b", extra={"tools": [{"type": "function"}]}),
        Pair("p2", "q", "x", "y"),
    ]
    said = {"p0": "aab", "p1": "aaa", "p2": ["a", "b", "tie"]}
    votes = [
        Vote(Ballot(pair, f"j{k}", order), Verdict(verdict))
        for pair, verdicts in said.items()
        for k, verdict in enumerate(verdicts)
        for order in Shown
    ]
    with Store(cycle.store) as store:
        store.register(cycle, "rubric")
        store.add_pairs("c", given)
        store.add("c", {j.label: j.config_hash("rubric") for j in cycle.judges}, votes)
    return file


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def test_jsonl_parquet_and_folder_hold_the_same_rows(cycle_file, tmp_path, capsys):
    for name in ("out.jsonl", "out.parquet", "folder"):
        assert run("export", cycle_file, "--out", tmp_path / name) == 0
    capsys.readouterr()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["pair_id"] for row in lines] == ["p0", "p1"]
    parquet = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert pq.read_table(tmp_path / "folder/data/train.parquet").to_pylist() == parquet
    stripped = [
        {
            k: [{f: v for f, v in m.items() if v is not None} for m in v] if isinstance(v, list) else v
            for k, v in row.items()
        }
        for row in parquet
    ]
    assert stripped == lines
    assert "2 of 3 pairs" in (tmp_path / "folder/README.md").read_text()


def test_another_rule_over_the_same_votes_exports_other_pairs(cycle_file, tmp_path, capsys):
    assert run("export", cycle_file, "consensus.min_agree=3", "--out", tmp_path / "strict.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 1


def test_an_empty_dataset_is_an_error_not_a_file(cycle_file, tmp_path, capsys):
    assert run("export", cycle_file, "cycle.name=ghost", "--out", tmp_path / "x.jsonl") == 2
    assert not (tmp_path / "x.jsonl").exists()


def test_labels_carry_their_calibrated_chance_where_the_cycle_has_gold(tmp_path, capsys):
    cycle = simulated(tmp_path, {"accuracy": 0.9}, {"accuracy": 0.75}, {"accuracy": 0.65})
    with Store(cycle.store) as store:
        label_cycle(store, cycle, pairs(300))
    file = tmp_path / "cycle.json"
    file.write_text(cycle.model_dump_json(exclude_unset=True))
    assert run("export", file, "--out", tmp_path / "d") == 0
    assert "calibrated on 300 pairs with gold" in " ".join(capsys.readouterr().out.split())
    found = pq.read_table(tmp_path / "d/data/train.parquet").to_pylist()
    assert all(0 < row["p_chosen"] < 1 for row in found)
    assert "calibrated on 300 pairs with gold" in (tmp_path / "d/README.md").read_text()


def test_an_export_under_other_judges_than_those_that_voted_is_refused(cycle_file, tmp_path, capsys):
    text = cycle_file.read_text()
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("model: j0", "model: somebody-else"))
    assert run("export", other, "--out", tmp_path / "x.jsonl") == 2
    assert "other judges" in capsys.readouterr().err
