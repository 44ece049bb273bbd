"""The panel's rule: laws first, then examples."""

from __future__ import annotations

import hashlib
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.nouns import Ballot, Pair, Reason, Shown, Verdict, Vote
from consensus.rule import Rule, label, label_ballots, majority, seats, shown
from consensus.store import Store
from tests.consensus.cycles import cycle_of

A, B, TIE, ABSTAIN = Verdict
VERDICTS = st.lists(st.sampled_from([A, B, TIE, ABSTAIN, None]), max_size=9)
RULES = st.builds(Rule, min_agree=st.integers(1, 5), drop_if_split=st.booleans())


@given(VERDICTS, RULES)
def test_swapping_the_completions_swaps_the_label(verdicts, rule):
    one = majority(verdicts, rule)
    other = majority([v and v.swapped() for v in verdicts], rule)
    assert (other.verdict, other.reason, other.support) == (
        one.verdict and one.verdict.swapped(),
        one.reason,
        one.support,
    )


@given(VERDICTS.flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))), RULES)
def test_the_order_of_votes_never_matters(pair, rule):
    verdicts, shuffled = pair
    assert majority(shuffled, rule) == majority(verdicts, rule)


@given(VERDICTS, RULES)
def test_one_more_vote_for_the_winner_never_drops_the_pair(verdicts, rule):
    before = majority(verdicts, rule)
    if before.kept:
        after = majority([*verdicts, before.verdict], rule)
        assert (after.kept, after.verdict) == (True, before.verdict)


@given(VERDICTS, RULES)
def test_ties_and_abstentions_never_count_for_a_side(verdicts, rule):
    found = majority([v for v in verdicts if v in (TIE, ABSTAIN, None)], rule)
    assert found.verdict in (None, TIE)
    assert not found.kept


@given(VERDICTS, RULES)
def test_a_kept_pair_has_a_strict_lead(verdicts, rule):
    """No label ever depends on which judge comes first in a list."""
    found = majority(verdicts, rule)
    if found.kept:
        assert verdicts.count(found.verdict) > verdicts.count(found.verdict.swapped())
    if found.reason is Reason.AGREED:
        assert verdicts.count(found.verdict) >= rule.min_agree


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([A, A, B], (A, Reason.AGREED, 2 / 3)),
        ([B, B, B], (B, Reason.AGREED, 1.0)),
        ([A, B, TIE], (None, Reason.SPLIT, 1 / 3)),
        ([A, TIE, TIE], (TIE, Reason.TIE, 2 / 3)),
        ([A, ABSTAIN, ABSTAIN], (None, Reason.TOO_FEW_VOTES, 1 / 3)),
        ([A, None, None], (None, Reason.UNSTABLE, 1 / 3)),
        ([A], (None, Reason.TOO_FEW_VOTES, 1.0)),
        ([], (None, Reason.TOO_FEW_VOTES, None)),
    ],
)
def test_two_of_three(verdicts, expected):
    found = majority(verdicts, Rule(min_agree=2))
    assert (found.verdict, found.reason, found.support) == expected


def test_a_pair_that_missing_judges_could_decide_has_too_few_votes():
    rule = Rule(min_agree=2)
    assert majority([A, B], rule, missing=1).reason is Reason.TOO_FEW_VOTES
    assert majority([A, B], rule, missing=0).reason is Reason.SPLIT
    assert majority([A, A], rule, missing=1).reason is Reason.AGREED
    assert majority([TIE, TIE], rule, missing=1).reason is Reason.TIE


def test_a_split_pair_may_be_kept_on_request_if_one_side_leads():
    strict, lenient = Rule(min_agree=3), Rule(min_agree=3, drop_if_split=False)
    assert majority([A, A, B], strict).reason is Reason.SPLIT
    assert (majority([A, A, B], lenient).verdict, majority([A, A, B], lenient).reason) == (A, Reason.PLURALITY)
    assert majority([A, A, B, B], lenient).reason is Reason.SPLIT


@given(st.text(min_size=1, max_size=20), st.integers(0, 9))
def test_rotation_follows_the_parity_of_the_hash_and_the_seat(pair_id, seat):
    h = hashlib.sha256(pair_id.encode("utf-8", "surrogatepass")).digest()[0] & 1 if pair_id.isprintable() else None
    if h is not None:
        assert shown(pair_id, seat) is (Shown.AB if (h + seat) % 2 == 0 else Shown.BA)


