"""Agreement, common errors, and what a panel is worth."""

from __future__ import annotations

from itertools import product
from math import isnan

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from consensus.statistics.agreement import (
    Errors,
    Panel,
    all_wrong_if_independent,
    all_wrong_together,
    cohen_kappa,
    condorcet_accuracy,
    effective_number_of_judges,
    error_correlation,
    fleiss_kappa,
    krippendorff_alpha,
    mean_error_correlation,
    pairwise_agreement,
    panel_accuracy,
)
from consensus.statistics.condorcet import (
    chance_of_counts,
    cheapest_line,
    correlated_majority_accuracy,
    dictator,
    effective_judges,
    expected_lazy_calls,
    log_odds,
    majority_accuracy,
)
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Cells, Votes
from tests.consensus.recorded import covers, random_votes

TABLES = st.integers(0, 100_000).map(
    lambda seed: np.random.default_rng(seed).choice([A, B, TIE, ABSTAIN], p=[0.4, 0.3, 0.2, 0.1], size=(15, 4))
)


def panel_of(table, *, gold=None, cluster=None):
    """One vote of each judge on each pair; `table` is [n_pairs, n_judges]."""
    table = np.asarray(table)
    pair, judge = (x.ravel() for x in np.indices(table.shape))
    votes = Votes.of(
        pair=pair,
        judge=judge,
        first=(pair + judge) % 2 == 0,
        choice=table.ravel(),
        judges=[f"judge-{j}" for j in range(table.shape[1])],
        gold=gold,
        cluster=cluster,
    )
    return Panel.of(votes, Cells.of(votes))


@given(TABLES)
def test_alpha_is_that_of_the_krippendorff_package(table):
    ratings = np.where(table == ABSTAIN, np.nan, table).T
    assert krippendorff_alpha(panel_of(table)).value == pytest.approx(
        krippendorff.alpha(reliability_data=ratings, level_of_measurement="nominal")
    )


@given(TABLES)
def test_fleiss_kappa_is_that_of_statsmodels(table):
    whole = np.where(table == ABSTAIN, TIE, table)
    counts = np.stack([(whole == kind).sum(axis=1) for kind in (A, B, TIE)], axis=1)
    assert fleiss_kappa(panel_of(whole)).value == pytest.approx(statsmodels_fleiss(counts))


@given(TABLES)
def test_cohens_kappa_and_agreement_are_those_of_scikit_learn(table):
    both = (table[:, 0] != ABSTAIN) & (table[:, 1] != ABSTAIN)
    x, y = table[both, 0], table[both, 1]
    panel = panel_of(table)
    assert pairwise_agreement(panel, 0, 1).value == pytest.approx((x == y).mean())
    assert cohen_kappa(panel, 0, 1).value == pytest.approx(cohen_kappa_score(x, y))


@given(TABLES, st.permutations(range(4)))
def test_the_order_of_the_judges_means_nothing(table, order):
    one, other = panel_of(table), panel_of(table[:, list(order)])
    for figure in (krippendorff_alpha, fleiss_kappa):
        assert figure(one).value == pytest.approx(figure(other).value)


@given(st.integers(0, 10_000))
def test_agreement_of_judges_with_repeats_is_that_of_all_their_votes_in_twos(seed):
    votes = random_votes(np.random.default_rng(seed))
    panel = Panel.of(votes, Cells.of(votes))
    means = []
    for pair in range(12):
        x, y = (votes.choice[(votes.pair == pair) & (votes.judge == j) & (votes.choice != ABSTAIN)] for j in (0, 2))
        if len(x) and len(y):
            means.append((x[:, None] == y).mean())
    assert pairwise_agreement(panel, 0, 2).value == pytest.approx(np.mean(means))


def test_the_known_alpha_of_three_judges_and_four_pairs():
    table = np.array([[A, A, B, B], [A, B, B, B], [A, A, B, ABSTAIN]]).T
    assert krippendorff_alpha(panel_of(table)).value == pytest.approx(2 / 3)


def test_one_verdict_for_everything_has_no_agreement_beyond_chance_to_speak_of():
    panel = panel_of(np.full((9, 3), A))
    for found in (krippendorff_alpha(panel), fleiss_kappa(panel), cohen_kappa(panel, 0, 1)):
        assert isnan(found.value)
        assert "one verdict" in found.reason
    assert pairwise_agreement(panel, 0, 1).value == 1


def test_a_copy_agrees_with_its_original_and_adds_nothing_to_the_panel():
    rng = np.random.default_rng(2)
    gold = rng.choice([A, B], 2000)
    said = np.where(rng.random((2000, 3)) < 0.8, gold[:, None], -gold[:, None])
    copied = np.concatenate([said[:, :2], said[:, 1:2]], axis=1)
    honest, copying = Errors.of(panel_of(said, gold=gold)), Errors.of(panel_of(copied, gold=gold))
    assert error_correlation(copying, 1, 2).value == pytest.approx(1)
    assert effective_number_of_judges(honest).value == pytest.approx(3, abs=0.3)
    assert effective_number_of_judges(copying).value == pytest.approx(3 / (1 + 2 / 3), abs=0.1)


# Errors that judges share.


def correlated(rng, *, pairs, accuracy, correlation, judges=3):
    size = 1 / correlation - 1
    chance = rng.beta(accuracy * size, (1 - accuracy) * size, (pairs, 1))
    gold = rng.choice([A, B], pairs)
    return np.where(rng.random((pairs, judges)) < chance, gold[:, None], -gold[:, None]), gold


