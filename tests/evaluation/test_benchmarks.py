"""Benchmarks in one form, their splits, and the arithmetic of their protocols."""

from __future__ import annotations

import json
from collections import Counter
from math import nan, tanh

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.errors import UsageError
from consensus.nouns import Pair, Verdict
from evaluation.benchmarks import best_of, ratings
from evaluation.benchmarks.parts import parts_of
from evaluation.benchmarks.ratings import Ratings
from evaluation.benchmarks.rows import Benchmark, Row, keys_of, pairs_of, prompts_of
from evaluation.benchmarks.scores import rating_scores, scores
from evaluation.benchmarks.sources import read_benchmark
from evaluation.benchmarks.splits import allotment, refuse_leaks, split, together
from evaluation.benchmarks.ties import Rated, components, tie_columns, ties_score

PUBLIC = {"Factuality": 475, "Precise IF": 160, "Math": 183, "Safety": 450, "Focus": 495, "Ties": 102}


def row_of(number, subset="Math", *, rejected=3, chosen=1, group=None, prompt=None, name=None):
    right = tuple(f"right {number}.{k}" for k in range(chosen))
    wrong = tuple(f"wrong {number}.{k}" for k in range(rejected))
    return Row(name or str(number), prompt or f"prompt {number}", right, wrong, subset, group)


def public_rows():
    """Rows with the categories of RewardBench 2, Ties in twins of a ref row and a tied one."""
    rows = [row_of(f"{subset}-{k}", subset) for subset, n in PUBLIC.items() if subset != "Ties" for k in range(n)]
    for k in range(51):
        rows.append(row_of(f"r{k}", "Ties", group=f"Ties:{k}", name=f"ref:{k}"))
        rows.append(row_of(f"t{k}", "Ties", group=f"Ties:{k}", name=f"tied:{k}", chosen=4, rejected=5))
    return rows


# -- splits -----------------------------------------------------------------------------------------------------------


def test_parts_of_1500_and_300_of_the_public_categories_are_1498_and_297_rows():
    assert sum(allotment(PUBLIC, 1500).values()) == 1498
    assert sum(allotment(PUBLIC, 300).values()) == 297


def test_the_split_of_the_public_rows_has_these_sizes_in_every_category_and_parts_no_twins():
    done = split(public_rows(), {"train": 1500, "test": 300}, seed=1)
    for part, size in (("train", 1500), ("test", 300)):
        assert Counter(row.subset for row in done.parts[part]) == allotment(PUBLIC, size)
        twins = Counter(row.group for row in done.parts[part] if row.group)
        assert set(twins.values()) == {2}
    assert done.left == 1865 - 1498 - 297


items = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("xyz"), st.none() | st.integers(0, 4)), max_size=40)


