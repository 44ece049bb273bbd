"""The table of judges: the public counts, recorded judges, and what it says of couples, dollars and ties."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from consensus.errors import UsageError
from consensus.nouns import Ballot, Pair, Shown, Verdict
from consensus.sections.endpoints import Price
from consensus.statistics.votes import ABSTAIN, TIE, A, B
from evaluation.commands.judges import judges
from evaluation.judges.calls import Calls, Mix, calls_of, costs, throughput
from evaluation.judges.cautions import cautions
from evaluation.judges.couples import couples
from evaluation.judges.judged import MISSING, Counts, Judged, credit
from evaluation.judges.layout import markdown
from evaluation.judges.page import page
from evaluation.judges.sources import trained_on
from evaluation.judges.table import Options, judge_table
from tests.consensus.recorded import read
from tests.evaluation.audits import recorded_cycle
from tests.test_house import HEAVY, imported_by

PUBLIC = {  # right, wrong, tie: accuracy, decisive only, half credit, in percent
    "GPT-5.2": ((183, 43, 71), 61.62, 81.0, 73.6),
    "gpt-oss-120b": ((172, 57, 68), 57.91, 75.1, 69.4),
    "gpt-oss-120b, tuned": ((186, 50, 61), 62.63, 78.8, 72.9),
    "Qwen3-235B": ((186, 63, 48), 62.63, 74.7, 70.7),
    "Qwen3-235B, tuned": ((182, 62, 53), 61.28, 74.6, 70.2),
    "Llama-4-Maverick": ((149, 54, 94), 50.17, 73.4, 66.0),
}


def judged_of(counts, *, categories=None):
    """Judges that say of every pair the same in both orders, gold a: so many right, wrong, tied, unread and missing."""
    n = sum(next(iter(counts.values())))
    pairs = [Pair(f"p{k}", f"prompt {k}", "a", "b", categories and categories[k], Verdict.A) for k in range(n)]
    choice = np.stack([np.repeat([A, B, TIE, ABSTAIN, MISSING][: len(each)], each) for each in counts.values()])
    made = Judged.of(pairs, list(counts), [])
    return Judged(
        made.judges, made.pair_ids, made.category, made.cluster, made.gold, np.stack([choice, choice], axis=2)
    )


@pytest.mark.parametrize("judge", PUBLIC)
def test_the_three_rules_for_ties_give_the_public_accuracies(judge):
    counts, strict, decisive, half = PUBLIC[judge]
    row = judge_table("rb2", judged_of({judge: counts}), Options()).judges[0]
    assert (row.counts.right, row.counts.wrong, row.counts.tie) == counts
    assert 100 * row.accuracy["strict"].value == pytest.approx(strict, abs=0.005)
    assert 100 * row.accuracy["decisive"].value == pytest.approx(decisive, abs=0.05)
    assert 100 * row.accuracy["half"].value == pytest.approx(
        half, abs=0.051
    )  # 69.36 was published as 69.4, 73.57 as 73.6
    assert Counts(*counts, 0, 0).accuracy("half") == pytest.approx(row.accuracy["half"].value)


def test_the_public_winners_interval_holds_all_but_the_last():
    """The published margin is 3 of 297 rows."""
    table = judge_table("rb2", judged_of({name: counts for name, (counts, *_) in PUBLIC.items()}), Options())
    best = table.judges[0].accuracy["strict"]
    assert (round(100 * best.low), round(100 * best.high)) == (57, 68)
    assert [row.judge for row in table.judges if row.accuracy["strict"].value < best.low] == ["Llama-4-Maverick"]


def test_the_public_ranking_is_said_to_depend_on_how_ties_count():
    table = judge_table("rb2", judged_of({name: counts for name, (counts, *_) in PUBLIC.items()}), Options())
    (first,) = [text for text in table.warnings if text.startswith("who is first")]
    assert "ties are not right: " in first
    assert "ties are left out: GPT-5.2, 81.0 %" in first
    assert any(text.startswith("the order of ") for text in table.warnings)


def test_nothing_is_said_of_the_ranking_where_it_does_not_depend_on_ties():
    table = judge_table("x", judged_of({"good": (80, 10, 10), "bad": (50, 40, 10)}), Options())
    assert table.warnings == ()


def test_what_could_not_be_read_is_never_credited():
    """Decisive-only accuracy would reward a judge for not answering where it is weak."""
    with_unread, with_wrong = Counts(60, 20, 10, 10, 0), Counts(60, 30, 10, 0, 0)
    for rule in ("strict", "decisive", "half"):
        assert with_unread.accuracy(rule) == with_wrong.accuracy(rule)


outcome = st.sampled_from([A, B, TIE, ABSTAIN, MISSING])


@given(st.lists(st.tuples(outcome, st.sampled_from([A, B, TIE])), min_size=1, max_size=30))
def test_counts_and_credits_agree_under_every_rule(made):
    rulings, gold = np.array(made).T
    counts = Counts.of(rulings, gold)
    assert sum((counts.right, counts.wrong, counts.tie, counts.unread, counts.missing)) == (np.abs(gold) == 1).sum()
    for rule in ("strict", "decisive", "half"):
        worth = credit(rulings, gold, rule)
        known = worth[~np.isnan(worth)]
        assert counts.accuracy(rule) == pytest.approx(known.mean() if len(known) else np.nan, nan_ok=True)


@given(st.lists(st.tuples(outcome, outcome), min_size=1, max_size=20))
def test_naming_the_completions_the_other_way_round_changes_no_figure(made):
    """a and b are names: swapped everywhere, orders included, rulings are the same opinions."""
    pairs = [Pair(f"p{k}", f"prompt {k}", "x", "y", None, Verdict.A) for k in range(len(made))]
    one = Judged.of(pairs, ["j"], [])
    choice = np.array(made)[None]
    renamed = np.where(np.abs(choice) == 1, -choice, choice)[..., ::-1]
    one = Judged(one.judges, one.pair_ids, one.category, one.cluster, one.gold, choice)
    other = Judged(one.judges, one.pair_ids, one.category, one.cluster, -one.gold, renamed)
    assert Counts.of(one.rulings()[0], one.gold) == Counts.of(other.rulings()[0], other.gold)
    ours, theirs = (judge_table("x", each, Options()).judges[0] for each in (one, other))
    assert str((ours.consistency, ours.first_share)) == str((theirs.consistency, theirs.first_share))  # nan is no nan


def test_a_verdict_counts_where_both_orders_agree_and_is_a_tie_where_they_do_not():
    pairs = [Pair(str(k), str(k), "x", "y", None, Verdict.A) for k in range(6)]
    said = [("a", "a"), ("a", "b"), ("a", "tie"), ("tie", "tie"), ("a", "abstain"), ("a", None)]
    votes = [
        (Ballot(str(k), "j", shown), Verdict(verdict))
        for k, each in enumerate(said)
        for shown, verdict in zip(Shown, each, strict=True)
        if verdict
    ]
    votes += [(Ballot("1", "j", Shown.BA, repeat=1), Verdict.A), (Ballot("0", "other", Shown.AB), Verdict.B)]
    judged = Judged.of(pairs, ["j"], votes)
    assert judged.rulings()[0].tolist() == [A, TIE, TIE, TIE, ABSTAIN, MISSING]
    assert judged.rulings("one")[0, 5] == A


# -- couples ----------------------------------------------------------------------------------------------------------


def test_mcnemar_is_that_of_statsmodels_and_holm_too():
    rng = np.random.default_rng(1)
    worth = (rng.random((4, 120)) < [[0.8], [0.7], [0.6], [0.5]]).astype(float)
    found = couples(list("wxyz"), worth, np.arange(120))
    for each, (i, k) in zip(found, combinations(range(4), 2), strict=True):
        table = [[int(((worth[i] == x) & (worth[k] == y)).sum()) for y in (1, 0)] for x in (1, 0)]
        assert each.mcnemar_p == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert each.p == each.mcnemar_p
        assert each.difference.value == pytest.approx(worth[i].mean() - worth[k].mean())
    adjusted = multipletests([each.p for each in found], method="holm")[1]
    assert [each.p_holm for each in found] == pytest.approx(adjusted)
    assert [each.real for each in found] == (adjusted < 0.05).tolist()


def test_what_the_order_does_is_compared_on_the_same_pairs():
    """A judge that always takes the first slot beside one that takes it on a quarter of the pairs, and is right elsewhere."""
    n = 200
    pairs = [Pair(f"p{k}", f"prompt {k}", "x", "y", None, Verdict.A) for k in range(n)]
    slot, fair = np.tile([A, B], (n, 1)), np.full((n, 2), A)
    fair[: n // 4, 1] = B
    judged = Judged.of(pairs, ["slot", "fair"], [])
    judged = Judged(
        judged.judges, judged.pair_ids, judged.category, judged.cluster, judged.gold, np.stack([slot, fair])
    )
    (each,) = judge_table("x", judged, Options()).couples
    assert (each.one, each.other) == ("fair", "slot")
    gap, first = each.order["consistency"], each.order["first_share"]
    assert (gap.value, first.value) == (0.75, pytest.approx(0.625 - 1))
    error = np.sqrt(0.25 * 0.75 / (n - 1))  # the second judge does not vary
    assert (gap.high - gap.low) / 2 == pytest.approx(1.972 * error, rel=0.01)
    assert (first.high - first.low) / 2 == pytest.approx(1.972 * error / 2, rel=0.01)


def test_a_prompt_with_many_pairs_counts_once():
    """Ten prompts of twenty pairs on which both judges agree among themselves are ten differences, not two hundred."""
    prompts = np.repeat(np.arange(10), 20)
    one = np.repeat([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], 20).astype(float)
    (each,) = couples(["x", "y"], np.stack([one, 1 - one]), prompts)
    assert each.mcnemar_p < 1e-6
    assert each.p == pytest.approx(binomtest(7, 10).pvalue, abs=0.02)
    assert not each.real


def test_the_public_margin_of_three_rows_is_not_real_whatever_the_overlap():
    """186 against 183 of 297 right: even if the judges differ on three rows only."""
    one = np.zeros(297)
    one[:186] = 1
    other = np.zeros(297)
    other[:183] = 1
    (each,) = couples(["tuned", "GPT-5.2"], np.stack([one, other]), np.arange(297))
    assert each.p == pytest.approx(0.25)
    assert not each.real


# -- dollars and seconds ----------------------------------------------------------------------------------------------


def test_fifteen_times_cheaper_at_a_mix_of_nine_to_one():
    prices = {"GPT-5.2": Price(input=1.75, output=14), "gpt-oss-120b": Price(input=0.15, output=0.6), "mine": None}
    found = costs(prices, {"gpt-oss-120b": Calls(10, 1800, 200)}, Mix.parse("9:1"), None)
    assert found["GPT-5.2"].per_million == pytest.approx(2.975)
    assert round(found["gpt-oss-120b"].times_cheaper, 1) == 15.3
    assert found["GPT-5.2"].times_cheaper == 1
    assert found["gpt-oss-120b"].per_1000 == pytest.approx(1000 * 2000 * 0.195 / 1e6)
    assert np.isnan(found["GPT-5.2"].per_1000)
    assert np.isnan(found["mine"].per_million)
    stated = costs(prices, {}, Mix.parse("9:1"), 1000)
    assert stated["GPT-5.2"].per_1000 == pytest.approx(2.975)


@pytest.mark.parametrize("text", ["9", "9:1:1", "a:b", "-1:2", "0:0", "inf:1", "nan:1"])
def test_a_mix_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="mix"):
        Mix.parse(text)


def test_speed_is_that_of_the_time_at_work():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = [start + timedelta(seconds=s) for s in (0, 1, 2, 3, 4000, 4001, 4002)]
    assert throughput(times) == pytest.approx(1.0)
    assert np.isnan(throughput(times[:1]))


def test_recorded_votes_have_no_speed_and_no_price():
    row = {
        "latency_s": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "cost_usd": None,
        "created_at": datetime.now(UTC),
    }
    found = calls_of([row, row])
    assert (found.votes, np.isnan([found.tokens_in, found.paid, found.latency, found.per_second]).all()) == (2, True)


# -- recorded judges --------------------------------------------------------------------------------------------------


def by_hand(pairs, rows, judge):
    """A judge's figures in plain Python over the rows of the files, first repeats only."""
    said = defaultdict(dict)
    for vote in rows:
        if vote["judge"] == judge and vote["repeat"] == 0:
            said[vote["pair_id"]][vote["order"]] = vote["verdict"]
    count, category = defaultdict(int), defaultdict(list)
    for pair in pairs:
        ab, ba = said[pair["pair_id"]]["ab"], said[pair["pair_id"]]["ba"]
        if pair["gold"] in ("a", "b"):
            if ab is None or ba is None:
                kind = "unread"
            elif ab != ba or ab == "tie":
                kind = "tie"
            else:
                kind = "right" if ab == pair["gold"] else "wrong"
            count[kind] += 1
            category[pair["category"]].append(kind == "right")
    both = [(x["ab"], x["ba"]) for x in said.values() if None not in (x["ab"], x["ba"])]
    single = [(order, verdict) for x in said.values() for order, verdict in x.items()]
    decided = [(order, verdict) for order, verdict in single if verdict in ("a", "b")]
    readable = [verdict for _, verdict in single if verdict]
    return {
        "counts": [count[kind] for kind in ("right", "wrong", "tie", "unread")],
        "categories": {name: np.mean(each) for name, each in category.items()},
        "consistency": np.mean([ab == ba for ab, ba in both]),
        "first": np.mean([verdict == order[0] for order, verdict in decided]),
        "tie": np.mean([verdict == "tie" for verdict in readable]),
        "unread": 1 - len(readable) / len(single),
    }


