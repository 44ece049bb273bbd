"""Which prompts are held out: whole prompts, their near-duplicates with them, and always the same ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.split import split, spoken

WORDS = [f"word{k}" for k in range(400)]
SHARES = st.floats(0.01, 0.9)


def story(n: int, rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, n))


def families(n: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    """n prompts of 60 words, each with up to three others that differ in the last word: ids, texts, families."""
    rng = np.random.default_rng(seed)
    texts, family = [], []
    for k in range(n):
        head = story(60, rng)
        for twin in range(int(rng.integers(1, 5))):
            texts.append(f"{head} {twin}")
            family.append(k)
    return [f"id {k} {seed}" for k in range(len(texts))], texts, family


@settings(max_examples=15)
@given(st.integers(0, 10**6), SHARES)
def test_near_duplicates_are_never_on_both_sides(seed, share):
    ids, texts, family = families(12, seed)
    found = split(ids, texts, share=share, near=0.8)
    sides = {(f, bool(out)) for f, out in zip(family, found.held_out, strict=True)}
    assert len(sides) == len(set(family)) == found.groups


@given(st.lists(st.text(max_size=3), min_size=1, max_size=30), SHARES)
def test_the_same_text_is_never_on_both_sides(texts, share):
    found = split([str(k) for k in range(len(texts))], texts, share=share, near=None)
    assert len({(text, bool(out)) for text, out in zip(texts, found.held_out, strict=True)}) == len(set(texts))


@settings(max_examples=20)
@given(st.permutations(range(40)), SHARES)
def test_the_order_of_the_prompts_does_not_matter(order, share):
    ids, texts, _ = families(20, 3)
    ids, texts = ids[:40], texts[:40]
    straight = split(ids, texts, share=share, near=0.8).held_out
    turned = split([ids[k] for k in order], [texts[k] for k in order], share=share, near=0.8).held_out
    assert turned.tolist() == straight[list(order)].tolist()


@given(st.integers(2, 40), st.integers(1, 40), SHARES)
def test_a_prompt_keeps_its_side_when_others_come(n, more, share):
    def held(size):
        return split(
            [f"p{k}" for k in range(size)], [f"text {k}" for k in range(size)], share=share, near=None
        ).held_out

    before, after = held(400), held(400 + more)
    assert before.tolist() == after[:400].tolist()


@given(st.integers(2, 30), SHARES)
def test_with_two_prompts_or_more_neither_side_is_empty(n, share):
    out = split([f"q{k}" for k in range(n)], [str(k) for k in range(n)], share=share, near=None).held_out
    assert 0 < out.sum() < n


def test_the_share_of_many_prompts_is_held_out():
    ids = [f"prompt {k}" for k in range(20_000)]
    assert split(ids, ids, share=0.1, near=None).held_out.mean() == pytest.approx(0.1, abs=0.01)


def test_a_share_of_0_holds_out_nothing_and_one_prompt_is_trained_on():
    assert not split(["a", "b"], ["x", "y"], share=0, near=0.9).held_out.any()
    assert not split(["a"], ["x"], share=0.5, near=0.9).held_out.any()
    assert split([], [], share=0.5, near=0.9).groups == 0


def test_a_system_prompt_that_all_share_does_not_make_all_prompts_one():
    system = {"role": "system", "content": story(300, np.random.default_rng(0))}
    rng = np.random.default_rng(1)
    prompts = [json.dumps([system, {"role": "user", "content": story(20, rng)}]) for _ in range(30)]
    found = split([str(k) for k in range(30)], [spoken(one) for one in prompts], share=0.2, near=0.8)
    assert (found.groups, found.largest) == (30, 1)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40), SHARES)
def test_the_texts_of_one_prompt_are_never_on_both_sides(rows, share):
    """Nor are prompts that have a text in common: here names and texts are few, so that they chain."""
    found = split([f"p{name}" for name, _ in rows], [f"t{text}" for _, text in rows], share=share, near=None)
    out = found.held_out.tolist()
    for part in (0, 1):
        assert len({(row[part], side) for row, side in zip(rows, out, strict=True)}) == len({row[part] for row in rows})
    assert found.groups == 1 or 0 < sum(out) < len(rows)
    assert 1 <= found.largest <= len({name for name, _ in rows})