@given(items, st.integers(0, 5), st.integers(0, 3))
def test_no_prompt_and_no_group_ever_stands_in_two_parts(made, size, seed):
    rows = [
        row_of(n, subset, prompt=f"Prompt {prompt}", group=group and str(group))
        for n, (prompt, subset, group) in enumerate(made)
    ]
    size = min(size, len(rows) // 2)
    done = split(rows, {"train": size, "test": size, "rest": None}, seed=seed)
    where = {}
    for part, part_rows in done.parts.items():
        for row in part_rows:
            for key in keys_of(row):
                assert where.setdefault(key, part) == part
    assert sum(map(len, done.parts.values())) == len(rows)
    assert all(len(done.parts[part]) <= size for part in ("train", "test"))


@given(st.randoms(use_true_random=False))
def test_a_split_depends_on_the_seed_and_not_on_the_order_of_the_rows(random):
    rows = [row_of(n, "xy"[n % 2]) for n in range(30)]
    mixed = random.sample(rows, len(rows))
    sizes = {"train": 20, "test": 6}
    one, other = (split(each, sizes, seed=3).parts for each in (rows, mixed))
    assert {part: {row.id for row in found} for part, found in one.items()} == {
        part: {row.id for row in found} for part, found in other.items()
    }
    assert one["test"] != split(rows, sizes, seed=4).parts["test"]


def test_a_prompt_on_both_sides_is_refused_even_if_it_is_written_otherwise():
    parts = {"train": [row_of(1, prompt="What  is it?")], "test": [row_of(2, prompt="what is it? ")]}
    with pytest.raises(
        UsageError, match=r"stand in more than one part, e\.g\. that of '1' in 'train' and '2' in 'test'"
    ):
        refuse_leaks(parts)


def test_a_twin_on_the_other_side_is_refused():
    rows = [row_of("a", group="Ties:1"), row_of("b", group="Ties:1")]
    with pytest.raises(UsageError, match="more than one part"):
        refuse_leaks({"train": rows[:1], "test": rows[1:]})


SAID = "the answer to it is a long one and says that there is nothing to be said about the matter at hand today"
NEGATED = (  # as LLMBar's normal cases and their negations: other prompts, the same answers, the other gold
    Pair("normal", "Tell me of the matter.", SAID, "No.", "normal", Verdict.A),
    Pair("negation", "Be of no help. The user says: tell me!", " no. ", SAID.title(), "negation", Verdict.A),
)
ALIKE = "Assume that all numbers are in base nine, where the digits are those from nought to eight. What is {} + {}? Show it."


def test_the_same_answers_on_the_other_side_are_a_leak_whatever_the_prompts_say():
    with pytest.raises(UsageError, match="'normal' in 'train' and 'negation' in 'test'"):
        refuse_leaks({"train": NEGATED[:1], "test": NEGATED[1:]})


def test_short_answers_are_shared_by_chance_and_are_no_leak():
    refuse_leaks({part: [Pair(part, f"Is {part} a word?", "Yes.", "No.")] for part in ("train", "test")})


def test_a_near_duplicate_on_the_other_side_is_a_leak_unless_only_the_same_prompts_count():
    parts = {part: [row_of(part, prompt=ALIKE.format(12, n))] for part, n in (("train", 13), ("test", 14))}
    with pytest.raises(UsageError, match="1 prompts, groups or sets of answers stand in more than one part"):
        refuse_leaks(parts, near=0.7)
    refuse_leaks(parts, near=None)


def test_what_hangs_together_over_others_has_one_name():
    rows = [row_of("c", prompt="one"), row_of("b", prompt="ONE ", group="g"), row_of("a", prompt="two", group="g")]
    assert together([*rows, row_of("z")]) == {"a": "a", "b": "a", "c": "a", "z": "z"}
    assert together(NEGATED) == {"normal": "negation", "negation": "negation"}


def test_twins_of_two_categories_take_the_place_of_one_in_each():
    pairs = [
        Pair(f"{side}{k}", f"{side} {k}", f"{SAID} {k}", f"no {k}", side, Verdict.A)
        for k in range(40)
        for side in ("normal", "negation")
    ]
    for part in split(pairs, {"train": 40, "test": 40}, seed=2).parts.values():
        assert Counter(pair.category for pair in part) == {"normal": 20, "negation": 20}


@pytest.mark.parametrize("seed", [0, 1])
def test_no_answers_of_llmbar_stand_in_two_parts(recorded_data, seed):
    """59 of its prompts are there twice, once asking for the opposite, with the same answers and the other gold."""
    pairs = read_benchmark(str(recorded_data / "llmbar" / "pairs.jsonl")).pairs
    parts = split(pairs, {"train": 250, "test": 250}, seed=seed).parts
    assert min(map(len, parts.values())) > 230
    answers = [{frozenset((pair.completion_a, pair.completion_b)) for pair in part} for part in parts.values()]
    assert answers[0].isdisjoint(answers[1])


def test_parts_larger_than_the_benchmark_and_ids_given_twice_are_refused():
    with pytest.raises(UsageError, match="30 rows together, and the benchmark has 5"):
        split([row_of(n) for n in range(5)], {"train": 20, "test": 10}, seed=0)
    with pytest.raises(UsageError, match="id '1' stands on 2 rows"):
        split([row_of(1), row_of(1)], {"train": 1}, seed=0)


def test_a_part_that_would_be_empty_is_refused():
    """A category's share of one row is less than one of ten."""
    benchmark = Benchmark("b", rows=tuple(row_of(n, "abcdefghij"[n % 10]) for n in range(50)))
    with pytest.raises(UsageError, match="the part 'train' of 4 would be empty"):
        parts_of(benchmark, {"train": 4, "test": None}, seed=0)
    assert len(parts_of(benchmark, {"train": 10, "test": None}, seed=0)["train"]) == 10


# -- pairs of rows ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
def test_a_row_gives_at_most_so_many_pairs_and_gold_names_its_right_answer(chosen, rejected, most):
    row = row_of(1, chosen=chosen, rejected=rejected)
    found = pairs_of(row, most=most, ties=True, seed=2)
    decided = [pair for pair in found if pair.gold is not Verdict.TIE]
    assert len(decided) == min(most, chosen * rejected)
    assert len(found) - len(decided) == min(most, chosen * (chosen - 1) // 2)
    assert len({pair.pair_id for pair in found}) == len(found)
    for pair in decided:
        assert pair.completion(pair.gold) in row.chosen
        assert pair.completion(pair.gold.swapped()) in row.rejected
    for pair in (pair for pair in found if pair.gold is Verdict.TIE):
        assert {pair.completion_a, pair.completion_b} <= set(row.chosen)


@given(st.integers(0, 9), st.integers(0, 9))
def test_which_completion_is_a_does_not_depend_on_the_seed(one, other):
    """Else a pair of the same name would have its gold turned round in another file."""
    row = row_of(1, chosen=3, rejected=5)
    texts = [{p.pair_id: (p.completion_a, p.gold) for p in pairs_of(row, most=4, seed=seed)} for seed in (one, other)]
    assert all(texts[0][name] == texts[1][name] for name in texts[0].keys() & texts[1].keys())


def test_gold_is_a_about_as_often_as_b():
    golds = Counter(pair.gold for n in range(1000) for pair in pairs_of(row_of(n)))
    assert 440 < golds[Verdict.A] < 560


def test_the_first_pair_of_a_row_is_always_that_of_its_first_answers():
    for n in range(20):
        (pair,) = pairs_of(row_of(n, chosen=3), seed=n)
        assert {pair.completion_a, pair.completion_b} == {f"right {n}.0", f"wrong {n}.0"}


def test_equal_answers_make_no_pair():
    row = Row("1", "p", ("x", "x", "y"), ("x", "z"), "s")
    found = {frozenset((pair.completion_a, pair.completion_b)) for pair in pairs_of(row, most=None, ties=True)}
    assert found == {frozenset("xz"), frozenset("xy"), frozenset("yz")}


# -- readers ----------------------------------------------------------------------------------------------------------

REWARDBENCH = [
    {
        "id": "7",
        "prompt": "2 + 2?",
        "chosen": ["4"],
        "rejected": ["5", "22", "3"],
        "num_correct": 1,
        "num_incorrect": 3,
        "total_completions": 4,
        "models": ["m1", "m2", "m3", "m4"],
        "subset": "Math",
        "additional_metadata": {"category": None},
    },
    {
        "id": "tied:3",
        "prompt": "Name a colour of the rainbow.",
        "chosen": ["red", "blue"],
        "rejected": ["pink"],
        "num_correct": 2,
        "num_incorrect": 1,
        "total_completions": 3,
        "models": [],
        "subset": "Ties",
        "additional_metadata": None,
    },
]


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_rewardbench_2_is_read_from_every_kind_of_file(tmp_path, ending):
    file = tmp_path / f"rb2.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(REWARDBENCH), file)
    elif ending == "json":
        file.write_text(json.dumps(REWARDBENCH))
    else:
        file.write_text("\n".join(map(json.dumps, REWARDBENCH)))
    one, other = read_benchmark(str(file)).rows
    assert (one.id, one.prompt, one.chosen, one.rejected, one.subset) == (
        "7",
        "2 + 2?",
        ("4",),
        ("5", "22", "3"),
        "Math",
    )
    assert (one.group, other.group) == (None, "Ties:3")
    assert one.extra["models"] == ["m1", "m2", "m3", "m4"]


def test_a_row_that_contradicts_itself_is_refused(tmp_path):
    file = tmp_path / "rb2.jsonl"
    file.write_text(json.dumps({**REWARDBENCH[0], "num_incorrect": 2}))
    with pytest.raises(UsageError, match="row '7' says num_incorrect 2, and has 3"):
        read_benchmark(str(file))


def test_rows_that_share_an_id_and_text_that_is_none_are_refused(tmp_path):
    file = tmp_path / "rb2.jsonl"
    file.write_text("\n".join([json.dumps(REWARDBENCH[0])] * 2))
    with pytest.raises(UsageError, match="the id '7' stands on 2 rows"):
        read_benchmark(str(file))
    file.write_text(json.dumps({**REWARDBENCH[0], "prompt": "\ud800"}))
    with pytest.raises(UsageError, match="half of a surrogate pair"):
        read_benchmark(str(file))


def test_llmbar_is_read_with_its_folders_as_categories(tmp_path):
    for part, label in (("Natural", 2), ("GPTInst", 1)):
        (tmp_path / part).mkdir()
        row = {"input": f"say {part}", "output_1": "one", "output_2": "two", "label": label}
        (tmp_path / part / "dataset.json").write_text(json.dumps([row, {**row, "input": "say it again"}]))
    found = read_benchmark(str(tmp_path)).pairs
    assert [(pair.pair_id, pair.category, pair.gold) for pair in found] == [
        ("llmbar-GPTInst-000", "GPTInst", "a"),
        ("llmbar-GPTInst-001", "GPTInst", "a"),
        ("llmbar-Natural-000", "Natural", "b"),
        ("llmbar-Natural-001", "Natural", "b"),
    ]


def test_judgebench_is_read_with_its_four_categories(tmp_path):
    common = {"pair_id": "p", "original_id": "1", "question": "why?", "response_model": "gpt-4o"}
    rows = [
        {**common, "pair_id": "1", "source": "mmlu-pro-law", "response_A": "x", "response_B": "y", "label": "A>B"},
        {**common, "pair_id": "2", "source": "livebench-math", "response_A": "x", "response_B": "y", "label": "B>A"},
    ]
    file = tmp_path / "judgebench.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    one, other = read_benchmark(str(file)).pairs
    assert (one.category, one.gold, other.category, other.gold) == ("knowledge", "a", "math", "b")


def mtbench_row(model_a, model_b, winner, judge, turn):
    def talk(model):
        return [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": f"{model} one"},
            {"role": "user", "content": "second"},
            {"role": "assistant", "content": f"{model} two"},
        ]

    return {
        "question_id": 81,
        "model_a": model_a,
        "model_b": model_b,
        "winner": winner,
        "judge": judge,
        "conversation_a": talk(model_a),
        "conversation_b": talk(model_b),
        "turn": turn,
    }


def test_mtbench_is_the_majority_of_people_whichever_model_was_called_a(tmp_path):
    rows = [
        mtbench_row("m", "k", "model_a", "expert_1", 1),
        mtbench_row("k", "m", "model_b", "expert_2", 1),
        mtbench_row("k", "m", "model_a", "expert_3", 1),
        mtbench_row("k", "m", "model_a", "expert_1", 2),
        mtbench_row("m", "k", "model_a", "expert_2", 2),
    ]
    file = tmp_path / "mtbench.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    first, second = read_benchmark(str(file)).pairs
    assert (first.prompt, first.completion_a, first.completion_b, first.gold) == ("first", "k one", "m one", "b")
    assert (second.prompt, second.gold, second.category) == ("first", "tie", "turn 2")
    assert [turn["content"] for turn in second.completion_a] == ["k one", "second", "k two"]


def test_a_file_of_our_pairs_is_a_benchmark_too(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({"pair_id": 1, "prompt": "p", "completion_a": "a", "completion_b": "b", "gold": "tie"}))
    found = read_benchmark(str(file))
    assert (found.name, found.pairs[0].pair_id, found.pairs[0].gold) == (f"{tmp_path.name}/mine", "1", "tie")


def test_what_is_no_benchmark_is_said_to_be_none(tmp_path):
    with pytest.raises(UsageError, match="there is no benchmark 'rewardbench3': name one of rewardbench2, llmbar"):
        read_benchmark("rewardbench3")
    (tmp_path / "x.jsonl").write_text('{"question": 1}')
    with pytest.raises(UsageError, match="has question, and that is no schema known here"):
        read_benchmark(str(tmp_path / "x.jsonl"))


def test_a_benchmark_of_the_hub_is_refused_with_a_way_out_where_there_is_no_network(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def unreachable(*_):
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        UsageError, match=r"cannot fetch 'rewardbench2' from hf.co/datasets/allenai/reward-bench-2: Couldn't"
    ):
        read_benchmark("rewardbench2")


def test_a_benchmark_of_the_hub_is_read_as_the_hub_serves_it(monkeypatch):
    datasets = pytest.importorskip("datasets")
    served = datasets.DatasetDict({"test": datasets.Dataset.from_list(REWARDBENCH)})
    monkeypatch.setattr(datasets, "load_dataset", lambda repo, config: served)
    assert [row.id for row in read_benchmark("rewardbench2").rows] == ["7", "tied:3"]


# -- best of four -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 200), st.integers(1, 9))
def test_a_lineup_shows_the_right_answer_once_and_different_wrong_ones(seed, rejected):
    row = row_of(1, rejected=rejected)
    shown = best_of.lineup(row, seed=seed)
    texts = best_of.answers(row, shown)
    assert len(texts) == len(set(texts)) == min(4, rejected + 1)
    assert texts[shown.slot] == row.chosen[0]
    assert best_of.lineup(row, seed=seed) == shown


def test_the_right_answer_stands_in_every_slot_equally_often():
    slots = Counter(best_of.lineup(row_of(n), seed=1).slot for n in range(2000))
    assert sorted(slots) == [0, 1, 2, 3]
    assert min(slots.values()) > 440


def test_best_of_four_asks_with_fences_that_no_answer_can_close():
    row = row_of(1)
    shown = best_of.lineup(row, seed=0)
    system, user = best_of.messages(row, shown, judge="j", seed=0)
    assert "best" in system["content"]
    for letter, text in zip("ABCD", best_of.answers(row, shown), strict=True):
        assert f"BEGIN completion {letter} " in user["content"]
        assert text in user["content"]
    assert best_of.messages(row, shown, judge="j", seed=0) == [system, user]


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ('{"reasoning": "x", "verdict": "C"}', 2),
        ("so [[D]]", 3),
        ('{"verdict": "E"}', None),
        ('{"verdict": ""}', None),
        ('{"verdict": "AB"}', None),
        ("[[A]] or [[B]]", None),
        ("none", None),
    ],
)
def test_a_reply_names_one_slot_or_none(text, slot):
    assert best_of.parse(text) == slot