def table_of(capsys, *words, **options):
    assert judges(*words, json=True, **options) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("data", ["llmbar", "position_bias_mtbench"])
@pytest.mark.parametrize("way", ["files", "cycle"])
def test_recorded_judges_get_the_figures_that_are_counted_by_hand(tmp_path, capsys, recorded_data, data, way):
    folder = recorded_data / data
    pairs, rows = read(folder, "pairs"), read(folder, "votes")
    names = sorted({vote["judge"] for vote in rows})
    if way == "files":
        table = table_of(capsys, pairs=str(folder / "pairs.jsonl"), votes=folder / "votes.jsonl")
    else:
        table = table_of(capsys, recorded_cycle(tmp_path, folder, names))
    assert (table["pairs"], len(table["judges"])) == (len(pairs), len(names))
    for row in table["judges"]:
        expected = by_hand(pairs, rows, row["judge"])
        assert [row["counts"][kind] for kind in ("right", "wrong", "tie", "unread")] == expected["counts"]
        values = {name: each["value"] for name, each in row["categories"].items() if each["value"] is not None}
        assert values == pytest.approx(expected["categories"])
        for name, ours in (
            ("consistency", "consistency"),
            ("first", "first_share"),
            ("tie", "tie_share"),
            ("unread", "unread_share"),
        ):
            assert row[ours]["value"] == pytest.approx(expected[name]), (row["judge"], name)
    if not any(pair["gold"] for pair in pairs):
        assert {each["difference"]["value"] for each in table["couples"]} == {None}
        assert "no pair has gold a or b" in table["warnings"][0]


