"""The reply parser: what it reads, what it leaves alone, and that it never guesses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.nouns import Shown, Verdict
from labeling.reply import Reply, parse

A, B, TIE, ABSTAIN = Verdict
AB, BA = Shown
WORDS = st.sampled_from(["A", "B", "tie"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["verdict", "scores", "clarity", "A", "B"]) | st.text(max_size=5), inner)
    ),
    max_leaves=9,
)


def said(word, **more):
    return json.dumps({"reasoning": "because", **more, "verdict": word})


@given(WORDS, st.sampled_from(Shown))
def test_the_slot_is_mapped_back_to_the_completion(word, shown):
    completion = {"A": shown.first, "B": shown.first.swapped(), "tie": TIE}[word]
    assert parse(said(word), shown).verdict is completion


@given(WORDS)
def test_the_same_answer_in_the_other_order_is_for_the_other_completion(word):
    assert parse(said(word), BA).verdict is parse(said(word), AB).verdict.swapped()


@pytest.mark.parametrize(
    "text",
    [
        said("A"),
        f"  {said('A')}\n",
        f"```json\n{said('A')}\n```",
        f"```JSON\n{said('A')}```",
        f"```\n{said('A')}\n```\nThat is my verdict.",
        f"I compared {{both}} carefully. {said('A')} That is all.",
        f"Step 1: {{'draft': 1}}\n{said('A')}",
        f"{said('A')}\nIn short: {said('A')}",
        said(" a "),
        '{"verdict": "A",\n"reasoning": "a line\nbreak in a string"}',
        '{"reasoning": "it says {\\"verdict\\": \\"B\\"} itself", "verdict": "A"}',
        said("A", quoted={"verdict": "B"}),
        f'{{"note": 1}} {said("A")}',
        "Both are fine, but [[A]]",
        "[[ a ]]\n",
        "[[A]] is better. Final verdict: [[A]]",
    ],
)
def test_a_verdict_is_found_alone_fenced_in_prose_or_in_brackets(text):
    assert parse(text, AB) == Reply(A)


@pytest.mark.parametrize("text", ["[[C]]", "[[tie]]", said("tie"), said("C"), said("TIE")])
def test_a_tie_is_said_by_word_or_by_c(text):
    assert parse(text, AB).verdict is TIE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot decide.",
        "A",
        "Completion A is better.",
        "[A]",
        "[[D]]",
        "[[A]] or rather [[B]]",
        f"{said('A')} but also {said('B')}",
        f"```json\n{said('A')}\n```\n```json\n{said('B')}\n```",
        f"{said('A')}\n```json\n{said('tie')}\n```",
        '{"verdict": "A", "verdict": "B"}',
        '{"verdict": "A", "verdict": "B", "verdict": "A"}',
        f"{said('A')} {said('neither')}",
        said("both"),
        said(None),
        said(["A"]),
        said({"A": 1}),
        said(1),
        f"{said('both')} [[A]]",
        '{"verdict": "A"',
        "{'verdict': 'A'}",
        '{"reasoning": "cut off in the middle of {\\"verdict\\": \\"A\\"}',
        json.dumps({"answer": {"verdict": "A"}}),
    ],
)
def test_what_contradicts_itself_or_cannot_be_read_is_an_abstention(text):
    assert parse(text, AB) == Reply(ABSTAIN)


@given(WORDS, st.text())
def test_prose_without_brackets_around_a_verdict_changes_nothing(word, prose):
    prose = prose.replace("{", "(").replace("}", ")")
    assert parse(f"{prose}\n{said(word)}\n{prose}", BA) == parse(said(word), BA)


@given(WORDS, WORDS)
def test_two_verdicts_count_only_if_they_are_one(first, second):
    expected = parse(said(first), AB).verdict if first == second else ABSTAIN
    assert parse(f"{said(first)} {said(second)}", AB).verdict is expected
    assert parse(f"[[{first}]] [[{second}]]", AB).verdict is expected


@given(st.text(), st.sampled_from(Shown))
def test_no_text_ever_raises(text, shown):
    assert parse(text, shown).verdict in Verdict


@given(
    st.lists(
        st.sampled_from(['{"verdict": ', '"A"', "B", "}", "[[A]]", "```json", "{", '"', "\\", "\ud800", "[", ","])
    ).map("".join)
)
def test_no_jumble_of_the_parts_of_a_reply_ever_raises(text):
    assert parse(text, AB).verdict in Verdict


@given(JSON, JSON)
def test_no_json_ever_raises(verdict, scores):
    reply = parse(json.dumps({"verdict": verdict, "scores": scores}), AB)
    assert reply.verdict in Verdict
    assert all(set(both) == {"a", "b"} for both in (reply.scores or {}).values())


@pytest.mark.parametrize(
    "text", ["{" * 20_000, '{"a":' * 20_000, "[[" * 20_000, "```{" * 20_000, '{"' * 20_000, "[" * 10**6]
)
def test_endless_nesting_is_an_abstention(text):
    assert parse(text, AB) == Reply(ABSTAIN)


def test_scores_are_mapped_back_to_the_completions():
    text = said("A", scores={"clarity": {"A": 5, "B": 2}, "safety": {"A": 1, "B": 1.5}})
    assert parse(text, AB).scores == {"clarity": {"a": 5.0, "b": 2.0}, "safety": {"a": 1.0, "b": 1.5}}
    assert parse(text, BA).scores == {"clarity": {"a": 2.0, "b": 5.0}, "safety": {"a": 1.5, "b": 1.0}}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "4",
        {"A": 5},
        {"A": "5", "B": 4},
        {"A": True, "B": 4},
        {"A": 1e300, "B": 1},
        {"A": float("nan"), "B": 1},
    ],
)
def test_a_score_that_cannot_be_read_is_left_out_and_the_verdict_kept(bad):
    good = {"A": 3, "B": 4}
    assert parse(said("B", scores={"good": good, "bad": bad}), AB) == Reply(B, {"good": {"a": 3.0, "b": 4.0}})
    assert parse(said("B", scores={"bad": bad}), AB) == Reply(B)
    assert parse(said("B", scores=bad), AB) == Reply(B)