def test_every_judge_sees_each_order_half_of_the_time():
    orders = [shown(f"pair-{k}", 1) for k in range(2000)]
    assert abs(orders.count(Shown.AB) - 1000) < 100


def test_fewer_judges_than_the_panel_are_asked_equally_often():
    asked = [seat for k in range(3000) for seat in seats(f"pair-{k}", 5, 3)]
    assert len(asked) == 9000
    assert all(abs(asked.count(seat) - 1800) < 150 for seat in range(5))


def test_with_both_orders_a_judge_that_contradicts_itself_abstains():
    rule = Rule(min_agree=2, both_orders=True)

    def votes(**verdicts):
        return [
            Vote(Ballot("p", judge, order), verdict)
            for judge, pair in verdicts.items()
            for order, verdict in zip(Shown, pair, strict=True)
        ]

    judges = ["x", "y", "z"]
    assert label(votes(x=(A, A), y=(A, A), z=(A, B)), "p", judges, rule).verdict is A
    assert label(votes(x=(A, A), y=(A, B), z=(A, B)), "p", judges, rule).reason is Reason.UNSTABLE
    one_missing = [v for v in votes(x=(A, A), y=(A, A)) if v.ballot != Ballot("p", "y", Shown.BA)]
    assert label(one_missing, "p", judges, rule).reason is Reason.TOO_FEW_VOTES


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(0, 3), st.sampled_from(Shown), st.integers(0, 1), st.sampled_from(Verdict)
        ),
        max_size=60,
        unique_by=lambda v: v[:4],
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_the_view_in_sql_says_the_same_as_the_rule(raw, both, rotate, drop, per_pair, min_agree):
    """Whatever votes are stored, repeats and uncounted orders among them."""
    judges = ["j0", "j1", "j2", "j3"]
    cycle = cycle_of(
        judges,
        consensus={"min_agree": min(min_agree, per_pair), "drop_pair_if_split": drop},
        sampling={"judges_per_pair": per_pair, "orders": "both" if both else "one", "rotate_completion_order": rotate},
    )
    votes = [Vote(Ballot(f"p{p}", judges[j], s, r), verdict) for p, j, s, r, verdict in raw]
    with Store() as store:
        store.register(cycle, "rubric")
        store.add_pairs(cycle.name, [Pair(f"p{k}", "q", f"a{k}", f"b{k}") for k in range(6)])
        store.add(cycle.name, {j.label: j.config_hash("rubric") for j in cycle.judges}, votes)
        found = {item.pair.pair_id: item.label for item in store.labeled(cycle.name, kept_only=False)}
    expected = {
        f"p{k}": label([v for v in votes if v.ballot.pair_id == f"p{k}"], f"p{k}", judges, cycle.rule) for k in range(6)
    }
    assert found == expected


@given(st.permutations(["x", "y", "z"]), st.lists(st.sampled_from(Verdict), min_size=3, max_size=3))
def test_with_both_orders_the_order_of_judges_never_matters(order, verdicts):
    said = dict(zip(["x", "y", "z"], verdicts, strict=True))
    rule = Rule(min_agree=2, both_orders=True)
    votes = [Vote(ballot, said[ballot.judge]) for ballot in label_ballots("p", ["x", "y", "z"], rule)]
    assert label(votes, "p", order, rule) == label(votes, "p", ["x", "y", "z"], rule)


def test_rotation_is_as_balanced_as_blocks_of_the_six_patterns():
    """Blocks of all arrangements of two orders and one other: every judge sees each order equally, judges correlate by -1/3.

    The platform's two patterns (+-+ and -+-) are as balanced; neighbours always differ instead, and no block has to be kept.
    """
    six = np.array([p for p in product((1, -1), repeat=3) if abs(sum(p)) == 1])
    ours = np.array([[1, -1, 1], [-1, 1, -1]])
    assert six.sum(axis=0).tolist() == ours.sum(axis=0).tolist() == [0, 0, 0]
    assert np.corrcoef(six.T)[np.triu_indices(3, 1)] == pytest.approx([-1 / 3] * 3)
    names = [f"pair-{k}" for k in range(4000)]
    orders = np.array([[1 if shown(name, seat) is Shown.AB else -1 for seat in range(3)] for name in names])
    assert {tuple(row) for row in orders.tolist()} == {tuple(row) for row in ours.tolist()}
    assert np.abs(orders.mean(axis=0)).max() < 0.05
