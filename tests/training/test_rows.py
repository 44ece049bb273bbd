"""Rows with their texts: nothing is cut, and what is left out is named."""

from __future__ import annotations

import json

import pytest

from consensus.errors import UsageError
from consensus.nouns import Pair
from consensus.store import Store
from tests.training.runs import labeled, pairs, said
from training.dataset import messages
from training.preferences import plan
from training.rows import HELD_OUT, LEFT_OUT, TRAIN, dataset, row, write

CALL = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"x": 1}'}}
TOOLS = [{"type": "function", "function": {"name": "get"}}]
ALL = "validation: 0, near: null"


def written(cycle, folder, **how):
    with Store(cycle.store) as store:
        return write(store, plan(store, cycle), folder, **how)


def read(file):
    return [row(one) for one in dataset(file)]


def left_out(folder):
    return [json.loads(line) for line in (folder / LEFT_OUT).read_text().splitlines()]


def test_rows_are_trls_columns_with_what_the_label_says(tmp_path):
    _, cycle = said(tmp_path, [Pair("p", "q?", "one", "two", "math")], {"p": "bbb"}, ALL)
    assert written(cycle, tmp_path / "d").train == 1
    assert read(tmp_path / "d" / TRAIN) == [
        {
            "prompt": [{"role": "user", "content": "q?"}],
            "chosen": [{"role": "assistant", "content": "two"}],
            "rejected": [{"role": "assistant", "content": "one"}],
            "tools": None,
            "p_chosen": 1.0,
            "support": 1.0,
            "pair_id": "p",
            "prompt_id": Pair("p", "q?", "one", "two").prompt_id,
            "category": "math",
            "gold": None,
        }
    ]


def test_texts_come_as_they_are_from_plain_text_and_from_messages(tmp_path):
    odd = 'a "quoted" line\nand ünïcode \\u00e9 \t{}'
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": odd}]
    tooled = [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
    ]
    given = [Pair("p0", odd, odd + "!", odd), Pair("p1", chat, tooled, "plain", extra={"tools": TOOLS})]
    _, cycle = said(tmp_path, given, {"p0": "aaa", "p1": "aaa"}, ALL)
    written(cycle, tmp_path / "d")
    found = {one["pair_id"]: one for one in read(tmp_path / "d" / TRAIN)}
    for pair in given:
        got = found[pair.pair_id]
        assert got["prompt"] == messages(pair.prompt, "user")
        assert got["chosen"] == messages(pair.completion_a, "assistant")
        assert got["rejected"] == messages(pair.completion_b, "assistant")
    assert json.loads(found["p1"]["tools"]) == TOOLS
    assert found["p0"]["tools"] is None


@pytest.mark.parametrize("chat", [False, True])
def test_pairs_that_say_nothing_are_counted_and_named(tmp_path, chat):
    def text(words):
        return [{"role": "assistant", "content": words}] if chat else words

    given = [
        Pair("same", "q1", text("x"), text("x")),
        Pair("empty", "q2", text("x"), text(" \n")),
        Pair("asks nothing", " ", text("x"), text("y")),
        Pair("good", "q4", text("x"), text("y")),
    ]
    _, cycle = said(tmp_path, given, {pair.pair_id: "aaa" for pair in given}, ALL)
    counts = written(cycle, tmp_path / "d")
    assert (counts.train, counts.left_out) == (1, {"same": 1, "empty": 2})
    assert {one["pair_id"]: one["reason"] for one in left_out(tmp_path / "d")} == {
        "same": "same",
        "empty": "empty",
        "asks nothing": "empty",
    }


def words(rows):
    return [
        sum(len(turn["content"].split()) for turn in one["prompt"])
        + max(len(one[side][0]["content"].split()) for side in ("chosen", "rejected"))
        for one in rows
    ]


def test_a_row_that_is_too_long_is_left_out_and_named_never_cut(tmp_path):
    given = [Pair("short", "q", "a b", "c"), Pair("long", "q q", "a", "b c d")]
    _, cycle = said(tmp_path, given, {"short": "aaa", "long": "aaa"}, ALL)
    counts = written(cycle, tmp_path / "d", tokens=words, max_length=4)
    assert (counts.train, counts.left_out, counts.longest, counts.tokens) == (1, {"too_long": 1}, 3, 3)
    assert left_out(tmp_path / "d") == [{"pair_id": "long", "reason": "too_long", "tokens": 5}]


def test_a_row_that_is_too_long_stops_the_run_where_that_is_asked_for(tmp_path):
    given = [Pair("short", "q", "a b", "c"), Pair("long", "q q", "a", "b c d")]
    _, cycle = said(tmp_path, given, {"short": "aaa", "long": "aaa"}, ALL)
    with pytest.raises(UsageError, match=r"long \(5 tokens\)"):
        written(cycle, tmp_path / "d", tokens=words, max_length=4, stop=True)


def test_held_out_rows_stand_in_a_file_of_their_own(tmp_path):
    _, cycle = labeled(tmp_path, pairs(100, gold=60), training="validation: 0.3")
    counts = written(cycle, tmp_path / "d")
    train, held_out = read(tmp_path / "d" / TRAIN), read(tmp_path / "d" / HELD_OUT)
    assert (len(train), len(held_out)) == (counts.train, counts.held_out)
    assert not {one["prompt_id"] for one in train} & {one["prompt_id"] for one in held_out}
    assert held_out
