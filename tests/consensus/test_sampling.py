"""Which pairs are audited."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.sampling import spread_sample

prompts_of = st.lists(st.integers(1, 6), min_size=1, max_size=20)


def pairs_of(sizes):
    return [(f"pair-{p}-{k}", f"prompt-{p}") for p, size in enumerate(sizes) for k in range(size)]


@given(prompts_of, st.integers(0, 60), st.integers(0, 5), st.randoms())
def test_a_sample_depends_on_the_pairs_and_the_seed_but_not_on_their_order(sizes, size, seed, dice):
    pairs = pairs_of(sizes)
    mixed = dice.sample(pairs, len(pairs))
    found = spread_sample(pairs, size, seed=seed)
    assert found == spread_sample(mixed, size, seed=seed)
    assert len(set(found)) == min(size, len(pairs))


@given(prompts_of, st.integers(0, 60), st.integers(0, 60))
def test_a_larger_sample_begins_with_the_smaller_one(sizes, small, large):
    """So that more pairs cost only the new ones, and an audit that was broken off is a random sample too."""
    small, large = sorted((small, large))
    pairs = pairs_of(sizes)
    assert spread_sample(pairs, large, seed=0)[:small] == spread_sample(pairs, small, seed=0)


@given(st.integers(1, 6), st.integers(1, 20), st.integers(1, 60), st.integers(0, 50))
def test_of_prompts_of_one_size_none_has_two_pairs_more_than_another(per_prompt, prompts, size, seed):
    sizes = [per_prompt] * prompts
    taken = Counter({f"prompt-{p}": 0 for p in range(prompts)})
    taken.update(f"prompt-{name.split('-')[1]}" for name in spread_sample(pairs_of(sizes), size, seed=seed))
    share = min(size, per_prompt * prompts) / prompts
    assert floor(share) <= min(taken.values())
    assert max(taken.values()) <= ceil(share)


def test_every_pair_is_as_likely_to_be_drawn_whatever_the_size_of_its_prompt():
    sizes = [1] * 10 + [4] * 5
    times = Counter()
    for seed in range(3000):
        times.update(spread_sample(pairs_of(sizes), 9, seed=seed))
    alone = [n for name, n in times.items() if int(name.split("-")[1]) < 10]
    shared = [n for name, n in times.items() if int(name.split("-")[1]) >= 10]
    assert len(alone) + len(shared) == 30
    assert sum(alone) / 10 / 3000 == pytest.approx(0.3, abs=0.012)
    assert sum(shared) / 20 / 3000 == pytest.approx(0.3, abs=0.012)
