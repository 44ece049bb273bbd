"""Production's outcomes out of files: every form is read, nothing is lost without a word, and no judge's opinion is taken."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.cli import main
from consensus.outcomes import Outcome, outcomes
from consensus.store import Store
from labeling.intake import ingest_outcomes
from labeling.outcomes import OutcomeReader, numeric
from labeling.rows import BadRow

JUDGE = "judges: [{provider: recorded, model: x}]\n"
ROWS = [
    {"checkpoint": "one", "metric": "tool_use", "value": 0.82, "n": 1200, "at": "2026-03-02"},
    {"checkpoint": "two", "metric": "tool_use", "value": 0.85, "n": 900, "at": "2026-03-09"},
]


def read(*rows, **columns):
    reader = OutcomeReader(columns)
    return list(reader.read(enumerate(rows, 1))), reader.left_out


def said(*rows, **columns):
    """What is read, as (checkpoint, metric, value, request)."""
    found = read(*rows, **columns)[0]
    return [(o.checkpoint, o.metric, o.value, o.request_id) for o in found if isinstance(o, Outcome)]


def reason(row, **columns):
    (bad,) = (found for found in read(row, **columns)[0] if isinstance(found, BadRow))
    return bad.reason


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_itself_whether_as_number_or_as_text(value):
    assert numeric(value) == numeric(f" {value!r} ") == value


@pytest.mark.parametrize("value", ["", "good", "1_000", "nan", "inf", "87 %", "0x1", None, [], 10**400, "1e999"])
def test_what_is_no_finite_number_is_none(value):
    assert numeric(value) is None


def test_requests_are_read_one_a_row_under_any_of_the_usual_names():
    row = {"model": "one", "trace_id": "t", "metric": "solved", "value": True, "session_id": "s"}
    ((found,), _) = read(row)
    assert found == Outcome("one", "solved", 1.0, 1, "t", conversation_id="s")


def test_columns_of_metrics_are_outcomes_and_those_without_numbers_are_named():
    rows = [
        {"checkpoint": "one", "request_id": "1", "solved": "true", "csat": "0.5", "route": "billing"},
        {"checkpoint": "one", "request_id": "2", "solved": "false", "csat": None, "route": "7b"},
    ]
    assert said(*rows) == [("one", "solved", 1.0, "1"), ("one", "csat", 0.5, "1"), ("one", "solved", 0.0, "2")]
    assert read(*rows)[1] == ["route"]


def test_a_cell_that_is_no_number_among_numbers_is_reported_with_its_row():
    found, left_out = read({"model": "m", "request_id": 1, "csat": "n/a"}, {"model": "m", "request_id": 2, "csat": 4})
    assert found[1:] == [BadRow(1, "'csat' is neither a number nor true or false")]
    assert left_out == []


def test_a_value_under_another_name_reads_that_column_alone():
    row = {"checkpoint": "one", "request_id": "1", "ok": 1, "latency": 3.5}
    assert said(row, {**row, "ok": None, "request_id": "2"}, value="ok") == [("one", "ok", 1.0, "1")]


def test_a_cycle_stands_for_the_checkpoint_that_it_made():
    assert said({"cycle": "july", "metric": "x", "value": 1}) == [("july", "x", 1.0, None)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"checkpoint": None}, "checkpoint is missing"),
        ({"checkpoint": True}, "checkpoint must be text"),
        ({"checkpoint": "a\0"}, "checkpoint has a NUL"),
        ({"metric": None}, "metric is missing"),
        ({"value": None}, "value is missing"),
        ({"value": "82 %"}, "value must be a number"),
        ({"n": 0}, "n must be a whole number from 1"),
        ({"n": 2.5}, "n must be a whole number from 1"),
        ({"request_id": "r"}, "n is 1200, but the row has a request_id"),
        ({"at": "yesterday"}, "'yesterday' is no time"),
        ({"source": "EVAL"}, "a score by an LLM judge, which is no production outcome"),
    ],
)
def test_a_row_that_is_no_outcome_says_why(change, why):
    assert why in reason(ROWS[0] | change)


def test_requests_without_an_id_are_not_taken_for_one_mean():
    rows = [{"model": "m", "metric": "solved", "value": value} for value in (1, 1, 0)]
    found, _ = read(*rows)
    assert isinstance(found[-1], BadRow)
    assert "a single request needs a request_id" in found[-1].reason


def test_two_values_of_one_request_are_a_mistake_unless_they_have_different_times():
    row = {"model": "m", "request_id": "r", "metric": "csat", "value": 4, "at": 1_772_000_000}
    assert "an earlier row says 4" in read(row, row | {"value": 5})[0][1].reason
    assert len(said(row, row | {"value": 5, "at": 1_772_000_060})) == 2


def written(folder, kind, rows):
    file = folder / f"outcomes.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif kind == "csv":
        names = list(rows[0])
        file.write_text(
            "\n".join(
                ",".join(str(row.get(name, "")) for name in names)
                for row in [dict(zip(names, names, strict=True)), *rows]
            )
        )
    else:
        file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_every_kind_of_file_says_the_same_and_a_second_time_adds_nothing(tmp_path, kind):
    file = written(tmp_path, kind, ROWS)
    with Store() as store:
        first, second = ingest_outcomes(store, file), ingest_outcomes(store, file)
        found = [(o["checkpoint"], o["value"], o["n"]) for o in outcomes(store).to_pylist()]
    assert (first.read, first.new, second.read, second.new, first.refused) == (2, 2, 2, 0, [])
    assert found == [("one", 0.82, 1200), ("two", 0.85, 900)]


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


def test_ingest_reads_outcomes_by_flag_with_other_names_and_says_what_it_refused(tmp_path, capsys):
    (tmp_path / "cycle.yaml").write_text(JUDGE)
    file = written(
        tmp_path, "jsonl", [*({"v": r["checkpoint"], "tool_use": r["value"]} for r in ROWS), {"tool_use": 1}]
    )
    assert run("ingest", tmp_path / "cycle.yaml", "--outcomes", file, "--map", "checkpoint=v", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)["files"]
    assert (told["read"], told["new"], told["checkpoints"], told["metrics"]) == (2, 2, ["one", "two"], ["tool_use"])
    assert told["refused"] == [{"row": 3, "reason": "checkpoint is missing (another name: --map checkpoint=NAME)"}]


def test_ingest_reads_the_outcomes_that_the_cycle_file_names(tmp_path, capsys):
    written(tmp_path, "csv", ROWS)
    (tmp_path / "cycle.yaml").write_text(JUDGE + "input: {outcomes: outcomes.csv, outcome_columns: {metric: metric}}\n")
    assert run("ingest", tmp_path / "cycle.yaml") == 0
    assert "2 outcomes\n  of 2 checkpoints: tool_use" in capsys.readouterr().out


def test_a_file_without_any_outcome_fails(tmp_path, capsys):
    (tmp_path / "cycle.yaml").write_text(JUDGE)
    file = written(tmp_path, "jsonl", [{"checkpoint": "one", "note": "fine"}])
    assert run("ingest", tmp_path / "cycle.yaml", "--outcomes", file) == 1
    assert "left out: 'note'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["--map", "prompt=x", "--outcomes", "o.csv"], ["--map", "value=x", "--traces", "t", "--outcomes", "o"]]
)
def test_names_of_columns_go_with_what_is_read(tmp_path, capsys, words):
    (tmp_path / "cycle.yaml").write_text(JUDGE)
    assert run("ingest", tmp_path / "cycle.yaml", *words) == 2
    assert "--map" in capsys.readouterr().err
