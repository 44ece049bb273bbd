"""The same label again: stored repeats as labeling runs, held against the rule itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.nouns import Ballot, Shown, Verdict, Vote
from consensus.rule import Rule, label, label_ballots
from consensus.rule import majority as majority_of_one
from consensus.statistics.consistency import (
    DROPPED,
    Relabels,
    churn,
    majority,
    retention,
    same_label_if_kept_once,
    same_label_if_kept_twice,
    same_outcome,
)
from consensus.statistics.votes import TIE, A, B, Votes
from tests.consensus.recorded import called, random_votes

VERDICT = {A: Verdict.A, B: Verdict.B, TIE: Verdict.TIE, 2: Verdict.ABSTAIN}
RULES = st.builds(
    Rule,
    min_agree=st.integers(1, 3),
    drop_if_split=st.booleans(),
    both_orders=st.booleans(),
    per_pair=st.sampled_from([None, 2]),
)


@given(st.integers(1, 5), st.booleans())
def test_many_labels_at_once_are_the_rules_labels_one_by_one(min_agree, drop_if_split):
    rule = Rule(min_agree=min_agree, drop_if_split=drop_if_split)
    counts = np.array(list(product(range(5), repeat=3)))
    found = majority(*counts.T, rule)
    for (a, b, tie), outcome in zip(counts, found, strict=True):
        one = majority_of_one([Verdict.A] * a + [Verdict.B] * b + [Verdict.TIE] * tie, rule)
        expected = {Verdict.A: A, Verdict.B: B}[one.verdict] if one.kept else DROPPED
        assert outcome == expected, (a, b, tie, rule)


def runs_by_hand(votes, rule):
    """Per pair the labels of its complete runs, by the rule itself."""
    found = {}
    for pair, name in enumerate(votes.pair_ids):
        asked = {(b.judge, b.shown) for b in label_ballots(name, votes.judges, rule)}
        outcomes = []
        for repeat in range(int(votes.repeat.max()) + 1):
            here = np.flatnonzero((votes.pair == pair) & (votes.repeat == repeat))
            said = [
                Vote(
                    Ballot(name, votes.judges[votes.judge[k]], Shown.AB if votes.first[k] else Shown.BA),
                    VERDICT[votes.choice[k]],
                )
                for k in here
            ]
            if asked <= {(v.ballot.judge, v.ballot.shown) for v in said}:
                one = label(said, name, votes.judges, rule)
                outcomes.append(one.verdict if one.kept else None)
        if len(outcomes) > 1 and votes.repeat[votes.pair == pair].max() > 0:
            found[pair] = outcomes
    return found


@given(st.integers(0, 10_000), RULES)
def test_runs_are_those_that_the_rule_makes_of_each_repeat(seed, rule):
    votes = random_votes(np.random.default_rng(seed), missing=0.08)
    expected = runs_by_hand(votes, rule)
    runs = Relabels.of_votes(votes, rule)
    assert list(runs.pair) == sorted(expected)
    for row, pair in enumerate(runs.pair):
        outcomes = expected[pair]
        counted = (runs.a[row], runs.b[row], runs.dropped[row])
        assert counted == tuple(outcomes.count(v) for v in (Verdict.A, Verdict.B, None))


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_figures_are_those_of_comparing_every_two_runs(seed, n_runs):
    labels = np.random.default_rng(seed).choice([A, B, DROPPED], size=(20, n_runs), p=[0.5, 0.2, 0.3])
    alike = kept_twice = same = kept = either = 0
    twos = list(combinations(range(n_runs), 2))
    for row in labels:
        for one, other in twos:
            x, y = row[one], row[other]
            alike += x == y
            kept_twice += x != DROPPED and y != DROPPED
            same += x == y != DROPPED
            either += x != DROPPED or y != DROPPED
            kept += (int(x != DROPPED) + int(y != DROPPED)) / 2
    runs = Relabels.of_labels(labels, np.arange(20))
    n = len(twos) * 20
    assert same_outcome(runs).value == pytest.approx(alike / n)
    assert same_label_if_kept_twice(runs).value == pytest.approx(
        same / kept_twice if kept_twice else np.nan, nan_ok=True
    )
    assert same_label_if_kept_once(runs).value == pytest.approx(same / kept if kept else np.nan, nan_ok=True)
    assert churn(runs).value == pytest.approx((either - kept_twice) / either)
    assert retention(runs).value == pytest.approx((labels != DROPPED).mean())


def test_two_runs_that_agree_where_both_keep_can_still_keep_different_pairs():
    labels = np.array([[A, A], [B, B], [A, DROPPED], [DROPPED, B], [DROPPED, DROPPED]])
    runs = Relabels.of_labels(labels, np.arange(5))
    assert same_outcome(runs).value == pytest.approx(0.6)
    assert same_label_if_kept_twice(runs).value == 1
    assert same_label_if_kept_once(runs).value == pytest.approx(2 / 3)
    assert churn(runs).value == pytest.approx(0.5)


def test_redrawn_orders_make_a_judge_that_always_says_first_disagree_with_itself():
    first = np.tile([True, True, False, False], (60, 3, 1))
    votes = called(first.astype(float), first, rng=np.random.default_rng(0))
    rule = Rule()
    assert same_outcome(Relabels.of_votes(votes, rule)).value == 1
    assert same_outcome(Relabels.of_votes(votes, rule, redrawn=True)).value == 0


def test_a_pair_weighs_as_much_as_its_second_run_was_rare():
    first = np.ones((4, 3, 3), bool)
    votes = called(np.ones((4, 3, 3)), first, rng=np.random.default_rng(0))
    weight = np.array([1.0, 50.0, 70.0])[votes.repeat]
    runs = Relabels.of_votes(replace(votes, weight=weight), Rule(rotate=False))
    assert list(runs.weight) == [50] * 4


def test_names_of_pairs_are_needed_to_know_which_ballots_count():
    votes = Votes.of(pair=[0, 0], judge=[0, 0], first=[True, True], repeat=[0, 1], choice=[A, A], judges=["j"])
    with pytest.raises(ValueError, match="pair_ids"):
        Relabels.of_votes(votes, Rule())