def test_the_couples_of_recorded_judges_are_those_of_statsmodels(capsys, recorded_data):
    folder = recorded_data / "llmbar"
    pairs, rows = read(folder, "pairs"), read(folder, "votes")
    said = {(v["judge"], v["pair_id"], v["order"]): v["verdict"] for v in rows if v["repeat"] == 0}

    def right(judge):
        return np.array(
            [said[judge, p["pair_id"], "ab"] == said[judge, p["pair_id"], "ba"] == p["gold"] for p in pairs]
        )

    table = table_of(capsys, pairs=str(folder / "pairs.jsonl"), votes=folder / "votes.jsonl")
    for each in table["couples"]:
        one, other = right(each["one"]), right(each["other"])
        expected = mcnemar([[0, int((one & ~other).sum())], [int((~one & other).sum()), 0]], exact=True).pvalue
        assert each["mcnemar_p"] == pytest.approx(expected)
        assert each["difference"]["value"] == pytest.approx(one.mean() - other.mean())


def test_people_of_pandalm_are_compared_by_one_order_since_there_is_no_other(capsys, recorded_data):
    folder = recorded_data / "pandalm"
    files = {"pairs": str(folder / "pairs.jsonl"), "votes": folder / "votes.jsonl"}
    with pytest.raises(UsageError, match="no judge has votes in both orders; --orders one compares by one order"):
        judges(**files)
    table = table_of(capsys, **files, orders="one")
    pairs, rows = read(folder, "pairs"), read(folder, "votes")
    sides = {pair["pair_id"]: (pair["completion_a"], pair["completion_b"]) for pair in pairs}
    fine = {name for name, (a, b) in sides.items() if all(isinstance(x, str) and x.strip() for x in (a, b)) and a != b}
    gold = {pair["pair_id"]: pair["gold"] for pair in pairs if pair["pair_id"] in fine}
    assert table["pairs"] == len(gold)
    for row in table["judges"]:
        mine = [
            v["verdict"] == gold[v["pair_id"]]
            for v in rows
            if v["judge"] == row["judge"] and gold.get(v["pair_id"], "tie") != "tie"
        ]
        assert row["accuracy"]["strict"]["value"] == pytest.approx(np.mean(mine))


