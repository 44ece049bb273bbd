"""configs/cycle.yaml, from traces to exported pairs, with simulated models in the places of real ones."""

from __future__ import annotations

import json
import shutil

import pytest

from consensus.cli import main
from consensus.cyclefile import load
from consensus.shipped import shipped
from tests.labeling.generations import rows

SIMULATED = [
    "generation={provider: simulated, model: policy, n: 4, price: {input: 0.1, output: 0.4}}",
    *(f"judges.{k}={{provider: simulated, model: sim-{k}, price: {{input: 1, output: 4}}}}" for k in range(3)),
]
SMALL = [
    *SIMULATED,
    "input.prompts.size=12",
    "input.prompts.floor=1",
    "input.prompts.near=null",
    "sampling.audit_share=0",
]


@pytest.fixture
def cycle(tmp_path, monkeypatch):
    """The shipped file beside an export of 40 calls, one of which says who somebody is."""
    shutil.copy(shipped("cycle.yaml"), tmp_path / "cycle.yaml")
    traces = rows(40)
    for row in traces:
        row["messages"][1]["content"] += " I am jane@example.org."
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in traces))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def consensus(capsys, *words):
    """A command's exit code and what it printed."""
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return end.value.code, capsys.readouterr().out


def test_the_shipped_cycle_is_the_field_reports():
    made = load(shipped("cycle.yaml"))
    assert (made.input.prompts.size, made.generation.n, len(made.judges)) == (2400, 4, 3)
    assert made.input.redact
    assert made.rule.min_agree == 2


def test_the_shipped_cycle_runs_from_traces_to_pairs(cycle, capsys):
    code, said = consensus(capsys, "ingest", "cycle.yaml", *SMALL)
    assert code == 0
    assert "40 of 40 records usable" in said
    assert "12 prompts drawn (uniform, seed 0) of 40 distinct ones in 40 calls" in said
    assert "masked: 12 × email" in said

    code, said = consensus(capsys, "generate", "cycle.yaml", *SMALL, "--dry-run", "--json")
    assert (code, json.loads(said)["draws"]) == (0, 48)
    code, said = consensus(capsys, "generate", "cycle.yaml", *SMALL, "--json")
    made = json.loads(said)
    assert (code, made["prompts"], made["completions"], made["run"]["complete"]) == (0, 12, 48, True)
    assert made["pairs"] == made["cycle_pairs"] > 48
    assert made["cost_usd"] > 0

    code, said = consensus(capsys, "label", "cycle.yaml", *SMALL, "--json")
    labeled = json.loads(said)
    assert (code, labeled["pairs"]) == (0, made["pairs"])
    code, said = consensus(capsys, "export", "cycle.yaml", *SMALL, "--out", "out.jsonl", "--json")
    assert (code, json.loads(said)["rows"]) == (0, labeled["kept"])
    exported = [json.loads(line) for line in (cycle / "out.jsonl").read_text().splitlines()]
    for row in exported:
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert "[EMAIL_1]" in row["prompt"][1]["content"]
        assert row["chosen"] != row["rejected"]
    assert any(row["tools"] for row in exported)
    assert any(row["chosen"][0].get("tool_calls") for row in exported)


def test_generate_reads_the_traces_itself_and_says_what_is_missing(cycle, capsys):
    code, said = consensus(capsys, "generate", "cycle.yaml", *SMALL)
    assert code == 0
    assert "48 completions of 12 prompts" in said
    assert "next: consensus label cycle.yaml" in said
    changed = [word.replace("size=12", "size=13") for word in SMALL]
    code, _ = consensus(capsys, "generate", "cycle.yaml", *changed)
    assert code == 2
    code, _ = consensus(capsys, "generate", "cycle.yaml", *SMALL, "input.redact=[]")
    assert code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "panel.yaml"], "has no 'generation:'"),
        (["generate", "cycle.yaml", *SMALL, "input.traces=[]"], "has no prompts"),
        (["label", "cycle.yaml", *SMALL], "'consensus generate cycle.yaml' draws them"),
        (["ingest", "cycle.yaml", *SMALL, "--traces", "nothing.jsonl"], "there is no file nothing.jsonl"),
        (["ingest", "cycle.yaml", *SMALL, "--map", "question=prompt"], "the columns of a trace are prompt, completion"),
        (["ingest", "cycle.yaml", *SMALL, "input.prompts.by=[shop]"], "no trace has 'shop' to stratify by"),
        (["ingest", "cycle.yaml", *SMALL, "input.prompts.siz=3"], "did you mean 'size'?"),
        (["ingest", "cycle.yaml", *SMALL, "input.redact=[names]"], "input.redact.0"),
        (["generate", "cycle.yaml", *SMALL, "generation.pairing=some"], "'pairs_per_prompt' go together"),
        (["generate", "cycle.yaml", *SMALL, "generation.extra={habit: 1}"], "a simulated one takes"),
    ],
)
def test_a_mistake_is_said_with_what_to_do(cycle, capsys, words, said):
    shutil.copy(shipped("panel.yaml"), cycle / "panel.yaml")
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_the_doctor_looks_at_the_traces_and_the_model(cycle, capsys):
    code, said = consensus(capsys, "doctor", "cycle.yaml", *SMALL, "--call", "--json")
    checks = {check["what"]: check for check in json.loads(said)["checks"]}
    assert code == 0
    assert checks["traces"]["ok"]
    assert checks["policy (generation)"]["said"].endswith("4 completions a prompt; policy answered")
    (cycle / "traces.jsonl").unlink()
    assert consensus(capsys, "doctor", "cycle.yaml", *SMALL)[0] == 1


def test_a_new_panel_over_old_pairs_is_compared_with_the_old(cycle, capsys):
    for verb in ("generate", "label"):
        assert consensus(capsys, verb, "cycle.yaml", *SMALL)[0] == 0
    again = [*SMALL, "cycle.name=cycle-2", "input.cycle=cycle-1", "judges.0.temperature=0.5"]
    code, said = consensus(capsys, "label", "cycle.yaml", *again, "--json")
    assert (code, json.loads(said)["kept"] > 0) == (0, True)
    code, said = consensus(capsys, "status", "cycle.yaml", *again, "--compare", "cycle-1", "--json")
    compared = json.loads(said)["compared"]
    assert (code, compared["shared"]) == (0, json.loads(said)["pairs"])
    assert compared["other_spent_usd"] > compared["spent_usd"]
    code, said = consensus(capsys, "status", "cycle.yaml", *again, "--compare", "cycle-1")
    assert "compared with cycle-1 on" in said
