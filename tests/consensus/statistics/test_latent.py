"""The latent model: laws of symmetry, planted reliabilities, other people's implementations, and where it knows nothing."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from consensus.statistics.latent import PRIOR, Votes, dawid_skene, one_coin_moments, reliability_from_gold
from tests.consensus.simulation import HI, REF, judged

PLANTED = np.array([[0.85, 0.70], [0.80, 0.75], [0.90, 0.90]])
COLUMNS = ("pair", "judge", "a_first", "verdict")


def planted(pairs, c=PLANTED, ties=0.0, seed=0):
    """Votes of independent judges with these reliabilities, and the better completions."""
    rng = np.random.default_rng(seed)
    c = np.asarray(c)
    gold = rng.choice([-1, 1], pairs)
    a_first = (rng.integers(0, 2, (pairs, 1)) + np.arange(len(c))) % 2 == 0
    better_first = a_first == (gold[:, None] > 0)
    right = rng.random(better_first.shape) < np.where(better_first, c[:, 0], c[:, 1])
    verdict = np.where(right, gold[:, None], -gold[:, None]) * (rng.random(right.shape) >= np.array(ties))
    pair, judge = np.divmod(np.arange(verdict.size), len(c))
    return Votes(pair, judge, a_first.ravel(), verdict.ravel(), pairs, len(c)), gold


def simple_em(votes, steps):
    """The same model with loops, one vote at a time, as it is written down: P(verdict | better, slot) by judge."""
    a, b = PRIOR
    sums = [0] * votes.n_pairs
    rows = list(zip(*(getattr(votes, name).tolist() for name in COLUMNS), strict=True))
    for pair, _, _, verdict in rows:
        sums[pair] += verdict
    p = [float(expit(s * log((a - 1) / (b - 1)))) for s in sums]
    for _ in range(steps):
        right = {(j, first): a - 1 for j in range(votes.n_judges) for first in (True, False)}
        total = dict.fromkeys(right, a + b - 2)
        for pair, judge, a_first, verdict in rows:
            for better, chance in ((1, p[pair]), (-1, 1 - p[pair])):
                if verdict:
                    slot = (judge, a_first == (better > 0))
                    right[slot] += chance * (verdict == better)
                    total[slot] += chance
        c = {slot: right[slot] / total[slot] for slot in right}
        weight = [[1.0, 1.0] for _ in p]
        for pair, judge, a_first, verdict in rows:
            for k, better in enumerate((1, -1)):
                if verdict:
                    correct = c[judge, a_first == (better > 0)]
                    weight[pair][k] *= correct if verdict == better else 1 - correct
        p = [for_a / (for_a + for_b) for for_a, for_b in weight]
    return c, p


@st.composite
def votes_of(draw):
    judges, pairs = draw(st.integers(3, 5)), draw(st.integers(1, 12))
    row = st.tuples(st.integers(0, pairs - 1), st.integers(0, judges - 1), st.booleans(), st.sampled_from([-1, 0, 1]))
    rows = draw(st.lists(row, min_size=1, max_size=60))
    return Votes(*(np.array(column) for column in zip(*rows, strict=True)), pairs, judges)


@given(votes_of())
def test_exchanging_the_names_of_the_completions_exchanges_the_posteriors(votes):
    one, other = dawid_skene(votes), dawid_skene(votes.swapped())
    assert np.array_equal(one.llr, -other.llr)
    assert np.array_equal(one.reliability.c_first, other.reliability.c_first, equal_nan=True)
    assert one.p_a == pytest.approx(1 - other.p_a)


@given(votes_of(), st.randoms())
def test_the_order_of_votes_and_the_numbers_of_pairs_and_judges_do_not_matter(votes, dice):
    rows, pairs, judges = (dice.sample(range(n), n) for n in (len(votes.pair), votes.n_pairs, votes.n_judges))
    pairs, judges = np.array(pairs), np.array(judges)
    moved = Votes(pairs[votes.pair], judges[votes.judge], votes.a_first, votes.verdict, len(pairs), len(judges))
    one, other = dawid_skene(votes), dawid_skene(moved.only(rows))
    assert other.llr[pairs] == pytest.approx(one.llr, abs=1e-4)
    assert other.reliability.c_first[judges] == pytest.approx(one.reliability.c_first, abs=1e-4, nan_ok=True)


@settings(max_examples=30)
@given(votes_of())
def test_it_is_the_simple_model_with_loops(votes):
    found = dawid_skene(votes)
    if found.reason is None:
        c, p = simple_em(votes, found.steps)
        reliability = found.reliability
        assert reliability.c_first == pytest.approx([c[j, True] for j in range(votes.n_judges)])
        assert reliability.c_second == pytest.approx([c[j, False] for j in range(votes.n_judges)])
        assert found.p_a == pytest.approx(p)


@given(votes_of(), st.integers(1, 4))
def test_a_weight_of_k_teaches_as_much_as_k_pairs(votes, k):
    """Weights enter the reliabilities; what a vote says of its own pair stays the same."""
    rest = [np.tile(getattr(votes, name), k) for name in COLUMNS[1:]]
    pair = (votes.pair + votes.n_pairs * np.arange(k)[:, None]).ravel()
    many = Votes(pair, *rest, k * votes.n_pairs, votes.n_judges)
    weighted, repeated = dawid_skene(votes, weights=np.full(len(votes.pair), float(k))), dawid_skene(many)
    assert weighted.reliability.c_first == pytest.approx(repeated.reliability.c_first, nan_ok=True, abs=1e-6)
    assert weighted.llr == pytest.approx(repeated.llr[: votes.n_pairs], abs=1e-5)


def test_planted_reliabilities_and_tie_rates_are_found():
    votes, gold = planted(20_000, ties=(0.1, 0.3, 0.0))
    found = dawid_skene(votes)
    assert found.converged
    assert np.column_stack([found.reliability.c_first, found.reliability.c_second]) == pytest.approx(PLANTED, abs=0.03)
    assert found.reliability.tau == pytest.approx([0.1, 0.3, 0.0], abs=0.01)
    assert found.reliability.position_bias == pytest.approx([0.075, 0.025, 0.0], abs=0.015)
    # The posteriors are calibrated where errors are independent, as here.
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        bin_ = (found.p_a >= low) & (found.p_a < high)
        assert (gold[bin_] > 0).mean() == pytest.approx(found.p_a[bin_].mean(), abs=0.03)


def test_a_judge_that_always_says_first_is_given_no_weight():
    votes, _ = planted(5000, [[0.8, 0.8], [0.8, 0.8], [0.8, 0.8], [1.0, 0.0]])
    reliability = dawid_skene(votes).reliability
    assert reliability.position_bias[3] == pytest.approx(0.5, abs=0.01)
    # Its vote for the first slot, the only one it gives, says nothing.
    assert reliability.evidence[3, 0] == pytest.approx(0, abs=0.02)
    assert (reliability.evidence[:3] > 1).all()


def test_a_judge_that_is_mostly_wrong_counts_against_what_it_says():
    votes, gold = planted(5000, [[0.85, 0.85], [0.85, 0.85], [0.85, 0.85], [0.2, 0.2]])
    found = dawid_skene(votes)
    assert found.reliability.accuracy[3] == pytest.approx(0.2, abs=0.03)
    assert (found.reliability.evidence[3] < -1).all()
    assert reliability_from_gold(votes, gold).accuracy[3] == pytest.approx(0.2, abs=0.02)


def test_the_log_odds_of_one_pair_are_those_worked_out_by_hand():
    """a is for the first in the first row; b is first in the second, and the judge votes for it; the third is a tie."""
    votes, gold = planted(3000)
    known = reliability_from_gold(votes, gold)
    pair = Votes([0, 0, 0], [0, 1, 2], [True, False, True], [1, -1, 0], 1, 3)
    for_a = log(known.c_first[0] / (1 - known.c_second[0]))
    for_b = log(known.c_first[1] / (1 - known.c_second[1]))
    assert known.llr(pair) == pytest.approx([for_a - for_b])


def test_reliability_from_gold_is_the_share_right_with_eight_and_two_for_a_prior():
    """Judge 0 saw the better one first in two pairs and was right once, in the other slot once and right."""
    votes = Votes([0, 1, 2, 3, 4], [0, 0, 0, 0, 0], [True, False, False, True, True], [1, 1, 1, 0, 1], 5, 2)
    found = reliability_from_gold(votes, [1, -1, 1, 1, 0])
    assert (found.c_first[0], found.c_second[0]) == (pytest.approx((1 + 7) / (2 + 8)), pytest.approx((1 + 7) / (1 + 8)))
    assert found.tau[0] == pytest.approx(1 / 4)
    assert found.n.tolist() == [3, 0]
    assert np.isnan(found.c_first[1])


def test_gold_tells_which_judges_are_right_when_most_share_an_error():
    """Three judges with the same wrong taste outvote two good ones; a few people's answers turn that around."""
    c = [[0.9, 0.9], [0.9, 0.9], [0.1, 0.1], [0.1, 0.1], [0.1, 0.1]]
    votes, gold = planted(2000, c)
    people = np.where(np.arange(2000) < 400, gold, 0)
    assert (dawid_skene(votes).reliability.accuracy[:2] < 0.2).all()
    found = dawid_skene(votes, gold=people)
    assert found.reliability.accuracy == pytest.approx(np.mean(c, axis=1), abs=0.05)
    assert np.mean(np.sign(found.llr[400:]) == gold[400:]) > 0.95


