"""No call that cannot change the label, and no label that differs from the full panel's."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.nouns import Verdict, Vote
from consensus.rule import Rule, label, label_ballots
from consensus.sequence import audited, inclusion, line_up, next_ballots

JUDGES = ["j0", "j1", "j2", "j3", "j4"]
A, B, TIE, ABSTAIN = Verdict


def play(line, truth, rule):
    """Ask wave after wave; what was asked, with its answers."""
    votes = {}
    while wave := next_ballots(line, votes, set(), rule):
        assert wave == [ballot for ballot in wave if ballot not in votes]
        votes |= {ballot: truth[ballot] for ballot in wave}
    return votes


@st.composite
def games(draw):
    n = draw(st.integers(1, 5))
    rule = Rule(
        min_agree=draw(st.integers(1, n)),
        drop_if_split=draw(st.booleans()),
        both_orders=draw(st.booleans()),
        per_pair=draw(st.one_of(st.none(), st.just(n))),
    )
    pair_id = f"p{draw(st.integers(0, 50))}"
    truth = {ballot: draw(st.sampled_from(Verdict)) for ballot in label_ballots(pair_id, JUDGES[:n], rule)}
    costs = draw(st.one_of(st.none(), st.fixed_dictionaries({j: st.floats(0, 2) for j in JUDGES[:n]})))
    return pair_id, JUDGES[:n], rule, truth, costs


@settings(max_examples=500)
@given(games())
def test_the_label_is_the_full_panels_on_every_pair(game):
    pair_id, judges, rule, truth, costs = game
    votes = play(line_up(pair_id, judges, rule, costs), truth, rule)
    early = label([Vote(b, v) for b, v in votes.items()], pair_id, judges, rule)
    full = label([Vote(b, v) for b, v in truth.items()], pair_id, judges, rule)
    assert (early.verdict, early.kept, early.reason) == (full.verdict, full.kept, full.reason)


@settings(max_examples=300)
@given(games(), st.data())
def test_whatever_is_stored_already_the_waves_end_and_ask_nothing_twice(game, data):
    """A run that was killed, or had another plan, leaves any subset of the votes."""
    pair_id, judges, rule, truth, costs = game
    stored = set(data.draw(st.lists(st.sampled_from(sorted(truth, key=str)), unique=True)))
    lost = set(data.draw(st.lists(st.sampled_from(sorted(truth, key=str)), unique=True))) - stored
    line, votes = line_up(pair_id, judges, rule, costs), {ballot: truth[ballot] for ballot in stored}
    while wave := next_ballots(line, votes, lost, rule):
        assert not set(wave) & (votes.keys() | lost)
        votes |= {ballot: truth[ballot] for ballot in wave}
    answered = [ballot for ballot in truth if ballot not in lost]
    early = label([Vote(b, v) for b, v in votes.items()], pair_id, judges, rule)
    full = label([Vote(b, truth[b]) for b in answered], pair_id, judges, rule)
    assert (early.verdict, early.reason) == (full.verdict, full.reason)


@given(games())
def test_a_judge_that_fails_changes_nothing_but_its_own_vote(game):
    """The others are asked as if it were not on the panel."""
    pair_id, judges, rule, truth, costs = game
    line = line_up(pair_id, judges, rule, costs)
    failed = {ballot for ballot in truth if ballot.judge == "j0"}
    votes = {}
    while wave := next_ballots(line, votes, failed, rule):
        assert not set(wave) & failed
        votes |= {ballot: truth[ballot] for ballot in wave}
    early = label([Vote(b, v) for b, v in votes.items()], pair_id, judges, rule)
    full = label([Vote(b, v) for b, v in truth.items() if b not in failed], pair_id, judges, rule)
    assert (early.verdict, early.reason) == (full.verdict, full.reason)


def test_two_that_agree_settle_two_of_three():
    rule = Rule(min_agree=2)
    line = line_up("p", JUDGES[:3], rule)
    first = next_ballots(line, {}, set(), rule)
    assert len(first) == 2
    assert next_ballots(line, dict.fromkeys(first, A), set(), rule) == []
    assert len(next_ballots(line, dict(zip(first, (A, B), strict=True)), set(), rule)) == 1
    assert len(next_ballots(line, dict(zip(first, (A, TIE), strict=True)), set(), rule)) == 1
    assert next_ballots(line, dict.fromkeys(first, TIE), set(), rule) == []


def test_with_both_orders_only_the_leading_side_is_confirmed():
    rule = Rule(min_agree=2, both_orders=True)
    line = line_up("p", JUDGES[:3], rule)
    first = next_ballots(line, {}, set(), rule)
    votes = dict.fromkeys(first, A)
    second = next_ballots(line, votes, set(), rule)
    assert [b.judge for b in second] == [b.judge for b in first]
    assert next_ballots(line, votes | dict.fromkeys(second, A), set(), rule) == []


def test_the_cheapest_are_tried_first_and_equals_in_turn():
    rule = Rule()
    costs = {"j0": 3.0, "j1": 1.0, "j2": 1.0}
    lines = [[seat.judge for seat in line_up(f"p{k}", JUDGES[:3], rule, costs)] for k in range(200)]
    assert {line[-1] for line in lines} == {"j0"}
    firsts = Counter(line[0] for line in lines)
    assert set(firsts) == {"j1", "j2"}
    balanced = Counter(line_up(f"p{k}", JUDGES[:3], rule)[0].judge for k in range(3000))
    assert all(abs(n - 1000) < 120 for n in balanced.values())


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_the_audited_share_is_what_was_asked_for(share):
    found = sum(audited(f"p{k}", 7, share) for k in range(10_000)) / 10_000
    assert found == pytest.approx(share, abs=0.01)


def test_weighted_by_how_likely_it_was_asked_a_judges_rate_is_unbiased():
    """The third judge is asked where the others disagree, which are hard pairs: its plain accuracy there is far too low."""
    dice, rule, share = random.Random(3), Rule(min_agree=2), 0.1
    costs = {"j0": 1.0, "j1": 2.0, "j2": 3.0}
    true = weighted = weight = plain = n = 0.0
    for k in range(20_000):
        hard = dice.random() < 0.4
        line = line_up(f"p{k}", JUDGES[:3], rule, costs)
        truth = {seat.ballots[0]: A if dice.random() < (0.55 if hard else 0.95) else B for seat in line}
        true += truth[line[2].ballots[0]] is A
        votes = truth if audited(f"p{k}", 0, share) else play(line, truth, rule)
        chance = inclusion(line, votes, rule, share)
        third = line[2].ballots[0]
        if third in votes:
            weighted += (votes[third] is A) / chance[third]
            weight += 1 / chance[third]
            plain += votes[third] is A
            n += 1
    assert weighted / weight == pytest.approx(true / 20_000, abs=0.02)
    assert abs(plain / n - true / 20_000) > 0.05