def test_a_slot_that_was_not_shown_is_not_read():
    assert best_of.parse('{"verdict": "D"}', slots=3) is None


def test_what_cannot_be_read_is_counted_and_credited_only_by_the_official_convention():
    shown = [best_of.lineup(row_of(n), seed=0) for n in range(3)]
    said = [shown[0].slot, (shown[1].slot + 1) % 4, None]
    assert best_of.credits_of(said, shown) == ([1.0, 0.0, 0.0], 1)
    assert best_of.credits_of(said, shown, "official") == ([1.0, 0.0, 0.25], 1)


# -- ratings and the Ties score ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ('{"reasoning": "fine", "rating": 7}', 7),
        ("All good.\n\n9", 9),
        ("10", 10),
        ("5/10", 5),
        ("10 / 10", 10),
        ("7.5/10", nan),
        ("it is 3.5", nan),
        ("0", nan),
    ]
    + [('{"rating": 11}', nan), ('{"rating": true}', nan), ("no number", nan), ('{"rating": 2} {"rating": 3}', nan)],
)
def test_a_rating_is_read_as_one_number_from_1_to_10_or_not_at_all(text, rating):
    assert ratings.parse(text) == pytest.approx(rating, nan_ok=True)


def test_only_rows_with_several_right_answers_are_told_that_detail_does_not_count():
    told = [ratings.messages(row_of(1, subset), 0, judge="j", seed=0)[1]["content"] for subset in ("Math", "Ties")]
    assert ["level of detail" in text for text in told] == [False, True]