# -- the command ------------------------------------------------------------------------------------------------------


def small_files(folder, *, judges=("one", "two"), golds="ab" * 10):
    rows = [
        {
            "pair_id": str(k),
            "prompt": f"p{k}",
            "completion_a": "x",
            "completion_b": "y",
            "category": "mn"[k % 2],
            "gold": gold,
        }
        for k, gold in enumerate(golds)
    ]
    votes = [
        {
            "pair_id": str(k),
            "judge": judge,
            "order": order,
            "repeat": 0,
            "verdict": golds[k] if k % (3 + j) else "a",
            "raw": None,
        }
        for j, judge in enumerate(judges)
        for k in range(len(golds))
        for order in ("ab", "ba")
    ]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "votes.jsonl").write_text("\n".join(map(json.dumps, votes)))
    return {"pairs": str(folder / "pairs.jsonl"), "votes": folder / "votes.jsonl"}


def test_terminal_markdown_and_html_say_the_same(tmp_path, capsys):
    pytest.importorskip("jinja2")
    pytest.importorskip("vl_convert")
    files = small_files(tmp_path, judges=("o|ne", "<b>two</b>"))
    judges(**files, html=tmp_path / "out" / "judges.html")
    terminal = capsys.readouterr().out
    judges(**files, markdown=True)
    in_markdown = capsys.readouterr().out
    html = (tmp_path / "out" / "judges.html").read_text("utf-8")
    value = table_of(capsys, **files)["judges"][0]["accuracy"]["strict"]
    figure = f"{100 * value['value']:.1f} % ({100 * value['low']:.1f}–{100 * value['high']:.1f})"
    for words in ("By category", "What the order does", "Which differences are real", figure):
        assert all(words in text for text in (terminal, in_markdown, html))
    assert "| o\\|ne |" in in_markdown
    assert "&lt;b&gt;two" in html
    assert "<b>two" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_markdown_tables_have_as_many_cells_in_every_line(tmp_path, capsys):
    judges(**small_files(tmp_path), markdown=True)
    lines = capsys.readouterr().out.splitlines()
    width = None
    for line in lines:
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert width in (None, cells)
            width = cells
        else:
            width = None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({}, "name a cycle file, or recorded votes"),
        ({"votes": "v"}, "--votes goes with --pairs"),
        ({"pairs": "p", "votes": "v", "mix": "9"}, "--mix: a mix of tokens is written"),
        ({"pairs": "p", "votes": "v", "tokens": 0}, "--tokens is a number above 0"),
        ({"pairs": "nowhere", "votes": "v"}, "there is no benchmark 'nowhere'"),
    ],
)
def test_a_wrong_command_is_refused_with_what_to_do(tmp_path, words, says):
    from pathlib import Path

    words = {**words, **({"votes": Path(words["votes"])} if "votes" in words else {})}
    with pytest.raises(UsageError, match=says):
        judges(**words)


