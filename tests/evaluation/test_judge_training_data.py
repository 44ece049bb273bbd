"""What a judge is trained on: the panel's own requests, balanced over slots and ties, and never what it is tested on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.cyclefile import load
from consensus.errors import UsageError
from consensus.nouns import Ballot, Pair, Shown, Verdict
from consensus.sections.training import Training
from evaluation.benchmarks.rows import GROUP, Row, pairs_of
from evaluation.benchmarks.training_data import Reasons, answer_pairs, judgment_pairs, reason_of
from evaluation.commands.benchmark import benchmark
from labeling.reply import parse
from labeling.rubric import Rubric
from tests.evaluation.audits import run
from tests.evaluation.test_benchmarks import public_rows
from training.given import given as given_rows

RUBRIC = Rubric("Say which is better.")


def pair_of(number, gold):
    return Pair(f"p{number}", f"prompt {number}", f"one {number}", f"two {number}", "x", gold)


golds = st.lists(st.sampled_from([Verdict.A, Verdict.B, Verdict.TIE, None]), max_size=30)


def made(pairs, **options):
    return list(judgment_pairs(pairs, RUBRIC, **{"judge": "mine", "seed": 3, **options}))


def words(example, side):
    return json.loads(example[side][0]["content"])["verdict"]


@given(golds, st.integers(0, 5))
def test_every_verdict_is_chosen_as_often_as_it_is_rejected(golds, seed):
    """So neither a slot nor a liking for ties is trained, whatever the gold."""
    examples = made([pair_of(n, gold) for n, gold in enumerate(golds)], seed=seed)
    chosen, rejected = (Counter(words(each, side) for each in examples) for side in ("chosen", "rejected"))
    assert chosen == rejected
    assert chosen["A"] == chosen["B"]
    decided = sum(gold in (Verdict.A, Verdict.B) for gold in golds)
    tied = golds.count(Verdict.TIE)
    assert len(examples) == 2 * (decided + min(tied, decided))


@given(golds)
def test_the_chosen_verdict_is_gold_and_the_rejected_one_is_not(golds):
    pairs = {f"p{n}": pair_of(n, gold) for n, gold in enumerate(golds)}
    for each in made(list(pairs.values())):
        name, _, order = each["pair_id"].partition("/")
        right, wrong = (parse(each[side][0]["content"], Shown(order)).verdict for side in ("chosen", "rejected"))
        assert right is pairs[name].gold
        assert wrong not in (right, Verdict.ABSTAIN)


def test_the_request_is_the_panels_byte_by_byte():
    pair = pair_of(1, Verdict.B)
    ab, ba = made([pair])
    for each, shown in ((ab, Shown.AB), (ba, Shown.BA)):
        assert each["prompt"] == RUBRIC.messages(pair, Ballot("p1", "mine", shown), seed=3)
    assert (words(ab, "chosen"), words(ba, "chosen")) == ("B", "A")
    assert ab["prompt_id"] == ba["prompt_id"] == pair.prompt_id


def vote(verdict, reason, *, shown="ab", pair="p1", raw=None):
    word = {"a": "A", "b": "B", "tie": "tie"}[verdict]
    if shown == "ba" and word != "tie":
        word = {"A": "B", "B": "A"}[word]
    return {
        "pair_id": pair,
        "shown": shown,
        "verdict": verdict,
        "raw": raw or json.dumps({"reasoning": reason, "verdict": word}),
    }


def said(example, side):
    return json.loads(example[side][0]["content"])


def test_a_reason_is_that_of_a_judge_of_the_panel_that_was_right_on_the_same_request():
    reasons = Reasons.of([vote("b", "two is true"), vote("a", "one is long")])
    ab, ba = made([pair_of(1, Verdict.B)], reasons=reasons)
    assert said(ab, "chosen") == {"reasoning": "two is true", "verdict": "B"}
    assert said(ab, "rejected") == {"reasoning": "one is long", "verdict": "A"}
    assert (said(ba, "chosen"), said(ba, "rejected")) == ({"verdict": "A"}, {"verdict": "B"})


def test_where_no_judge_was_wrong_both_replies_have_the_same_words_before_the_verdict():
    ab, _ = made([pair_of(1, Verdict.B)], reasons=Reasons.of([vote("b", "two is true")]))
    assert said(ab, "rejected") == {"reasoning": "two is true", "verdict": "A"}


def test_a_reason_of_a_judge_that_was_wrong_is_never_chosen():
    ab, _ = made([pair_of(1, Verdict.B)], reasons=Reasons.of([vote("a", "one is long")]))
    assert (said(ab, "chosen"), said(ab, "rejected")) == ({"verdict": "B"}, {"verdict": "A"})


@pytest.mark.parametrize(
    "raw",
    [
        "[[B]]",
        '{"verdict": "B"}',
        '{"reasoning": " ", "verdict": "B"}',
        '{"reasoning": 7, "verdict": "B"}',
        "because two",
    ],
)
def test_a_reply_without_a_reason_lends_none(raw):
    assert reason_of(raw) is None
    assert Reasons.of([vote("b", "", raw=raw)]).given == {}


def test_a_vote_that_was_stored_with_another_verdict_than_its_reply_says_lends_no_reason():
    assert Reasons.of([vote("b", "", raw='{"reasoning": "x", "verdict": "A"}')]).given == {}


def test_answers_choose_the_right_completion_and_leave_out_ties_and_pairs_without_gold():
    found = list(answer_pairs([pair_of(1, Verdict.B), pair_of(2, Verdict.TIE), pair_of(3, None)]))
    assert [(row["pair_id"], row["chosen"], row["rejected"], row["p_chosen"]) for row in found] == [
        ("p1", [{"role": "assistant", "content": "two 1"}], [{"role": "assistant", "content": "one 1"}], 1.0)
    ]


def test_the_two_orders_of_a_pair_and_its_group_have_one_name_by_which_they_are_split():
    pairs = [pair_of(n, Verdict.A) for n in range(3)]
    pairs[1:] = [replace(pair, extra={GROUP: "twins"}) for pair in pairs[1:]]
    names = [row["prompt_id"] for row in made(pairs)]
    assert len(set(names[:2])) == len(set(names[2:])) == 1
    assert len(set(names)) == 2
    assert [row["prompt_id"] for row in answer_pairs(pairs)] == names[::2]


def test_training_holds_out_both_orders_of_a_pair_and_twins_or_none(tmp_path):
    """The requests of a pair's two orders are different prompts, and so are those of its row's other pairs and of twins."""
    benchmark(benchmark_file(tmp_path), out=tmp_path / "data", train="rest", cycle=cycle_file(tmp_path))
    file = tmp_path / "data" / "train.judgments.jsonl"
    plan, _ = given_rows("c", file, Training(validation=0.3, near=None))
    sides = {}
    for row in plan.table.to_pylist():
        row_id = row["pair_id"].split("/")[0].replace("tied:", "ref:")
        sides.setdefault(row_id, set()).add(row["held_out"])
    assert {frozenset(side) for side in sides.values()} == {frozenset({True}), frozenset({False})}
    assert plan.prompts == len(sides) == 45


def test_a_cap_per_row_keeps_the_category_of_many_answers_from_dominating():
    """Ties is 5.5 % of RewardBench 2's rows; uncapped, a row with 4 right and 5 wrong answers makes 20 pairs."""
    rows = public_rows()
    share = {}
    for most in (3, None):
        found = [row.subset for row in rows for pair in pairs_of(row, most=most) if pair.gold is not Verdict.TIE]
        share[most] = found.count("Ties") / len(found)
    assert share[3] == pytest.approx(102 / 1865)
    assert share[None] > 0.15