def rated_row(right, wrong, subset="Math", name="1"):
    return Ratings(name, subset, name, tuple(map(float, right)), tuple(map(float, wrong)))


def test_a_tie_at_the_top_is_a_share_by_the_official_convention_and_nothing_strictly():
    row = rated_row([8], [8, 3, 8])
    assert (ratings.credit(row), ratings.credit(row, "official")) == (0.0, pytest.approx(1 / 3))
    row = rated_row([nan], [nan, nan])
    assert (ratings.credit(row), ratings.credit(row, "official")) == (0.0, 0.25)
    row = rated_row([8], [nan, 3])  # officially, a wrong answer that was not read does not count
    assert (ratings.credit(row), ratings.credit(row, "official")) == (0.0, 1.0)


TWINS = [
    Rated("1", False, [9], [4, 5]),  # accurate, gap 4
    Rated("1", True, [9, 8], [3, 5]),  # accurate, gap 3, spread 1
    Rated("2", False, [6], [5]),  # accurate, gap 1
    Rated("2", True, [9, 7], [3]),  # accurate, gap 4, spread 2: preferred, but the ref gap of 1 is less
    Rated("3", False, [5], [5]),  # not accurate, gap 0
    Rated("3", True, [8, 8], [9]),  # not accurate, gap -1, spread 0
]


