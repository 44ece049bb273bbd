"""`consensus gate` as a pipeline meets it."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from consensus.outcomes import Outcome, add_outcomes
from consensus.results import add_results
from consensus.scores import Score, add_scores
from consensus.store import Store
from evaluation.commands.gate import show
from evaluation.gate.run import gate
from evaluation.production.history import history
from evaluation.report.plain import sentences
from evaluation.report.progress import progress
from tests.evaluation.audits import run
from tests.evaluation.made_audits import empty
from tests.evaluation.test_gate import cycle, lengths, wins

CYCLE = """
judges: [{provider: recorded, model: x}]
cycle: {name: c}
gate:
  metric: win
  baseline: old
  min_effect: 0.02
  looks: 2
  guard:
    - {metric: win, by: category, at_least: 0.45}
    - {metric: length, ratio_at_most: 1.3}
    - {production: tool_use_accuracy, drop_at_most: 0.05}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "cycle.yaml").write_text(CYCLE)
    with Store(tmp_path / "consensus.duckdb") as store:
        add_results(store, [*wins(0.7), *lengths("old", 100), *lengths("new", 110)])
        for name, right in (("old", 700), ("new", 760)):
            add_outcomes(
                store, [Outcome(name, "tool_use_accuracy", float(k < right), 1, f"{name} {k}") for k in range(1000)]
            )
    return tmp_path / "cycle.yaml"


def test_a_promotion_exits_with_0_and_explains_itself(file, capsys):
    summary = file.parent / "out" / "gate.md"
    code, out, _ = run(capsys, "gate", file, "gate.looks=1", "--markdown", summary)
    assert code == 0
    assert "Promote: new against old on win" in out
    assert "✓ length ratio at most 1.3: 1.1" in out
    assert "### ✅ Promote: new against old on win" in summary.read_text()
    assert "| tool\\_use\\_accuracy drop at most 0.05 |" in summary.read_text()


def test_no_promotion_exits_with_3_in_json_too(file, capsys):
    code, out, _ = run(capsys, "gate", file, "gate.min_effect=0.9", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["promote"], found["schema_version"]) == (3, "reject", False, 1)
    assert found["effect"]["low"] < found["effect"]["value"] < found["effect"]["high"] < 0.9
    assert {guard["standing"] for guard in found["guards"]} == {"kept"}
    code, out, _ = run(capsys, "gate", file, "gate.min_effect=0.2", "--json")
    found = json.loads(out)
    assert (code, found["verdict"], found["look"]) == (3, "inconclusive", 1)
    assert [needed["effect"] for needed in found["needed"]][-1] == 0.25


def test_every_decision_is_kept(file, capsys):
    run(capsys, "gate", file)
    run(capsys, "gate", file, "--json")
    with Store(file.parent / "consensus.duckdb") as store:
        rows = store.db.execute("SELECT checkpoint, look, verdict, details FROM gates").fetchall()
    assert [row[:3] for row in rows] == [("new", 1, "promote")] * 2
    assert json.loads(rows[0][3])["items"] == 400


def test_the_report_shows_the_last_decision_on_every_contest(file, capsys):
    run(capsys, "gate", file, "gate.min_effect=0.9")
    run(capsys, "gate", file, "gate.min_effect=0.2")
    with Store(file.parent / "consensus.duckdb") as store:
        add_scores(store, [Score("new", "c", "win_rate", 0.7, 0.65, 0.75, 400, 200, "old")])
        known = history(store, "c")
    (part,) = (part for part in progress(known) if part.slug == "gate")
    (row,) = part.tables[0].rows
    assert [cell.text for cell in row[:4]] == ["new", "old", "win", "inconclusive"]
    assert row[4].between
    assert row[4].text.endswith(" points")
    better = next(line for line in sentences(empty(), known) if "better" in line)
    assert better.endswith("the gate's last word was inconclusive, on win.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gate.metric=reward"], "there are no results of 'reward'"),
        (["--checkpoint", "newer"], "checkpoint 'newer' has no results of 'win'; there are: new"),
        (["store=nowhere.duckdb"], "there is no store"),
        (["gate.confidence=95"], "gate.confidence"),
    ],
)
def test_what_is_asked_wrongly_exits_with_2(file, capsys, words, message):
    code, _, err = run(capsys, "gate", file, *words)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        ("{metric: win}", "exactly one of at_least, at_most"),
        ("{metric: win, audit: tie, at_most: 1}", "exactly one of metric, audit, production"),
        ("{audit: tie, drop_at_most: 0.1}", "an audit has no baseline"),
        ("{production: x, by: category, at_most: 1}", "'by' goes with 'metric'"),
        ("{metric: win, at_lest: 0.4}", "did you mean 'at_least'"),
    ],
)
def test_a_guard_that_makes_no_sense_is_refused_in_its_place(file, capsys, guard, message):
    file.write_text(f"judges: [{{provider: recorded, model: x}}]\ngate:\n  guard:\n    - {guard}\n")
    code, _, err = run(capsys, "gate", file)
    assert code == 2
    assert message in err
    assert "cycle.yaml:4:" in err


@pytest.mark.parametrize("width", [60, 80, 160])
def test_everything_fits_the_terminal(width):
    with Store() as store:
        add_results(store, wins(0.53))
        found = gate(store, cycle({"metric": "win", "at_least": 0.52}), audited=lambda: None)
    text = io.StringIO()
    show(Console(file=text, width=width, highlight=False), found)
    assert max(map(len, text.getvalue().splitlines())) <= width
    assert "Inconclusive: new against old on win" in text.getvalue()
    assert "a true gain of" in text.getvalue()