@pytest.mark.parametrize(("rho", "accuracy", "effective"), [(0.2, 0.8512, 2.1429), (0.4, 0.824686, 1.6667)])
def test_the_majority_of_correlated_judges_is_the_beta_binomials(rho, accuracy, effective):
    rng = np.random.default_rng(3)
    table, gold = correlated(rng, pairs=60_000, accuracy=0.8, correlation=rho)
    errors = Errors.of(panel_of(table, gold=gold))
    assert correlated_majority_accuracy(0.8, rho) == pytest.approx(accuracy, abs=1e-6)
    assert effective_judges(3, rho) == pytest.approx(effective, abs=1e-4)
    assert panel_accuracy(errors).value == pytest.approx(accuracy, abs=0.005)
    assert condorcet_accuracy(errors).value == pytest.approx(0.896, abs=0.005)
    assert mean_error_correlation(errors).value == pytest.approx(rho, abs=0.015)
    assert effective_number_of_judges(errors).value == pytest.approx(effective, abs=0.05)


def test_the_interval_of_the_error_correlation_holds_it():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(60):
        table, gold = correlated(rng, pairs=300, accuracy=0.8, correlation=0.3)
        held += covers(mean_error_correlation(Errors.of(panel_of(table, gold=gold))), 0.3, rng)
    assert held >= 52


def test_all_wrong_together_is_counted_and_compared_with_independent_judges():
    gold = np.array([A, A, B, B])
    table = np.array([[A, A, B], [B, B, B], [B, A, B], [A, A, A]])
    errors = Errors.of(panel_of(table, gold=gold))
    assert all_wrong_together(errors).value == 0.5
    assert all_wrong_if_independent(errors).value == pytest.approx(0.5 * 0.75 * 0.75)
    assert panel_accuracy(errors).value == 0.5
    assert panel_accuracy(errors, needed=3).value == 0


def test_repeats_do_not_inflate_the_correlation_of_single_calls():
    """Two judges with the same chance of error on a pair: correlation var(chance)/(p q) whether asked once or five times."""
    rng = np.random.default_rng(5)
    chance = rng.beta(2, 4, 4000)
    expected = np.var(chance) / (chance.mean() * (1 - chance.mean()))
    wrong = rng.random((4000, 2, 5)) < chance[:, None, None]
    pair, judge, repeat = (x.ravel() for x in np.indices(wrong.shape))
    votes = Votes.of(
        pair=pair,
        judge=judge,
        first=np.ones(len(pair), bool),
        repeat=repeat,
        choice=np.where(wrong.ravel(), B, A),
        judges=["one", "two"],
        gold=np.full(4000, A),
    )
    for some in (votes, votes.where(votes.repeat == 0)):
        found = error_correlation(Errors.of(Panel.of(some, Cells.of(some))), 0, 1)
        assert found.value == pytest.approx(expected, abs=0.04)


def test_without_gold_nothing_is_said_about_errors():
    errors = Errors.of(panel_of([[A, B, A], [B, B, A]]))
    for found in (
        mean_error_correlation(errors),
        effective_number_of_judges(errors),
        error_correlation(errors, 0, 1),
        all_wrong_together(errors),
        all_wrong_if_independent(errors),
        panel_accuracy(errors),
        condorcet_accuracy(errors),
    ):
        assert isnan(found.value)
        assert found.reason


# Theory.


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_counts_of_independent_events_are_those_of_enumerating_them(chances):
    expected = np.zeros(len(chances) + 1)
    for happened in product([0, 1], repeat=len(chances)):
        expected[sum(happened)] += np.prod([p if h else 1 - p for p, h in zip(chances, happened, strict=True)])
    assert chance_of_counts(chances) == pytest.approx(expected)


def test_known_values_of_two_of_three():
    p = [0.76, 0.80, 0.84]
    counts = chance_of_counts(p)
    assert majority_accuracy(p) == pytest.approx(0.89696)
    assert counts[0] + counts[3] == pytest.approx(0.5184)
    assert counts[3] / (counts[0] + counts[3]) == pytest.approx(0.985185, abs=1e-6)


@given(st.floats(0.05, 0.95), st.integers(1, 9))
def test_without_correlation_the_beta_binomial_is_the_binomial(p, judges):
    expected = majority_accuracy([p] * judges)
    assert correlated_majority_accuracy(p, 1e-6, judges) == pytest.approx(expected, abs=1e-4)
    assert correlated_majority_accuracy(p, 0, judges) == pytest.approx(expected)


def test_a_correlation_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"correlation -0\.1"):
        correlated_majority_accuracy(0.8, -0.1)


def test_a_judge_dictates_if_its_weight_exceeds_the_others_together():
    weights = log_odds([0.95, 0.7, 0.7])
    assert weights[0] == pytest.approx(2.9444, abs=1e-4)
    assert weights[1] + weights[2] == pytest.approx(1.6946, abs=1e-4)
    assert dictator(list(weights)) == 0
    assert dictator(list(log_odds([0.8, 0.7, 0.7]))) is None


def test_the_third_judge_is_asked_only_where_the_first_two_differ():
    assert expected_lazy_calls(0.76, 0.80) == pytest.approx(2.344)


@given(st.lists(st.floats(0.01, 5), min_size=3, max_size=3), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_no_line_is_cheaper_than_the_cheapest(costs, ab, ac, bc):
    differ = [[0, ab, ac], [ab, 0, bc], [ac, bc, 0]]
    line, price = cheapest_line(costs, differ)
    others = [sum(costs) - costs[last] + costs[last] * p for last, p in ((2, ab), (1, ac), (0, bc))]
    assert price == pytest.approx(min(others))
    assert sorted(line) == [0, 1, 2]
