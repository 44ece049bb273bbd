"""Pairs of completions: which meet, and that nothing is left of the order in which they came."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.nouns import digest
from labeling.pairing import Pairing, distinct, normalised, pair_up

TEXTS = st.lists(st.text(max_size=8), max_size=6)
HOW = st.sampled_from(list(Pairing))


def call(arguments, call_id="c", text=None):
    calls = [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}]
    return [{"role": "assistant", "content": text, "tool_calls": calls}]


@given(TEXTS, HOW, st.integers(0, 9), st.randoms(use_true_random=False))
def test_pairs_depend_on_the_completions_and_not_on_their_order(texts, how, seed, shuffler):
    again = list(texts)
    shuffler.shuffle(again)
    options = {"production": "produced", "count": 3, "seed": seed}
    assert pair_up("p", texts, how, **options) == pair_up("p", again, how, **options)


@given(TEXTS, HOW)
def test_a_pair_has_two_different_completions_and_no_two_meet_twice(texts, how):
    pairs = pair_up("p", texts, how, production="produced", count=4)
    met = [frozenset((normalised(pair.completion_a), normalised(pair.completion_b))) for pair in pairs]
    assert all(len(two) == 2 for two in met)
    assert len(set(met)) == len(met)
    assert all(
        pair.pair_id == f"p-{digest([pair.prompt, pair.completion_a, pair.completion_b])[:20]}" for pair in pairs
    )


@pytest.mark.parametrize("n", range(6))
def test_each_way_makes_as_many_pairs_as_it_says(n):
    texts = [f"text {k}" for k in range(n)]
    assert len(pair_up("p", texts, Pairing.ALL)) == comb(n, 2)
    assert len(pair_up("p", texts, Pairing.SOME, count=4)) == min(4, comb(n, 2))
    assert len(pair_up("p", texts, Pairing.PRODUCTION, production="produced")) == n
    assert len(pair_up("p", texts, Pairing.ROUND)) == {0: 0, 1: 0, 2: 1}.get(n, n)


def test_in_a_round_every_completion_is_in_two_pairs():
    pairs = pair_up("p", [f"text {k}" for k in range(7)], Pairing.ROUND)
    assert set(Counter(text for pair in pairs for text in (pair.completion_a, pair.completion_b)).values()) == {2}


def test_production_meets_every_completion_but_its_own_twin():
    pairs = pair_up("p", ["x", "produced ", "y"], Pairing.PRODUCTION, production="produced")
    assert {frozenset((pair.completion_a, pair.completion_b)) for pair in pairs} == {
        frozenset(("produced", "x")),
        frozenset(("produced", "y")),
    }


@pytest.mark.parametrize("how", [Pairing.ALL, Pairing.PRODUCTION, Pairing.ROUND])
def test_neither_the_first_completion_nor_productions_is_called_a_more_often(how):
    """Within chance: five standard deviations of a fair coin."""
    first = [
        pair.completion_a == "0"
        for k in range(600)
        for pair in pair_up(
            f"prompt {k}", ["0", "1", "2"] if how is not Pairing.PRODUCTION else ["1", "2"], how, production="0"
        )
        if "0" in (pair.completion_a, pair.completion_b)
    ]
    assert abs(sum(first) - len(first) / 2) < 5 * sqrt(len(first)) / 2


def test_some_pairs_are_drawn_from_all_about_equally_often():
    texts = ["0", "1", "2", "3"]
    met = Counter(
        frozenset((pair.completion_a, pair.completion_b))
        for k in range(600)
        for pair in pair_up(f"prompt {k}", texts, Pairing.SOME, count=2)
    )
    assert set(met) == {frozenset(two) for two in combinations(texts, 2)}
    assert all(abs(count - 200) < 5 * sqrt(600 * 2 / 9) for count in met.values())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a  b\n", " a b"),
        ("e\u0301", "é"),
        ("text", [{"role": "assistant", "content": "text "}]),
        (call('{"x": 1, "y": 2}', "c1"), call('{"y":2,"x":1}', "c2")),
        (call("not json", text="t "), call("not  json", text="t")),
    ],
)
def test_the_same_after_normalising_is_kept_once(one, other):
    assert distinct([one, other]) == [one]
    assert pair_up("p", [one, other], Pairing.ALL) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a b", "ab"),
        ("Yes", "yes"),
        (call('{"x": 1}'), call('{"x": 2}')),
        (call("{}"), "f {}"),
        (call('{"x": "a b"}'), call('{"x": "a  b"}')),
    ],
)
def test_what_differs_is_kept(one, other):
    assert len(pair_up("p", [one, other], Pairing.ALL)) == 1


def test_what_is_known_travels_with_every_pair():
    (pair,) = pair_up("p", ["x", "y"], Pairing.ALL, category="maths", extra={"tools": [1], "weight": 2.5})
    assert (pair.category, pair.extra) == ("maths", {"tools": [1], "weight": 2.5})


@pytest.mark.parametrize("how", [Pairing.PRODUCTION, Pairing.SOME])
def test_a_way_that_lacks_what_it_needs_is_refused(how):
    with pytest.raises(ValueError, match="need"):
        pair_up("p", ["x", "y"], how)