# -- the command ------------------------------------------------------------------------------------------------------


def benchmark_file(folder, n=40):
    rows = [
        Row(f"{k}", f"prompt {k}", (f"right {k}",), tuple(f"wrong {k}.{j}" for j in range(3)), "xy"[k % 2])
        for k in range(n)
    ]
    rows += [Row(f"tied:{k}", f"tied {k}", ("a", "b", "c"), ("d",), "Ties", f"Ties:{k}") for k in range(5)]
    rows += [Row(f"ref:{k}", f"ref {k}", ("a",), ("b", "c", "d"), "Ties", f"Ties:{k}") for k in range(5)]
    lines = [
        {"id": r.id, "prompt": r.prompt, "chosen": list(r.chosen), "rejected": list(r.rejected), "subset": r.subset}
        for r in rows
    ]
    file = folder / "rb2.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return str(file)


def cycle_file(folder):
    file = folder / "cycle.yaml"
    file.write_text(
        "judges:\n"
        "  - {provider: simulated, model: sim, name: mine, extra: {accuracy: 0.9}}\n"
        "  - {provider: simulated, model: sim, name: other, extra: {accuracy: 0.6, position_bias: 0.2}}\n"
        "input: {pairs: data/test.pairs.jsonl}\n"
        "rubric: {axes: []}\n"
        "sampling: {orders: both, stop: never}\n"
    )
    return file