def test_votes_asked_only_while_the_label_was_open_leave_it_unbiased():
    """The third judge was asked only where the others disagree, and on a tenth: all that decided this is in the votes."""
    votes, _ = planted(40_000)
    rows = votes.verdict.reshape(-1, 3)
    third = (rows[:, 0] != rows[:, 1]) | (np.arange(len(rows)) % 10 == 0)
    asked = np.column_stack([np.ones((len(rows), 2), bool), third]).ravel()
    found = dawid_skene(votes.only(asked)).reliability
    assert np.column_stack([found.c_first, found.c_second]) == pytest.approx(PLANTED, abs=0.03)


@pytest.mark.parametrize("panel", [REF, HI])
def test_with_three_votes_it_is_as_accurate_as_the_majority_and_ranks_better(panel):
    found = judged(panel, 10_000, np.random.default_rng(1))
    fit = dawid_skene(found.votes())
    majority = np.sign(np.sign(found.said).sum(axis=1))
    right = np.sign(fit.llr) == found.gold
    assert right.mean() == pytest.approx((majority == found.gold).mean(), abs=0.004)
    surest = np.argsort(-np.abs(fit.llr))[:8200]
    assert right[surest].mean() > right.mean() + 0.02


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_crowd_kit_finds_the_same():
    """Always the same slot first makes it the classical model; theirs has no prior and learns how frequent a is."""
    from crowdkit.aggregation import DawidSkene
    from pandas import DataFrame

    votes, _ = planted(4000, [[0.85, 0.75], [0.8, 0.7], [0.9, 0.8], [0.7, 0.75]])
    votes = Votes(votes.pair, votes.judge, np.ones(len(votes.pair), bool), votes.verdict, votes.n_pairs, votes.n_judges)
    answers = DataFrame({"task": votes.pair, "worker": votes.judge, "label": votes.verdict})
    theirs = DawidSkene(n_iter=200, tol=1e-9).fit(answers).probas_[1].sort_index().to_numpy()
    ours = dawid_skene(votes).p_a
    assert np.abs(logit(ours) - logit(theirs)).mean() < 0.3
    assert np.mean((ours > 0.5) == (theirs > 0.5)) > 0.995


