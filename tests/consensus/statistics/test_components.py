"""The variance split, against the analysis of variance and planted components."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consensus.statistics.components import (
    Components,
    Design,
    Study,
    cheapest_design,
    predicted_consistency,
    reliability,
)
from consensus.statistics.votes import TIE, A, B, Cells, Votes
from tests.consensus.recorded import covers


def study_of(values, *, cluster=None):
    """From verdicts of shape [n_pairs, n_judges, 2, n_repeats]."""
    values = np.asarray(values)
    pair, judge, order, repeat = (x.ravel() for x in np.indices(values.shape))
    votes = Votes.of(
        pair=pair,
        judge=judge,
        first=order == 0,
        repeat=repeat,
        choice=values.ravel(),
        judges=[f"judge-{j}" for j in range(values.shape[1])],
        cluster=cluster,
    )
    return Study.of(Cells.of(votes), range(values.shape[1]))


def anova(values):
    """Textbook expected mean squares of a balanced pairs x judges x orders design with repeats, all random but for the means."""
    p, j, o, r = values.shape
    cell = values.mean(axis=3)
    residual = ((values - cell[..., None]) ** 2).sum() / (p * j * o * (r - 1))
    pj, po, pair = cell.mean(axis=2), cell.mean(axis=1), cell.mean(axis=(1, 2))
    judge, order, jo, grand = cell.mean(axis=(0, 2)), cell.mean(axis=(0, 1)), cell.mean(axis=0), cell.mean()
    ms_p = r * j * o * ((pair - grand) ** 2).sum() / (p - 1)
    ms_pj = r * o * ((pj - pair[:, None] - judge + grand) ** 2).sum() / ((p - 1) * (j - 1))
    ms_po = r * j * ((po - pair[:, None] - order + grand) ** 2).sum() / ((p - 1) * (o - 1))
    rest = cell - pj[:, :, None] - po[:, None, :] - jo + pair[:, None, None] + judge[:, None] + order - grand
    ms_pjo = r * (rest**2).sum() / ((p - 1) * (j - 1) * (o - 1))
    return (
        (ms_p - ms_pj - ms_po + ms_pjo) / (r * j * o),
        (ms_pj - ms_pjo) / (r * o),
        (ms_po - ms_pjo) / (r * j),
        (ms_pjo - residual) / r,
        residual,
    )


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 3))
def test_a_balanced_study_gives_the_analysis_of_variance(seed, judges, repeats):
    rng = np.random.default_rng(seed)
    lean = rng.normal(0, 1, (20, 1, 1, 1)) + rng.normal(0, 1, (20, judges, 2, 1))
    values = np.sign(lean + rng.normal(0, 1, (20, judges, 2, repeats))).astype(int)
    values[rng.random(values.shape) < 0.1] = TIE
    found = study_of(values).components()
    parts = (found.pair, found.pair_judge, found.pair_order, found.pair_judge_order, found.residual)
    assert [float(part) for part in parts] == pytest.approx(anova(values.astype(float)))


def planted(rng, *, pairs, judges, repeats):
    """Verdicts with chances in which pair, judge and order have known shares of the variance of v = +-1."""
    pair = 0.4 * rng.choice([-1, 1], (pairs, 1, 1))
    judge = 0.3 * rng.choice([-1, 1], (pairs, judges, 1))
    order = 0.2 * rng.choice([-1, 1], (pairs, 1, 1)) * np.array([1, -1])
    mean = pair + judge + order
    return np.where(rng.random((pairs, judges, 2, repeats)) < ((1 + mean) / 2)[..., None], A, B)


def test_planted_components_are_found_and_bounded():
    """v has mean .4 P + .3 J +- .2 O by order: .16, .09 and .04 of its variance, and the rest between repeats.

    A push that is opposite in the two orders is a negative covariance between them, -.04: pair x order has twice .04, and half of
    it is to be added to pair (`reliability` does) to get back .16.
    """
    rng = np.random.default_rng(1)
    found = study_of(planted(rng, pairs=6000, judges=3, repeats=2)).components()
    assert found.residual == pytest.approx(1 - 0.16 - 0.09 - 0.04, abs=0.02)
    assert found.pair == pytest.approx(0.16 - 0.04, abs=0.02)
    assert found.pair_judge == pytest.approx(0.09, abs=0.02)
    assert found.pair_order == pytest.approx(0.08, abs=0.02)
    assert found.pair_judge_order == pytest.approx(0, abs=0.02)
    held = 0
    for _ in range(40):
        study = study_of(planted(rng, pairs=120, judges=3, repeats=2))
        judges_part = study.estimate(lambda c: c.pair_judge)
        held += covers(judges_part, 0.09, rng)
    assert held >= 34


def test_pairs_that_lack_a_cell_are_left_out_and_without_repeats_there_is_no_residual():
    rng = np.random.default_rng(2)
    values = planted(rng, pairs=30, judges=2, repeats=1)
    study = study_of(values)
    assert isnan(study.components().residual)
    assert float(study.components().pair) == pytest.approx(float(study.estimate(lambda c: c.pair).value))
    ratio = study.estimate(lambda c: c.residual)
    assert isnan(ratio.value)
    assert ratio.reason.startswith("no request was asked twice")


def test_one_judge_has_nothing_to_be_split():
    with pytest.raises(ValueError, match="two judges"):
        study_of(planted(np.random.default_rng(3), pairs=9, judges=1, repeats=2))


# What to buy.

REAL = Components(*(np.array(x) for x in (0.35, 0.28, 0.02, 0.05, 0.16)))


@given(st.integers(1, 5), st.integers(1, 2), st.integers(1, 4))
def test_every_further_call_makes_the_label_more_reliable(judges, orders, repeats):
    design = Design(judges, orders, repeats)
    more = [Design(judges, orders, repeats + 1), Design(judges, 2, repeats)]
    for other in more:
        assert reliability(REAL, other) >= reliability(REAL, design)
    assert 0 < reliability(REAL, design) < 1


@pytest.mark.parametrize("orders", [1, 2])
def test_reliability_is_the_correlation_of_a_panel_with_itself(orders):
    """The mean verdict of three judges, twice, on the same pairs; with one order each, drawn anew for every judge and time."""
    rng = np.random.default_rng(6)
    values = planted(rng, pairs=20_000, judges=3, repeats=2)
    if orders == 2:
        runs = values.mean(axis=(1, 2)).T
    else:
        rows, judges = np.indices(values.shape[:2])
        runs = [values[rows, judges, rng.integers(0, 2, rows.shape), r].mean(axis=1) for r in (0, 1)]
    predicted = reliability(study_of(values).components(), Design(3, orders, 1))
    assert predicted == pytest.approx(np.corrcoef(*runs)[0, 1], abs=0.02)


def test_reliability_by_hand():
    again = 0.35 + 0.01 + (0.28 + 0.025) / 3
    assert reliability(REAL, Design(3, 2, 2)) == pytest.approx(again / (again + 0.16 / 12))
    assert reliability(REAL, Design(3, 1, 2)) == pytest.approx(again / (again + 0.035 / 3 + 0.16 / 6))
    assert predicted_consistency(np.array(0.8)) == pytest.approx(0.9)


def test_a_component_below_zero_counts_as_none():
    below, none = (Components(*(np.array(x) for x in (0.3, 0.2, order, 0.0, 0.3))) for order in (-0.1, 0.0))
    assert reliability(below, Design(3, 1, 1)) == reliability(none, Design(3, 1, 1))


@given(st.floats(0.55, 0.999))
def test_the_cheapest_design_reaches_the_target_and_nothing_cheaper_does(target):
    prices = [1.0, 2.0, 4.0]
    found = cheapest_design(REAL, target, prices, most_repeats=3)
    reaching = {
        Design(j, o, r): sum(prices[:j]) * o * r
        for j in (1, 2, 3)
        for o in (1, 2)
        for r in (1, 2, 3)
        if predicted_consistency(reliability(REAL, Design(j, o, r))) >= target
    }
    if found is None:
        assert not reaching
    else:
        design, price = found
        assert price == reaching[design] == min(reaching.values())