def rows_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_benchmark_is_split_judged_and_compared_in_three_commands(tmp_path, capsys):
    file = cycle_file(tmp_path)
    out = tmp_path / "data"
    flags = ("--out", out, "--train", "30", "--test", "20", "--cycle", file, "--json")
    code, printed, _ = run(capsys, "evaluate", "benchmark", benchmark_file(tmp_path), *flags)
    done = json.loads(printed)
    assert code == 0
    assert done["parts"]["train"]["rows"] == sum(30 * n // 50 for n in (20, 20, 10))
    assert done["parts"]["test"]["categories"] == {"x": 8, "y": 8, "Ties": 4}
    train, test = rows_of(out / "train.pairs.jsonl"), rows_of(out / "test.pairs.jsonl")
    assert {row["prompt"] for row in train}.isdisjoint(row["prompt"] for row in test)
    judgments = rows_of(out / "train.judgments.jsonl")
    assert Counter(words(row, "chosen") for row in judgments) == Counter(words(row, "rejected") for row in judgments)
    assert {row["pair_id"].split("/")[0] for row in judgments} <= {row["row"] for row in train}
    assert len(rows_of(out / "train.answers.jsonl")) == done["files"]["train.answers.jsonl"]["rows"]

    assert run(capsys, "label", file)[0] == 0
    code, printed, _ = run(capsys, "evaluate", "judges", file, "--json")
    table = json.loads(printed)
    assert code == 0
    assert (table["pairs"], table["decided"]) == (20, 20)
    assert [row["judge"] for row in table["judges"]] == ["mine", "other"]
    first = table["judges"][0]
    assert sum(first["counts"].values()) == 20
    assert first["calls"]["votes"] == 40
    assert set(first["categories"]) == {"x", "y", "Ties"}


def test_the_panels_reasons_come_out_of_the_cycles_store(tmp_path, capsys):
    file = cycle_file(tmp_path)
    source, out = benchmark_file(tmp_path), tmp_path / "data"
    benchmark(source, out=out, test="rest")
    assert run(capsys, "label", file)[0] == 0
    capsys.readouterr()
    benchmark(source, out=tmp_path / "again", train="rest", cycle=file, per_row=1)
    with_reason = [
        row for row in rows_of(tmp_path / "again" / "train.judgments.jsonl") if "reasoning" in said(row, "chosen")
    ]
    assert with_reason
    assert all("reasoning" in said(row, "rejected") for row in with_reason)
    benchmark(source, out=tmp_path / "bare", train="rest", cycle=file, per_row=1, verdict_only=True)
    assert all(set(said(row, "chosen")) == {"verdict"} for row in rows_of(tmp_path / "bare" / "train.judgments.jsonl"))
    loaded = load(file, ())
    prompt = rows_of(tmp_path / "bare" / "train.judgments.jsonl")[0]["prompt"]
    assert prompt[0]["content"] == Rubric.of(loaded).system


def test_the_same_seed_writes_the_same_files_and_another_one_another_split(tmp_path):
    source = benchmark_file(tmp_path)
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        benchmark(source, out=tmp_path / name, train="25", test="15", seed=seed)
    one, same, other = ((tmp_path / name / "test.pairs.jsonl").read_text() for name in ("one", "same", "other"))
    assert one == same
    assert one != other


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"train": "x"}, "--train is a number of rows, or rest"),
        ({"train": "0"}, "--train is a number of rows, or rest"),
        ({"train": "rest", "test": "rest"}, "only one part can take the rest"),
        ({"train": "900"}, "the parts have 900 rows together, and the benchmark has 50"),
        ({"per_row": -1}, "--per-row is a number of pairs"),
        ({"near": 1.0}, "--near is a similarity in"),
        ({"judge": "x"}, "--judge goes with --cycle"),
    ],
)
def test_wrong_parts_are_refused_with_what_to_do(tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        benchmark(benchmark_file(tmp_path), out=tmp_path / "data", **options)


def test_a_judge_that_the_cycle_does_not_have_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no judge 'nobody', but mine, other"):
        benchmark(benchmark_file(tmp_path), out=tmp_path / "data", cycle=cycle_file(tmp_path), judge="nobody")