def test_the_ties_score_of_a_worked_example():
    """By hand: tied 2/3, ref 2/3, margins 2/3 and 1/3, tanh(3/1 - 1), tanh(1/2 - 1) and, below no spread, -1."""
    margin = (tanh(2) + tanh(-0.5) - 1) / 3
    expected = 0.30 * 2 / 3 + 0.30 * 2 / 3 + 0.20 * 2 / 3 + 0.20 * 1 / 3 + 0.01 * margin
    assert ties_score(tie_columns(TWINS).sum(axis=0)) == pytest.approx(expected)
    assert expected == pytest.approx(0.5983397014, abs=1e-8)


def official(rows):
    """The score as RewardBench 2's paper and code define it, in plain numpy over twins."""
    stats = {}
    for row in rows:
        gap = min(row.right) - max(row.wrong)
        stats.setdefault(row.twin, {})[row.tied] = (gap > 0, max(row.right) - min(row.right), gap)
    tied, ref = ([each[kind] for each in stats.values() if kind in each] for kind in (True, False))
    both = [each for each in stats.values() if len(each) == 2]
    spread = np.array([each[True][1] for each in both], dtype=float)
    gap = np.array([each[True][2] for each in both], dtype=float)
    least = np.minimum(gap, [each[False][2] for each in both])
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = np.nan_to_num(np.tanh(least / spread - 1), nan=0.0)
    return (
        0.30 * np.mean([s[0] for s in tied])
        + 0.30 * np.mean([s[0] for s in ref])
        + 0.20 * np.mean(gap > spread)
        + 0.20 * np.mean(least > spread)
        + 0.01 * np.mean(margin)
    )


