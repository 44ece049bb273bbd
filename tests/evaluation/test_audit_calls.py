"""`consensus audit` with calls, from the command line."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from consensus.cli import app
from consensus.store import Store
from tests.labeling.runs import pairs

CYCLE = """
judges:
  - {provider: simulated, model: sim-0, extra: {accuracy: 0.75, flip_rate: 0.15}}
  - {provider: simulated, model: sim-1, extra: {position_bias: 0.2}}
  - {provider: simulated, model: sim-2}
input: {pairs: pairs.jsonl}
audit: {pairs: 40, repeats: 4}
"""


@pytest.fixture
def cycle(tmp_path):
    rows = ({k: v for k, v in asdict(pair).items() if k != "extra"} for pair in pairs(60))
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "cycle.yaml").write_text(CYCLE)
    return tmp_path / "cycle.yaml"


def run(capsys, *words):
    code = app([str(word) for word in words], result_action="return_value")
    return code, json.loads(capsys.readouterr().out)


def votes(cycle):
    with Store(cycle.parent / "consensus.duckdb") as store:
        return len(list(store.votes("cycle-1")))


def test_ask_asks_and_a_plain_audit_does_not(cycle, capsys):
    run(capsys, "label", cycle, "--json")
    before = votes(cycle)
    _, found = run(capsys, "audit", cycle, "--json")
    assert found["votes"] == votes(cycle) == before
    _, priced = run(capsys, "audit", cycle, "--dry-run", "--json")
    code, found = run(capsys, "audit", cycle, "--ask", "--json")
    assert code == 0
    assert found["votes"] == votes(cycle) == before + priced["calls"]
    assert [judge["judge"] for judge in found["judges"]] == ["sim-0", "sim-1", "sim-2"]


def test_an_audit_can_come_before_the_labels(cycle, capsys):
    code, found = run(capsys, "audit", cycle, "--ask", "--json")
    assert code == 0
    assert found["votes"] == votes(cycle) == 40 * 3 * 4 * 2


def test_an_audit_that_stops_early_says_so_and_can_be_gone_on_with(cycle, capsys):
    cycle.write_text(CYCLE.replace("model: sim-", "price: {input: 1, output: 1}, model: sim-"))
    code, found = run(capsys, "audit", cycle, "--ask", "--max-cost", 0.05, "--json")
    assert (code, found["complete"]) == (4, False)
    asked = votes(cycle)
    assert 0 < asked < 40 * 3 * 4 * 2
    assert run(capsys, "audit", cycle, "--ask", "--json")[0] == 0
    assert votes(cycle) == 40 * 3 * 4 * 2


def test_one_pair_fifty_times(cycle, capsys):
    code, found = run(capsys, "audit", cycle, "--pair", "pair-3", "--repeats", 50, "--judge", "sim-0", "--json")
    assert code == 0
    assert [(row["judge"], row["n"] + row["abstain"]) for row in found["judges"]] == [("sim-0", 50)]
