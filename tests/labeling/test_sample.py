"""The sample: what is drawn, how often, and what it says of the traffic."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.near import PERMUTATIONS, Sketches, groups, linked, runs
from labeling.traces.names import Convention
from labeling.traces.sample import Design, allocate, sample
from labeling.traces.strata import cut
from labeling.traces.trace import Outcome, Trace

DAY = datetime(2026, 10, 1, tzinfo=UTC)


def trace(serial, text, **fields):
    given = {"model": "m", "started_at": DAY + timedelta(minutes=serial), "span_id": f"{serial}"} | fields
    return Trace(
        [{"role": "user", "content": text}], [{"role": "assistant", "content": "a"}], Convention.PLAIN, **given
    )


def traffic(seed=0, n=400):
    """Calls of three routes, of which the small one fails most; prompts come up several times, exactly or nearly."""
    rng = random.Random(seed)
    calls = []
    for serial in range(n):
        route = rng.choices(["search", "returns", "legal"], [0.8, 0.17, 0.03])[0]
        question = rng.randrange(n * 3 // 10)
        words = " ".join(f"{route}{question // 2}x{place}" for place in range(30))
        text = f"{words} variant {question % 2}"
        failed = rng.random() < {"search": 0.1, "returns": 0.3, "legal": 0.9}[route]
        calls.append(trace(serial, text, metadata={"route": route}, outcomes=(Outcome("failed", failed, "row"),)))
    return calls


def failures(drawn):
    return sum(one.weight for one in drawn if one.trace.outcomes[0].value)


@pytest.mark.parametrize("near", [None, 0.8])
def test_weighted_sums_over_samples_estimate_the_traffic_without_bias(near):
    """Of calls, and of failures by route, though prompts repeat and the small route is drawn more often than its share."""
    calls = traffic(n=150 if near else 400)
    samples = [
        sample(calls, Design(size=60, by=("route",), floor=8, near=near, seed=seed))
        for seed in range(30 if near else 100)
    ]
    for route in ("search", "returns", "legal"):
        assert any(one.alike > 3 for s in samples for one in s.drawn)
        mine = [[one for one in s.drawn if one.stratum == (route,)] for s in samples]
        for weigh, true in [
            (lambda drawn: sum(one.weight for one in drawn), sum(c.metadata["route"] == route for c in calls)),
            (failures, sum(c.metadata["route"] == route and c.outcomes[0].value for c in calls)),
        ]:
            found = np.array([weigh(drawn) for drawn in mine])
            assert abs(found.mean() - true) < 4 * found.std() / math.sqrt(len(found)) + 1e-9


def test_the_mean_of_the_sample_alone_would_be_wrong():
    """The test above could fail: without weights the rate of failures is far off."""
    calls = traffic()
    drawn = [
        one
        for seed in range(20)
        for one in sample(calls, Design(size=40, by=("route",), floor=12, near=None, seed=seed)).drawn
    ]
    true = np.mean([c.outcomes[0].value for c in calls])
    assert np.mean([one.trace.outcomes[0].value for one in drawn]) > true + 0.1


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_a_sample_depends_on_seed_and_traces_and_not_on_their_order(seed, shuffler):
    calls = traffic(n=60)
    design = Design(size=15, by=("route",), near=None, seed=seed)
    again = list(calls)
    shuffler.shuffle(again)
    one, other = sample(calls, design), sample(again, design)
    assert {(d.trace.span_id, d.weight) for d in one.drawn} == {(d.trace.span_id, d.weight) for d in other.drawn}
    assert one.strata == other.strata


def test_every_prompt_is_drawn_about_equally_often():
    calls = [trace(k, f"question {k}") for k in range(20)]
    drawn = Counter(
        d.trace.span_id for seed in range(400) for d in sample(calls, Design(size=5, near=None, seed=seed)).drawn
    )
    assert len(drawn) == 20
    assert all(abs(count - 100) < 5 * math.sqrt(75) for count in drawn.values())


SIZES = st.dictionaries(st.tuples(st.text(max_size=2)), st.integers(1, 500), min_size=1, max_size=8)


@given(SIZES, st.integers(1, 3000), st.integers(0, 30))
def test_shares_add_up_and_keep_floors_and_sizes(sizes, total, floor):
    least = sum(min(floor, size) for size in sizes.values())
    if least > total:
        with pytest.raises(ValueError, match="lower the floor"):
            allocate(sizes, total, floor)
        return
    found = allocate(sizes, total, floor)
    assert sum(found.values()) == min(total, sum(sizes.values()))
    assert all(min(floor, size) <= found[name] <= size for name, size in sizes.items())


@given(SIZES, st.integers(1, 3000))
def test_without_a_floor_no_share_is_a_whole_prompt_off_its_proportion(sizes, total):
    found, whole = allocate(sizes, total, 0), sum(sizes.values())
    if total < whole:
        assert all(abs(found[name] - total * size / whole) < 1 for name, size in sizes.items())


def test_the_same_prompt_is_drawn_once_and_stands_for_all_its_calls():
    calls = [trace(k, "the same") for k in range(7)] + [trace(9, "another")]
    drawn = sample(calls, Design(near=None)).drawn
    assert sorted((d.trace.prompt[0]["content"], d.weight, d.alike) for d in drawn) == [
        ("another", 1, 1),
        ("the same", 7, 7),
    ]


def test_near_duplicates_are_drawn_once_and_different_prompts_with_one_system_prompt_are_not():
    story = " ".join(f"Sentence {k} tells what happened on day {k * 37 % 101}." for k in range(60))
    system = {"role": "system", "content": story}
    near = [trace(k, f"{story} Please answer by {k} pm") for k in range(5)]
    far = [
        dataclasses.replace(call, prompt=[system, *call.prompt])
        for call in [trace(10, "Where is my parcel?"), trace(11, "I want to talk to a person")]
    ]
    drawn = sample(near + far, Design(near=0.9)).drawn
    assert sorted(d.alike for d in drawn) == [1, 1, 5]
    assert len(sample(near + far, Design(near=None)).drawn) == 7


@settings(max_examples=25)
@given(st.lists(st.text(max_size=40), max_size=12))
def test_equal_texts_are_in_one_group_and_a_group_is_named_by_its_first_member(texts):
    found = groups(texts, 0.9)
    for place, text in enumerate(texts):
        assert found[place] <= place
        assert found[found[place]] == found[place]
        assert found[place] == found[texts.index(text)]


@pytest.mark.parametrize(("share", "expected"), [(0.99, 1), (0.5, 2)])
def test_groups_follow_the_exact_jaccard_similarity(share, expected):
    """Against the similarity of the sets of runs of three words, counted out."""
    rng = random.Random(3)
    words = ["".join(rng.choices("abcdefghij", k=9)) for _ in range(400)]
    kept = int(len(words) * share)
    a, b = " ".join(words), " ".join(words[:kept] + [word[::-1] for word in words[kept:]])
    one, other = ({tuple(text.split()[k : k + 3]) for k in range(len(words) - 2)} for text in (a, b))
    exact = len(one & other) / len(one | other)
    assert (exact > 0.95) == (expected == 1)
    assert len(set(groups([a, b], 0.9))) == expected


def similarities(a, others):
    """Of one text to others: exactly, by the sets of runs of three words; and as the sketches say."""
    sketches, sets = Sketches(), []
    for text in [a, *others]:
        sketches.add(text)
        words = text.split()
        sets.append({tuple(words[k : k + 3]) for k in range(len(words) - 2)})
    exact = [len(sets[0] & other) / len(sets[0] | other) for other in sets[1:]]
    return np.array(exact), (sketches.all()[1:] == sketches.all()[0]).mean(axis=1)


@pytest.mark.parametrize("letters", ["abcdefgh", "äöüßéèñç"])
def test_sketches_estimate_the_jaccard_similarity_without_bias(letters):
    rng = random.Random(5)
    words = ["".join(rng.choices(letters, k=6)) for _ in range(600)]
    others = [" ".join(words[:kept] + [w[::-1] + "x" for w in words[kept:]]) for kept in range(20, 600, 10)]
    exact, estimated = similarities(" ".join(words), others)
    error = (estimated - exact) / np.sqrt(exact * (1 - exact) / PERMUTATIONS)
    assert abs(error.mean()) < 1.5  # one draw of permutations is common to all
    assert np.abs(error).max() < 5


def test_a_shorter_text_is_one_run_and_a_run_depends_on_the_order_of_its_words():
    assert len(runs("one")) == len(runs("one two")) == len(runs("one two three")) == len(runs("")) == 1
    assert len({int(runs(text)[0]) for text in ("a b c", "c b a", "b a c", "a b", "b a", "a")}) == 6
    assert runs("One, TWO; three!") == runs("one two three")
    assert len(runs("你好吗朋友")) == 3


def test_linking_by_bands_is_what_comparing_all_pairs_finds():
    """Sketches that differ in a chosen number of places: chains of near ones, and ones that are just too far."""
    rng = np.random.default_rng(0)
    sketches = [rng.integers(0, 2**32, PERMUTATIONS, dtype=np.uint32) for _ in range(60)]
    for changed in rng.integers(1, 30, 400):
        made = sketches[rng.integers(len(sketches))].copy()
        made[rng.choice(PERMUTATIONS, changed, replace=False)] = rng.integers(0, 2**32, changed, dtype=np.uint32)
        sketches.append(made)
    table = np.array(sketches)
    near = (table[:, None] == table[None]).mean(axis=2) >= 0.9
    expected = np.arange(len(table))
    for _ in table:
        expected = np.where(near, expected, len(table)).min(axis=1)
    found = linked(table, 0.9)
    assert all(expected[place] == expected[found[place]] for place in range(len(table)))  # none is joined wrongly
    assert np.mean(found == expected) > 0.9  # a pair at the threshold itself may be missed


def test_what_is_read_is_not_kept_in_memory():
    calls, length = 600, 20_000

    def traffic():
        for serial in range(calls):
            yield trace(serial, f"question {serial} " + chr(97 + serial % 26) * length)

    sample(traffic(), Design(size=1, near=0.9))  # imports
    tracemalloc.start()
    drawn = sample(traffic(), Design(size=20, near=0.9)).drawn
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(drawn) == 20
    assert peak < calls * length / 8


def test_the_newest_are_the_last_in_time_and_have_no_weight():
    calls = [trace(k, f"question {k % 50}") for k in range(100)]
    drawn = sample(calls, Design(size=10, order="newest", near=None)).drawn
    assert sorted(int(d.trace.span_id) for d in drawn) == list(range(90, 100))
    assert all(math.isnan(d.weight) for d in drawn)


def test_the_time_window_holds_its_start_and_not_its_end_and_untimed_calls_are_counted():
    calls = [trace(k, f"question {k}") for k in range(10)] + [trace(99, "untimed", started_at=None)]
    design = Design(since=DAY + timedelta(minutes=2), until=DAY + timedelta(minutes=5), near=None)
    found = sample(calls, design)
    assert sorted(d.trace.span_id for d in found.drawn) == ["2", "3", "4"]
    assert (found.calls, found.in_window, found.untimed) == (11, 3, 1)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("model", {("m",), ("n",)}),
        ("tags", {("a, b",), (None,)}),
        ("outcome.csat", {("0.5",), (None,)}),
        ("user.plan", {("pro",), (None,)}),
        ("http.route", {("/chat",), (None,)}),
    ],
)
def test_any_field_makes_strata(by, expected):
    rich = {
        "tags": ("b", "a"),
        "outcomes": (Outcome("csat", 0.5, "row"),),
        "metadata": {"user": {"plan": "pro"}, "http.route": "/chat"},
    }
    found = sample([trace(1, "x", **rich), trace(2, "y", model="n")], Design(by=(by,), near=None))
    assert set(found.strata) == expected


def test_a_field_that_no_trace_has_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match=r"no trace has 'rout' to stratify by; there are: model, tags, outcome\.failed, route"
    ):
        sample(traffic(), Design(by=("rout",)))


def test_a_run_of_an_agent_is_cut_at_its_last_turn_or_at_the_users():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    result, answer = {"role": "tool", "content": "1"}, {"role": "assistant", "content": "a"}
    ask = {"role": "user", "content": "q"}
    run = Trace([ask, call, result], [answer], Convention.PLAIN)
    assert cut(run, "turn") == run
    assert (cut(run, "user").prompt, cut(run, "user").completion) == ([ask], [call, result, answer])


def test_a_sample_says_how_it_was_drawn():
    found = sample(traffic(), Design(size=3, by=("route",), floor=0, seed=4))
    lines = list(found.lines())
    assert lines[0].startswith("3 prompts drawn (uniform, seed 4) of ")
    assert any("no rate covers them; raise the floor" in line for line in lines)
    figures = json.loads(json.dumps(found.figures()))
    assert figures["drawn"] == sum(stratum["drawn"] for stratum in figures["strata"]) == 3
    assert figures["calls"] == 400


@pytest.mark.parametrize("wrong", [{"near": 1.5}, {"near": 0.0}, {"size": 0}, {"floor": -1}])
def test_a_design_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"similarity|at least one"):
        Design(**wrong)