def test_one_coin_moments_recover_accuracies_from_agreement():
    """Statistics O3: judges right .76, .80, .84 of the time agree .656, .6768, .704 of the time."""
    pairs = 125_000
    votes, _ = planted(pairs, [[0.76] * 2, [0.80] * 2, [0.84] * 2], seed=4)
    verdict = votes.verdict.reshape(-1, 3)
    agree = [np.mean(verdict[:, i] == verdict[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert agree == pytest.approx([0.656, 0.6768, 0.704], abs=0.004)
    assert one_coin_moments(votes) == pytest.approx([0.76, 0.80, 0.84], abs=0.006)


def test_one_coin_moments_are_unknown_for_two_judges_and_for_one_at_odds_with_all():
    votes, _ = planted(500, PLANTED[:2])
    assert np.isnan(one_coin_moments(votes)).all()
    contrary, _ = planted(500, [[0.8] * 2, [0.8] * 2, [0.1] * 2])
    assert np.isnan(one_coin_moments(contrary)).all()


@pytest.mark.parametrize("judges", [1, 2])
def test_without_a_third_opinion_or_gold_nothing_is_known(judges):
    votes, gold = planted(200, PLANTED[:judges])
    found = dawid_skene(votes)
    assert np.isnan(found.reliability.c_first).all()
    assert (found.p_a == 0.5).all()
    assert "third opinion or gold" in found.reason
    assert dawid_skene(votes, gold=gold).reason is None


def test_a_judge_who_never_met_the_others_is_unknown_and_disturbs_nobody():
    votes, _ = planted(500)
    extra = Votes(
        [*votes.pair, 500, 501], [*votes.judge, 3, 3], [*votes.a_first, True, True], [*votes.verdict, 1, 1], 502, 4
    )
    alone, found = dawid_skene(votes), dawid_skene(extra)
    assert np.isnan(found.reliability.c_first[3])
    assert found.llr[500:].tolist() == [0, 0]
    assert found.llr[:500] == pytest.approx(alone.llr)
    assert "judges 3 " in found.reason


def test_ties_alone_and_no_votes_at_all_say_nothing():
    ties = Votes([0, 0, 0], [0, 1, 2], [True] * 3, [0, 0, 0], 2, 3)
    for votes, tau in ((ties, [1, 1, 1]), (ties.only([]), [np.nan] * 3)):
        found = dawid_skene(votes)
        assert found.p_a.tolist() == [0.5, 0.5]
        assert np.isnan(found.reliability.c_first).all()
        assert found.reliability.tau == pytest.approx(tau, nan_ok=True)
        assert found.reason is not None


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 2], [0, 0], [True, True], [1, 1]), "'pair' holds values outside 0..1"),
        (([0, 1], [0, 3], [True, True], [1, 1]), "'judge' holds values outside 0..2"),
        (([0, 1], [0, 0], [True, True], [1, 2]), "'verdict' holds values outside -1..1"),
        (([0, 1], [0, 0], [True], [1, 1]), "'a_first' has shape"),
        (([0, 0.5], [0, 0], [True, True], [1, 1]), "'pair' holds values that are not int64"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Votes(*columns, 2, 3)


def test_the_posterior_is_the_logistic_of_the_log_odds():
    found = dawid_skene(planted(100)[0])
    assert np.array_equal(found.p_a, expit(found.llr))
