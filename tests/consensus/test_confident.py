"""Stopping on confidence: symmetric, never more calls than settling takes, and what it does to labels is foretold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.confident import (
    Confidence,
    asked_by,
    confident_inclusion,
    confident_label,
    expected_disagreement,
    next_confident,
    replay,
)
from consensus.nouns import Reason, Shown, Verdict
from consensus.rule import Rule, majority, verdicts_by_judge
from consensus.sequence import Seat, line_up, next_ballots
from consensus.statistics.latent import dawid_skene, reliability_from_gold
from consensus.statistics.posterior import Posterior, Weight, fit_posterior
from tests.consensus.simulation import HI, JUDGES, REF, world
from tests.consensus.test_sequence import games, play

A, B, TIE, ABSTAIN = Verdict
TWO_OF_THREE = Rule(min_agree=2)
NEVER = Confidence(0.99, Posterior(()))
weights = st.builds(Weight, st.floats(-1, 4), st.floats(-1, 4), st.floats(0, 1))


def sure(level=0.8, first=2.0, second=2.0, stages=5, judges="xyz"):
    """Judges whose every vote says as much as the numbers say."""
    return Confidence(level, Posterior(({name: Weight(first, second) for name in judges},) * stages))


@st.composite
def confidences(draw, judges):
    stages = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(judges, weights)), max_size=6))
    return Confidence(draw(st.floats(0.51, 0.99)), Posterior(tuple(stages)))


@st.composite
def confident_games(draw):
    pair_id, judges, rule, truth, costs = draw(games())
    margins = {ballot: draw(st.floats(0, 5)) for ballot in truth}
    return line_up(pair_id, judges, rule, costs), rule, truth, margins, draw(confidences(judges))


def mirrored(ballot):
    return replace(ballot, shown=Shown.BA if ballot.shown is Shown.AB else Shown.AB)


@settings(max_examples=100)
@given(confident_games())
def test_exchanging_a_and_b_asks_the_same_judges_and_exchanges_the_label(game):
    line, rule, truth, margins, confidence = game
    asked = asked_by(line, truth, rule, confidence, margins)
    other_line = [Seat(seat.judge, tuple(mirrored(b) for b in seat.ballots)) for seat in line]
    other_truth, other_margins = (
        {mirrored(b): v.swapped() for b, v in truth.items()},
        {mirrored(b): m for b, m in margins.items()},
    )
    other = asked_by(other_line, other_truth, rule, confidence, other_margins)
    assert list(other) == [mirrored(ballot) for ballot in asked]
    one = confident_label(line, asked, rule, confidence, margins)
    two = confident_label(other_line, other, rule, confidence, other_margins)
    assert two == replace(one, verdict=one.verdict and one.verdict.swapped())


@settings(max_examples=150)
@given(confident_games())
def test_it_ends_asks_nothing_twice_and_one_at_a_time(game):
    line, rule, truth, margins, confidence = game
    votes = {}
    while wave := next_confident(line, votes, set(), rule, confidence, margins):
        (ballot,) = wave
        assert ballot not in votes
        votes[ballot] = truth[ballot]
    assert len(votes) <= len(truth)


@settings(max_examples=150)
@given(confident_games())
def test_where_it_stops_the_rule_has_settled_the_label_or_the_posterior_is_for_it(game):
    line, rule, truth, margins, confidence = game
    asked = asked_by(line, truth, rule, confidence, margins)
    label = confident_label(line, asked, rule, confidence, margins)
    verdicts = verdicts_by_judge(truth, rule)
    full = majority(verdicts, rule)
    p_a = confidence.posterior.p_a(asked, margins)
    if next_ballots(line, asked, set(), rule):
        assert max(p_a, 1 - p_a) >= confidence.level
        assert label.verdict is (A if p_a > 0.5 else B)
        assert label.kept
    elif label.reason is not Reason.CONFIDENT:
        assert (label.verdict, label.reason) == (full.verdict, full.reason)


@given(confident_games())
def test_where_nothing_is_known_the_labels_are_the_full_panels(game):
    line, rule, truth, _, _ = game
    asked = asked_by(line, truth, rule, NEVER)
    full = majority(verdicts_by_judge(truth, rule), rule)
    label = confident_label(line, asked, rule, NEVER)
    assert (label.verdict, label.reason) == (full.verdict, full.reason)
    assert expected_disagreement(line, asked, rule, NEVER, {}) == 0


@settings(max_examples=150)
@given(confident_games())
def test_it_never_takes_more_calls_than_settling_the_label(game):
    line, rule, truth, margins, confidence = game
    if not rule.both_orders:
        assert len(asked_by(line, truth, rule, confidence, margins)) <= len(play(line, truth, rule))


def test_one_vote_is_a_label_where_it_is_sure_enough():
    line = line_up("p", ["x", "y", "z"], TWO_OF_THREE)
    first = line[0].ballots[0]
    assert next_confident(line, {}, set(), TWO_OF_THREE, sure()) == [first]
    assert next_confident(line, {first: B}, set(), TWO_OF_THREE, sure(0.88)) == []  # 1 / (1 + exp(-2)) = .881
    assert next_confident(line, {first: B}, set(), TWO_OF_THREE, sure(0.89)) == [line[1].ballots[0]]
    found = confident_label(line, {first: B}, TWO_OF_THREE, sure(0.88))
    assert (found.verdict, found.reason, found.kept, found.support, found.n_votes) == (
        B,
        Reason.CONFIDENT,
        True,
        1.0,
        1,
    )
    assert confident_label(line, {first: B}, TWO_OF_THREE, sure(0.89)).reason is Reason.TOO_FEW_VOTES


def test_the_rule_is_heard_first():
    """Two of three for a settle it, whatever a judge of great weight says."""
    line = line_up("p", ["x", "y", "z"], TWO_OF_THREE)
    stage = {"x": Weight(9, 9), "y": Weight(0.1, 0.1), "z": Weight(0.1, 0.1)}
    votes = {seat.ballots[0]: B if seat.judge == "x" else A for seat in line}
    found = confident_label(line, votes, TWO_OF_THREE, Confidence(0.9, Posterior((stage,) * 3)))
    assert (found.verdict, found.reason) == (A, Reason.AGREED)


def test_a_side_that_leads_by_the_rule_is_not_overruled_by_stopping():
    """Of five judges two are for a, which min_agree=2 calls agreed; a posterior for b does not stop there."""
    rule = Rule(min_agree=2)
    line = line_up("p", list("vwxyz"), rule)
    ballots = [seat.ballots[0] for seat in line]
    stage = {seat.judge: Weight(0.1, 0.1) for seat in line} | {line[2].judge: Weight(5, 5)}
    votes = dict(zip(ballots[:3], (A, A, B), strict=True))
    confidence = Confidence(0.9, Posterior((stage,) * 5))
    assert confidence.posterior.p_a(votes) < 0.1
    assert next_confident(line, votes, set(), rule, confidence) == [ballots[3]]


def test_a_vote_of_an_order_that_was_not_planned_counts_for_nothing():
    line = line_up("p", ["x", "y", "z"], TWO_OF_THREE)
    stray = {mirrored(line[0].ballots[0]): A}
    assert next_confident(line, stray, set(), TWO_OF_THREE, sure()) == [line[0].ballots[0]]
    assert confident_label(line, stray, TWO_OF_THREE, sure()).n_votes == 0


def test_a_judge_that_failed_is_passed_over():
    line = line_up("p", ["x", "y", "z"], TWO_OF_THREE)
    failed = {line[0].ballots[0]}
    assert next_confident(line, {}, failed, TWO_OF_THREE, sure()) == [line[1].ballots[0]]
    assert next_confident(line, {line[1].ballots[0]: A}, failed, TWO_OF_THREE, sure()) == []


def test_inclusion_is_one_for_what_would_have_been_asked_anyway():
    line = line_up("p", ["x", "y", "z"], TWO_OF_THREE)
    ballots = [seat.ballots[0] for seat in line]
    found = confident_inclusion(line, dict.fromkeys(ballots, A), TWO_OF_THREE, sure(0.88), 0.1)
    assert found == dict(zip(ballots, (1.0, 0.1, 0.1), strict=True))


@pytest.mark.parametrize("level", [0.5, 1.0, 90])
def test_a_level_that_is_no_posterior_is_refused(level):
    with pytest.raises(ValueError, match="confidence is"):
        Confidence(level, Posterior(()))


def test_disagreement_after_one_vote_is_that_both_others_say_the_opposite():
    """By hand, with both others right .8 in the first slot, .6 in the second, and never undecided."""
    line = line_up("p", ["x", "y", "z"], TWO_OF_THREE)
    first, *others = (seat.ballots[0] for seat in line)
    confidence = sure(0.88)
    joint = {A: 0.0, B: 0.0}  # of what was said and that the others say b
    for better in joint:
        right = [0.8 if ballot.shown.first is better else 0.6 for ballot in (first, *others)]
        joint[better] = (
            right[0] * (1 - right[1]) * (1 - right[2]) if better is A else (1 - right[0]) * right[1] * right[2]
        )
    said = (0.8 if first.shown.first is A else 0.6) + (1 - (0.8 if first.shown.first is B else 0.6))
    known = dict.fromkeys("xyz", (0.8, 0.6, 0.0))
    found = expected_disagreement(line, {first: A}, TWO_OF_THREE, confidence, known)
    assert found == pytest.approx((joint[A] + joint[B]) / said)


def fitted(w, pairs, *, margins):
    rows = w.votes.pair < pairs
    votes = replace(w.votes.only(rows), n_pairs=pairs)
    known = reliability_from_gold(votes, w.gold[:pairs])
    return fit_posterior(
        votes, JUDGES, (w.gold[:pairs] > 0) * 1.0, reliability=known, margins=w.sizes[rows] if margins else None
    )


def test_without_margins_the_expected_disagreement_is_what_comes():
    """Reliabilities that explain agreement foretell the labels, though the judges share errors."""
    w = world(HI, 4000, TWO_OF_THREE, {"large": 0.0, "medium": 1.0, "small": 2.0})
    confidence = Confidence(0.75, fitted(w, 1000, margins=False))
    known = dawid_skene(w.votes).reliability
    shares = dict(zip(JUDGES, zip(known.c_first, known.c_second, known.tau, strict=True), strict=True))
    rest, rest_of_it = range(1000, 4000), (TWO_OF_THREE, confidence, shares)
    found = replay(((w.lines[k], w.truth[k], None) for k in rest), np.arange(3000), TWO_OF_THREE, confidence)
    told = [
        expected_disagreement(w.lines[k], {w.lines[k][0].ballots[0]: w.truth[k][w.lines[k][0].ballots[0]]}, *rest_of_it)
        for k in rest
    ]
    assert found.calls == 1
    assert found.differs.value == pytest.approx(np.mean(told), abs=0.015)


def test_replaying_nothing_is_undefined():
    found = replay([], [], TWO_OF_THREE, sure())
    assert np.isnan([found.calls, found.confident, found.differs.value]).all()


@pytest.mark.slow
@pytest.mark.parametrize("panel", [REF, HI])
def test_with_informative_margins_it_is_as_accurate_as_everybody_at_a_third_fewer_calls(panel):
    """Statistics 3: the full panel's accuracy at 1.7 to 2 calls a pair instead of 3; settling takes 2.2 to 2.3."""
    w = world(panel, 6000, TWO_OF_THREE, {"large": 0.0, "medium": 1.0, "small": 2.0})
    confidence = Confidence(0.85, fitted(w, 500, margins=True))
    calls = settling = right = full = 0
    for k in range(500, 6000):
        votes = asked_by(w.lines[k], w.truth[k], TWO_OF_THREE, confidence, w.margins[k])
        calls, settling = calls + len(votes), settling + len(play(w.lines[k], w.truth[k], TWO_OF_THREE))
        better = A if w.gold[k] > 0 else B
        right += confident_label(w.lines[k], votes, TWO_OF_THREE, confidence, w.margins[k]).verdict is better
        full += majority(verdicts_by_judge(w.truth[k], TWO_OF_THREE), TWO_OF_THREE).verdict is better
    assert settling / 5500 == pytest.approx(2.25, abs=0.07)
    assert calls / 5500 < 2.0
    assert right / 5500 > full / 5500 - 0.008