@pytest.mark.parametrize("command", ["judges", "benchmark", "protocol"])
def test_the_help_of_a_command_on_judges_imports_nothing_heavy(command):
    text, _, modules = imported_by("evaluate", command, "--help")
    assert "--json" in text
    assert modules.isdisjoint(HEAVY)


def test_two_verdicts_on_one_ballot_are_refused(tmp_path):
    files = small_files(tmp_path)
    more = {"pair_id": "1", "judge": "one", "order": "ab", "repeat": 0, "verdict": "tie"}
    with files["votes"].open("a") as file:
        file.write("\n" + json.dumps(more))
    with pytest.raises(UsageError, match="two verdicts of 'one' on '1', ab, repeat 0"):
        judges(**files)


def test_a_cycle_without_the_other_order_is_told_how_to_ask_it(tmp_path, capsys):
    files = small_files(tmp_path)
    rows = [json.loads(line) for line in files["votes"].read_text().splitlines()]
    files["votes"].write_text("\n".join(json.dumps(row) for row in rows if row["order"] == "ab"))
    with pytest.raises(UsageError, match=r"consensus label .*cycle\.yaml sampling\.orders=both sampling\.stop=never"):
        judges(recorded_cycle(tmp_path, tmp_path, ["one", "two"]))


def test_the_pairs_of_a_benchmark_decide_what_of_a_cycle_counts(tmp_path, capsys):
    small_files(tmp_path)
    some = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()][:6]
    (tmp_path / "some.jsonl").write_text("\n".join(json.dumps({**row, "gold": "b"}) for row in some))
    table = table_of(capsys, recorded_cycle(tmp_path, tmp_path, ["one", "two"]), pairs=str(tmp_path / "some.jsonl"))
    assert (table["pairs"], table["judges"][0]["counts"]["wrong"]) == (6, 3)