number = st.integers(1, 10)
twin = st.tuples(
    st.lists(number, min_size=1, max_size=1),
    st.lists(number, min_size=1, max_size=4),
    st.lists(number, min_size=2, max_size=4),
    st.lists(number, min_size=1, max_size=4),
)


@given(st.lists(twin, min_size=1, max_size=8))
def test_the_ties_score_is_the_official_one_for_any_ratings(made):
    rows = []
    for n, (ref_right, ref_wrong, right, wrong) in enumerate(made):
        rows += [Rated(str(n), False, ref_right, ref_wrong), Rated(str(n), True, right, wrong)]
    assert float(ties_score(tie_columns(rows).sum(axis=0))) == pytest.approx(official(rows))


def test_a_rating_that_could_not_be_read_fails_all_that_rests_on_it():
    rows = [Rated("1", False, [9], [1]), Rated("1", True, [9, 9], [nan])]
    parts = {name: float(value) for name, value in components(tie_columns(rows).sum(axis=0)).items()}
    assert parts == {"tied_accuracy": 0, "ref_accuracy": 1, "preferred": 0, "preferred_hard": 0, "margin": -1}


def test_the_official_convention_takes_an_unread_rating_for_the_lowest_one():
    (strict,), (loose,) = (
        ratings.rated([rated_row([9, 8], [nan], "Ties", "tied:1")], c) for c in ("strict", "official")
    )
    assert np.isnan(strict.gap)
    assert loose.gap == 9


