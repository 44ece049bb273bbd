"""Which judge decides, against the rule applied pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.nouns import Verdict
from consensus.rule import Rule, majority
from consensus.statistics.decisive import Ballots, dictator
from consensus.statistics.latent import Reliability
from consensus.statistics.votes import Votes
from tests.consensus.recorded import random_votes

VERDICT = {1: Verdict.A, -1: Verdict.B, 0: Verdict.TIE, 2: Verdict.ABSTAIN}


def outcome(said, rule):
    label = majority(said, rule)
    return label.verdict if label.kept else None


@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 3), st.booleans())
def test_a_judge_decides_where_the_rule_without_its_vote_says_something_else(seed, both, needed, drop):
    rule = Rule(min_agree=needed, both_orders=both, drop_if_split=drop)
    votes = random_votes(np.random.default_rng(seed), repeats=1, missing=0.1)
    planned = votes if both else votes.where(votes.first == ((votes.pair + votes.judge) % 2 == 0))
    found = Ballots.of(planned, rule)
    counts, decides = np.zeros(3), np.zeros(3)
    for pair in range(votes.n_pairs):
        said = []
        for judge in range(3):
            own = planned.choice[(planned.pair == pair) & (planned.judge == judge)]
            if len(own) == (2 if both else 1):
                said.append(VERDICT[int(own[0])] if len(set(own.tolist())) == 1 else None)
        if len(said) == 3:
            for judge in range(3):
                rest = said[:judge] + said[judge + 1 :]
                counts[judge] += 1
                decides[judge] += outcome(said, rule) != outcome(rest, rule)
    for judge in range(3):
        expected = decides[judge] / counts[judge] if counts[judge] else np.nan
        assert found.decides(judge, rule).value == pytest.approx(expected, nan_ok=True)


def test_of_three_votes_two_against_one_each_of_the_two_decides_and_the_third_does_not():
    votes = Votes.of(pair=[0, 0, 0], judge=[0, 1, 2], first=[True] * 3, choice=[1, 1, -1], judges=["x", "y", "z"])
    found = Ballots.of(votes, Rule())
    assert [found.decides(judge, Rule()).value for judge in range(3)] == [1, 1, 0]


def reliability(*accuracies):
    c = np.array(accuracies, dtype=float)
    return Reliability(c, c, np.zeros(len(c)), np.full(len(c), 100))


def test_a_judge_of_95_percent_outweighs_two_of_70_and_three_alike_do_not():
    """Weights logit(.95) = 2.94 against 2 logit(.7) = 1.69."""
    assert dictator(reliability(0.7, 0.95, 0.7)) == 1
    assert dictator(reliability(0.8, 0.8, 0.8)) is None
    assert dictator(reliability(0.9)) is None
    assert dictator(reliability(0.9, np.nan)) is None