def test_a_pair_of_the_same_name_with_its_completions_the_other_way_round_is_refused(tmp_path):
    """Else its gold would be turned round."""
    small_files(tmp_path)
    row = json.loads((tmp_path / "pairs.jsonl").read_text().splitlines()[0])
    (tmp_path / "some.jsonl").write_text(json.dumps({**row, "completion_a": "y", "completion_b": "x"}))
    with pytest.raises(UsageError, match="the pair '0' has other texts in the cycle"):
        judges(recorded_cycle(tmp_path, tmp_path, ["one", "two"]), pairs=str(tmp_path / "some.jsonl"))


def test_judges_that_answered_on_different_pairs_are_said_not_to_be_comparable():
    counts = {"all": (60, 30, 10, 0, 0), "few": (40, 10, 0, 0, 50)}
    table = judge_table("x", judged_of(counts), Options())
    assert any(
        "not every judge answered on all 100 pairs with gold in both orders (few 50)" in text for text in table.warnings
    )
    assert list(cautions((), decided=0, orders="both")) == [
        "no pair has gold a or b: nothing here shows which judge is right"
    ]


def test_gold_ties_are_left_out_and_counted():
    judged = judged_of({"j": (3, 1)})
    tied = Judged(
        judged.judges, judged.pair_ids, judged.category, judged.cluster, np.array([A, A, TIE, A]), judged.choice
    )
    table = judge_table("x", tied, Options())
    assert (table.decided, table.tied, table.judges[0].counts.right) == (3, 1, 2)
    assert "1 whose gold is a tie are left out" in markdown(table)


def test_a_page_is_made_of_hostile_names_too():
    pytest.importorskip("jinja2")
    html = page(judge_table("<script>\x00", judged_of({"{{ 7 * 7 }}\ud800": (3, 1)}), Options()), version="0")
    assert "<script>" not in html
    assert "{{ 7 * 7 }}" in html
    html.encode()


def test_a_judge_that_was_trained_on_these_pairs_is_said_to_have_been(tmp_path):
    """By the rows of the run that its adapter stands in, a row an order of judgments and one of answers."""
    pairs = [Pair(f"p{k}", f"prompt {k}", "x", "y", gold=Verdict.A) for k in range(4)]
    adapter = tmp_path / "run" / "adapter"
    assert trained_on(adapter, pairs) == 0
    rows = pa.table({"pair_id": ["p0/ab", "p0/ba", "p1", "other/ab"]})
    (tmp_path / "run" / "data").mkdir(parents=True)
    with pa.ipc.new_stream(str(tmp_path / "run" / "data" / "train.arrow"), rows.schema) as out:
        out.write_table(rows)
    assert trained_on(adapter, pairs) == 2
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.arrow").write_text("another program's")
    assert trained_on(tmp_path / "adapter", pairs) == 0
    judged = Judged.of(pairs, ["tuned"], [(Ballot("p0", "tuned", shown), Verdict.A) for shown in Shown])
    table = judge_table("b", judged, Options(), trained={"tuned": 2})
    assert table.warnings[0].startswith("tuned was trained on 2 of these pairs")
    assert not any("trained" in each for each in judge_table("b", judged, Options()).warnings)
