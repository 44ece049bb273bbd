"""Keeping labels with a promised precision."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from consensus.statistics.certified import certified_share, labels_to_certify, precision_p


def test_seventy_eight_of_eighty_two_prove_88_percent():
    """Statistics O19."""
    assert precision_p(78, 82, 0.88) == pytest.approx(0.025316336207465217)
    assert labels_to_certify(0.88, margin=0.03) == 726


@given(st.integers(0, 60), st.data())
def test_the_test_is_scipys(n, data):
    right = data.draw(st.integers(0, n))
    assert n == 0 or precision_p(right, n, 0.8) == pytest.approx(binomtest(right, n, 0.8, alternative="greater").pvalue)


def test_the_surest_that_hold_the_promise_are_kept_and_no_more():
    score = np.arange(200.0)
    found = certified_share(score, score >= 60, target=0.9)  # of the upper k labels all are right up to k = 140
    assert found.share == pytest.approx(0.7)
    assert (found.threshold, found.kept, found.right) == (60, 140, 140)
    assert found.p_value < 0.05


def test_testing_ends_with_the_first_failure():
    """The upper half is wrong; that all together are right often enough cannot be proven by the rest."""
    score = np.arange(1000.0)
    found = certified_share(score, score < 500, target=0.4)
    assert (found.share, found.kept) == (0, 0)
    assert isnan(found.threshold)
    assert certified_share([], [], target=0.9).share == 0


@pytest.mark.slow
def test_a_promise_is_broken_in_at_most_five_percent_of_cycles():
    """True precision falls from .99 to .71 with the score; .9 is promised."""
    rng, broken = np.random.default_rng(1), 0
    for _ in range(1000):
        score = rng.random(500)
        found = certified_share(score, rng.random(500) < 0.71 + 0.28 * score, target=0.9)
        true = 0.71 + 0.28 * (1 + found.threshold) / 2
        broken += found.share > 0 and true < 0.9
    assert 0 < broken / 1000 <= 0.064
