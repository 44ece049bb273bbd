"""Rows of a file in place of a cycle's labels."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consensus.cyclefile import load
from consensus.errors import UsageError
from consensus.sections.training import Training
from tests.training.runs import cycle_file
from training.given import given
from training.rows import HELD_OUT, TRAIN, dataset, row, write_parts

ASKED = [{"role": "system", "content": "You judge."}]


def judgments(n):
    """Two orders of each of n pairs."""
    return [
        {
            "pair_id": f"p{k}-{order}",
            "prompt": [
                *ASKED,
                {"role": "user", "content": f"Which is better, {order}? " + f"topic{k} " * 9 + f"end{k}"},
            ],
            "chosen": [{"role": "assistant", "content": '{"verdict": "A"}'}],
            "rejected": [{"role": "assistant", "content": '{"verdict": "B"}'}],
            "category": "math",
        }
        for k in range(n)
        for order in ("ab", "ba")
    ]


def lines(file, rows):
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


def written(folder, file, **settings):
    plan, table = given("c", file, Training(**settings))
    counts = write_parts([table], plan, folder, plain=False)
    return plan, counts, [row(one) for name in (TRAIN, HELD_OUT) for one in dataset(folder / name)]


def test_rows_come_out_as_they_went_in(tmp_path):
    rows = [*judgments(3), {"prompt": "q", "chosen": "x", "rejected": "y", "p_chosen": 0.75}]
    plan, counts, found = written(tmp_path / "d", lines(tmp_path / "rows.jsonl", rows), validation=0)
    assert [{name: one[name] for name in rows[0]} for one in found[:6]] == rows[:6]
    assert [one["p_chosen"] for one in found] == [1.0] * 6 + [0.75]
    assert (found[6]["pair_id"], found[6]["prompt"]) == ("row-7", [{"role": "user", "content": "q"}])
    assert (plan.policy, counts.train, counts.held_out) == ("soft", 7, 0)


def test_parquet_and_json_lines_are_the_same_data(tmp_path):
    rows = judgments(4)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    found = [given("c", file, Training())[0] for file in (tmp_path / "rows.parquet", lines(tmp_path / "r.jsonl", rows))]
    assert found[0].digest == found[1].digest


def test_a_mark_before_the_first_line_and_other_ends_of_lines_are_nothing(tmp_path):
    rows = judgments(2)
    (tmp_path / "r.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(one).encode() for one in rows))
    found = [given("c", file, Training())[0] for file in (tmp_path / "r.jsonl", lines(tmp_path / "rows.jsonl", rows))]
    assert found[0].digest == found[1].digest


def test_no_prompt_is_on_both_sides(tmp_path):
    rows = [{**one, "pair_id": f"{one['pair_id']}-{k}"} for k in range(3) for one in judgments(40)]
    plan, _, found = written(tmp_path / "d", lines(tmp_path / "rows.jsonl", rows), validation=0.3, near=None)
    held_out = {one["prompt_id"] for one in plan.table.to_pylist() if one["held_out"]}
    train = {one["prompt_id"] for one in plan.table.to_pylist() if not one["held_out"]}
    assert held_out
    assert not held_out & train
    assert len(found) == len(rows)


def test_chances_that_the_loss_does_not_read_are_said(tmp_path):
    rows = judgments(10)
    rows[0]["p_chosen"] = 0.7
    file = lines(tmp_path / "rows.jsonl", rows)
    assert (
        "1 have a chance below 1, which 'loss: dpo' does not read" in given("c", file, Training(loss="dpo"))[0].because
    )
    assert "chance" not in given("c", file, Training(loss="soft"))[0].because


def test_rows_that_name_one_prompt_are_never_parted_though_their_requests_differ(tmp_path):
    rows = [{**one, "prompt_id": one["pair_id"][:-3]} for one in judgments(60)]
    plan, counts, _ = written(tmp_path / "d", lines(tmp_path / "rows.jsonl", rows), validation=0.3, near=None)
    sides = {}
    for one in plan.table.to_pylist():
        sides.setdefault(one["prompt_id"], []).append(one["held_out"])
    assert {(len(side), len(set(side))) for side in sides.values()} == {(2, 1)}
    assert (plan.prompts, plan.groups, plan.largest) == (60, 60, 1)
    assert 0 < counts.held_out < 120


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": "q", "chosen": "x"}', "row 2 .* has no 'prompt', 'chosen' and 'rejected'"),
        ('{"prompt": "q", "chosen": "x", "rejected": "y", "p_chosen": 2}', "no chance in"),
        ('{"prompt": [{"content": "q"}], "chosen": "x", "rejected": "y"}', "without a 'role'"),
        ("{", "row 2 .* is no JSON: .* JSON lines, or Parquet"),
        ('{"prompt": "q", "chosen": [{"role": 5, "content": "x"}], "rejected": "y"}', "without a 'role'"),
        ('{"prompt": "q", "chosen": "x", "rejected": "y", "category": 5}', "row 2 .* 'category' that is no text: 5"),
        ('{"prompt": "q", "chosen": "x", "rejected": "y", "pair_id": ["x"]}', "'pair_id' that is no text"),
        ('{"prompt": "q", "chosen": "x", "rejected": "y", "tools": "a hammer"}', "'tools' that are no list of them"),
        ('{"prompt": "q", "chosen": "x", "rejected": "y", "tools": [5]}', "'tools' that are no list of them"),
        ('{"prompt": "q", "chosen": "x", "rejected": "y", "pair_id": "p0-ab"}', "row 2 .* 'p0-ab' of row 1"),
    ],
)
def test_a_row_that_is_none_is_refused_with_its_number(tmp_path, line, said):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(judgments(1)[0]) + "\n" + line + "\n")
    with pytest.raises(UsageError, match=said):
        given("c", file, Training())


def test_a_judge_is_trained_on_rows_that_stand_beside_the_cycle_file(tmp_path):
    with pytest.raises(UsageError, match="needs 'rows'"):
        load(cycle_file(tmp_path, "task: judge"))
    assert load(cycle_file(tmp_path, "task: judge, rows: r.jsonl")).training.rows == tmp_path / "r.jsonl"
