"""What a judge likes besides quality."""

from __future__ import annotations

from math import isnan, log

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from consensus.statistics.agreement import Panel
from consensus.statistics.preferences import (
    gold_length_preference,
    gold_longer_share,
    length_preference,
    longer_share,
    odds_ratio,
    score_correlation,
    self_preference,
)
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Cells, Votes
from tests.consensus.recorded import called, cells_of, covers


def lengths(rng, pairs):
    return rng.normal(0, 0.7, pairs)


def judge_that_likes_length(rng, *, pairs, slope, log2_ratio, quality=None):
    """Odds of a vote for a: 2^slope-fold per doubling of a's length, and pushed to the first slot."""
    first = rng.random((pairs, 1, 1)) < 0.5
    seen = np.zeros(pairs) if quality is None else quality
    lean = slope * log2_ratio[:, None, None] + 0.3 * np.where(first, 1, -1) + seen[:, None, None]
    return cells_of(called(expit(lean), first, rng=rng, prompts=np.arange(pairs) // 2))


@pytest.mark.parametrize("slope", [0.0, log(1.5)])
def test_a_planted_liking_for_length_is_found_and_bounded(slope):
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(150):
        log2_ratio = lengths(rng, 200)
        found = length_preference(
            judge_that_likes_length(rng, pairs=200, slope=slope, log2_ratio=log2_ratio), log2_ratio
        )
        held += found.odds.low <= np.exp(slope) <= found.odds.high
    assert held / 150 >= 0.9


def test_what_people_like_too_is_told_apart_from_what_only_the_judge_likes():
    """Longer completions are better, and the judge sees quality alone: held against gold its liking for length is gone."""
    rng = np.random.default_rng(2)
    pairs = 8000
    log2_ratio = lengths(rng, pairs)
    gold = np.where(rng.random(pairs) < expit(1.2 * log2_ratio), A, B)
    cells = judge_that_likes_length(rng, pairs=pairs, slope=0.0, log2_ratio=log2_ratio, quality=1.5 * gold)
    raw, held_fixed = length_preference(cells, log2_ratio), length_preference(cells, log2_ratio, control=gold * 1.0)
    people = gold_length_preference(gold, log2_ratio, np.arange(pairs))
    assert raw.odds.low > 1.3
    assert held_fixed.odds.low < 1 < held_fixed.odds.high
    assert people.odds.value == pytest.approx(np.exp(1.2), rel=0.1)
    assert longer_share(cells, log2_ratio).value < gold_longer_share(gold, log2_ratio, np.arange(pairs)).value


@given(st.integers(0, 10_000))
def test_odds_and_their_error_are_those_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (80, 2))
    cluster = rng.integers(0, 20, 80)
    y = (rng.random(80) < expit(0.5 * x[:, 0])) * 1.0
    found = odds_ratio(y, 1 - y, x, cluster)
    groups = len(np.unique(cluster))
    expected = sm.GLM(y, x, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    assert log(found.odds.value) == pytest.approx(expected.params[0], abs=1e-6)
    reach = expected.bse[0] * np.sqrt(groups / (groups - 1)) * 2.093  # t quantile of 19
    if groups == 20:
        assert log(found.odds.high) == pytest.approx(expected.params[0] + reach, rel=1e-3)


@given(st.integers(0, 10_000))
def test_swapping_the_completions_changes_no_liking_for_length(seed):
    rng = np.random.default_rng(seed)
    log2_ratio = lengths(rng, 40)
    cells = judge_that_likes_length(rng, pairs=40, slope=0.5, log2_ratio=log2_ratio)
    swapped = Cells(
        cells.judge, cells.pair, cells.cluster, ~cells.first, cells.count[:, [1, 0, 2, 3]], cells.once, cells.twice
    )
    one, other = length_preference(cells, log2_ratio), length_preference(swapped, -log2_ratio)
    assert one.odds.value == pytest.approx(other.odds.value, nan_ok=True)
    assert longer_share(cells, log2_ratio).value == pytest.approx(longer_share(swapped, -log2_ratio).value)


def test_a_judge_that_always_takes_the_longer_has_no_finite_odds_but_a_share_of_one():
    log2_ratio = np.array([1.0, -1, 0.5, -0.2, 2, -2] * 5)
    votes = Votes.of(
        pair=np.arange(30), judge=np.zeros(30), first=np.arange(30) % 3 == 0, choice=np.sign(log2_ratio), judges=["j"]
    )
    found = length_preference(cells_of(votes), log2_ratio)
    assert isnan(found.odds.value)
    assert "tells every choice" in found.reason
    assert longer_share(cells_of(votes), log2_ratio).value == 1


def test_completions_of_equal_length_show_no_liking_for_length():
    votes = Votes.of(pair=[0, 1], judge=[0, 0], first=[True, False], choice=[A, B], judges=["j"])
    found = length_preference(cells_of(votes), np.zeros(2))
    assert isnan(found.odds.value)
    assert found.reason.startswith("no decided vote")
    assert isnan(longer_share(cells_of(votes), np.zeros(2)).value)


# Its own family.


def family_panel(rng, *, pairs, favour):
    """Judge 0 votes for its family's completion with chance .6 + favour where the others do with .6; the family makes a or b."""
    own_is_a = rng.random(pairs) < 0.5
    for_own = np.stack([np.full(pairs, 0.6 + favour), np.full(pairs, 0.6), np.full(pairs, 0.6)], axis=1)
    chance = np.where(own_is_a[:, None], for_own, 1 - for_own)
    first = rng.random((pairs, 3, 1)) < 0.5
    votes = called(chance[:, :, None], first, rng=rng)
    family_a, family_b = np.where(own_is_a, 0, 1), np.where(own_is_a, 1, 0)
    return Panel.of(votes, Cells.of(votes)), family_a, family_b


@pytest.mark.parametrize("favour", [0.0, 0.15])
def test_a_planted_liking_for_its_own_family_is_found_and_bounded(favour):
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        panel, family_a, family_b = family_panel(rng, pairs=150, favour=favour)
        held += covers(self_preference(panel, 0, family_a, family_b, np.array([0, 2, 3])), favour, rng)
    assert held >= 52


def test_judges_of_the_same_family_are_no_yardstick_and_without_others_nothing_is_said():
    panel, family_a, family_b = family_panel(np.random.default_rng(4), pairs=50, favour=0.2)
    found = self_preference(panel, 0, family_a, family_b, np.array([0, 0, 0]))
    assert isnan(found.value)
    assert "another family" in found.reason
    unknown = self_preference(panel, 0, family_a, family_b, np.array([-1, 2, 3]))
    assert isnan(unknown.value)


# Its own scores.


@given(st.integers(0, 10_000))
def test_scores_and_verdict_correlate_as_numpy_says(seed):
    rng = np.random.default_rng(seed)
    difference = rng.integers(-3, 4, 50).astype(float)
    difference[:5] = np.nan
    choice = rng.choice([A, B, TIE, ABSTAIN], 50)
    used = ~np.isnan(difference) & (choice != ABSTAIN)
    found = score_correlation(difference, choice, np.ones(50), np.arange(50))
    assert found.value == pytest.approx(np.corrcoef(difference[used], choice[used])[0, 1])


def test_scores_that_never_differ_correlate_with_nothing():
    found = score_correlation(np.full(9, 2.0), np.array([A, B, TIE] * 3), np.ones(9), np.arange(9))
    assert isnan(found.value)
    assert found.reason