def test_the_ties_score_is_undefined_without_twins_and_refuses_what_is_no_twin():
    assert np.isnan(ties_score(tie_columns([Rated("1", True, [9, 8], [1])]).sum(axis=0)))
    with pytest.raises(ValueError, match="two tied rows"):
        tie_columns([Rated("1", True, [9, 8], [1]), Rated("1", True, [9, 8], [1])])
    with pytest.raises(ValueError, match="fewer than two right answers"):
        tie_columns([Rated("1", True, [9], [1])])


# -- scores -----------------------------------------------------------------------------------------------------------


def test_the_official_mean_weighs_subsets_alike_and_the_micro_average_rows():
    found = scores([1, 1, 1, 0] + [0, 1], ["big"] * 4 + ["small"] * 2, list("abcdef"))
    assert [each.value for each in found.subsets.values()] == [0.75, 0.5]
    assert (found.mean.value, found.micro.value) == (pytest.approx(0.625), pytest.approx(4 / 6))
    assert all(each.low < each.value < each.high for each in (found.mean, found.micro, *found.subsets.values()))


def test_the_mean_of_subsets_has_the_spread_of_a_stratified_mean():
    """Against the textbook: the variance of a mean of means is the mean of theirs over their number."""
    rng = np.random.default_rng(0)
    sizes, chance = [400, 100, 50], [0.9, 0.6, 0.3]
    credit = np.concatenate([rng.random(n) < p for n, p in zip(sizes, chance, strict=True)]).astype(float)
    names = np.repeat(["a", "b", "c"], sizes)
    found = scores(credit, names.tolist(), [str(k) for k in range(550)]).mean
    means = [credit[names == name].mean() for name in "abc"]
    error = np.sqrt(sum(m * (1 - m) / n for m, n in zip(means, sizes, strict=True))) / 3
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.03)


def test_rated_rows_get_the_ties_score_in_their_subset_and_twins_are_one_cluster():
    rows = [Ratings(f"{n}", "Math", f"{n}", (9.0 - n % 2 * 8,), (5.0,)) for n in range(10)]
    for row in TWINS:
        name = f"{'tied' if row.tied else 'ref'}:{row.twin}"
        rows.append(Ratings(name, "Ties", row.twin, tuple(map(float, row.right)), tuple(map(float, row.wrong))))
    found = rating_scores(rows)
    assert found.subsets["Math"].value == 0.5
    assert found.subsets["Ties"].value == pytest.approx(0.5983397014, abs=1e-8)
    assert found.mean.value == pytest.approx((0.5 + 0.5983397014) / 2, abs=1e-8)
    assert found.micro.value == pytest.approx((5 + 4) / 16)


def test_clusters_are_groups_where_there_are_some_and_prompts_elsewhere():
    rows = [row_of(1, group="g"), row_of(2, group="g"), row_of(3), Pair("p", "PROMPT 3", "a", "b")]
    one, two, three, four = prompts_of(rows)
    assert (one == two, two == three, three == four) == (True, False, True)
