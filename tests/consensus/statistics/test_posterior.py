"""The posterior after one, two, three votes: its symmetry, its weights, and whether it is borne out."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from math import exp, isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from consensus.nouns import Ballot, Shown, Verdict
from consensus.rule import Rule
from consensus.statistics.latent import Reliability, Votes, dawid_skene, reliability_from_gold
from consensus.statistics.posterior import RIDGE, Posterior, Weight, fit_posterior, of_reliability
from tests.consensus.simulation import HI, JUDGES, judged, world
from tests.consensus.statistics.test_latent import planted

A, B, TIE, ABSTAIN = Verdict
KNOWN = Reliability(np.array([0.9, 0.7]), np.array([0.8, 0.7]), np.array([0.0, 0.1]), np.array([100, 100]))
TWO = of_reliability(["x", "y"], KNOWN, [1.0, 0.5])

weights = st.builds(Weight, *[st.floats(-3, 3)] * 3)
posteriors = st.lists(st.fixed_dictionaries(dict.fromkeys("xyz", weights)), max_size=3).map(
    lambda s: Posterior(tuple(s))
)
said = st.dictionaries(
    st.builds(Ballot, st.just("p"), st.sampled_from("xyz"), st.sampled_from(Shown)),
    st.sampled_from(Verdict),
    max_size=4,
)
sizes = st.floats(0, 10)


def swapped(ballot):
    return replace(ballot, shown=Shown.BA if ballot.shown is Shown.AB else Shown.AB)


@given(posteriors, said, st.data())
def test_exchanging_a_and_b_exchanges_the_chances(posterior, votes, data):
    margins = {ballot: data.draw(sizes) for ballot in votes}
    one = posterior.p_a(votes, margins)
    other = posterior.p_a(
        {swapped(b): v.swapped() for b, v in votes.items()}, {swapped(b): m for b, m in margins.items()}
    )
    assert one == pytest.approx(1 - other, nan_ok=True, abs=0)


@given(posteriors, said, st.randoms())
def test_the_order_in_which_votes_came_does_not_matter(posterior, votes, dice):
    shuffled = dict(dice.sample(list(votes.items()), len(votes)))
    assert posterior.p_a(votes) == pytest.approx(posterior.p_a(shuffled), nan_ok=True, abs=0)


@given(posteriors)
def test_it_survives_being_stored(posterior):
    assert Posterior.of(json.loads(json.dumps(asdict(posterior)))) == posterior


def test_a_vote_is_worth_what_its_slot_is_worth():
    """x is right .9 of the time when the better is first, .8 when it is second: a vote for the first gives .9 / (.9 + .2)."""
    first, second = Ballot("p", "x", Shown.AB), Ballot("p", "x", Shown.BA)
    assert TWO.p_a({first: A}) == pytest.approx(0.9 / 1.1)
    assert TWO.p_a({first: B}) == pytest.approx(1 - 0.8 / 0.9)
    assert TWO.p_a({second: A}) == pytest.approx(0.8 / 0.9)


def test_the_second_stage_has_its_own_slope_and_ties_are_no_stage():
    x, y = Ballot("p", "x", Shown.AB), Ballot("p", "y", Shown.BA)
    both = 0.5 * (log(0.9 / 0.2) + log(0.7 / 0.3))
    assert TWO.p_a({x: A, y: A}) == pytest.approx(1 / (1 + exp(-both)))
    assert TWO.p_a({x: A, y: TIE}) == TWO.p_a({x: A, y: ABSTAIN}) == TWO.p_a({x: A})
    assert TWO.p_a({x: TIE}) == TWO.p_a({}) == 0.5


def test_after_more_votes_than_were_ever_seen_nothing_is_known():
    assert isnan(Posterior(()).p_a({Ballot("p", "x", Shown.AB): A}))


def test_a_margin_adds_to_its_vote_and_a_missing_one_is_none():
    ballot, posterior = Ballot("p", "x", Shown.AB), Posterior(({"x": Weight(1.0, 0.0, 0.5)},))
    assert posterior.p_a({ballot: A}, {ballot: 2.0}) == pytest.approx(1 / (1 + exp(-2)))
    assert posterior.p_a({ballot: B}, {ballot: 2.0}) == pytest.approx(1 / (1 + exp(1)))
    assert posterior.p_a({ballot: A}, {}) == pytest.approx(1 / (1 + exp(-1)))


def slopes(votes, gold):
    """Per stage, by how much the judges' evidence is scaled."""
    known = reliability_from_gold(votes, gold)
    names = [str(j) for j in range(votes.n_judges)]
    stages = fit_posterior(votes, names, (gold > 0).astype(float), reliability=known).stages
    return [stage["0"].first / known.evidence[0, 0] for stage in stages]


def test_independent_judges_add_up_and_judges_that_share_errors_do_not():
    votes, gold = planted(20_000)
    assert slopes(votes, gold) == pytest.approx([1, 1, 1], abs=0.06)
    found = judged(HI, 20_000, np.random.default_rng(3))
    one, two, three = slopes(found.votes(), found.gold)
    assert one == pytest.approx(1, abs=0.06)
    assert three < two < 0.8


@pytest.mark.parametrize("margins", [False, True])
def test_at_every_stage_it_is_as_often_right_as_it_says(margins):
    """Fitted on 2,000 pairs with gold, checked on 4,000 others whose judges share errors; where it is unsure, less exactly."""
    w = world(HI, 6000, Rule(min_agree=2), None)
    learn = w.votes.pair < 2000
    votes = replace(w.votes.only(learn), n_pairs=2000)
    known = reliability_from_gold(votes, w.gold[:2000])
    posterior = fit_posterior(
        votes, JUDGES, (w.gold[:2000] > 0) * 1.0, reliability=known, margins=w.sizes[learn] if margins else None
    )
    rest = range(2000, 6000)
    for n in (1, 2, 3):
        said = [{seat.ballots[0]: w.truth[k][seat.ballots[0]] for seat in w.lines[k][:n]} for k in rest]
        p_a = np.array([posterior.p_a(v, w.margins[k] if margins else None) for k, v in zip(rest, said, strict=True)])
        sure, right = np.maximum(p_a, 1 - p_a), (p_a > 0.5) == (w.gold[2000:] > 0)
        for low, high in ((0.5, 0.75), (0.75, 0.88), (0.88, 1.0)):
            bin_ = (sure >= low) & (sure < high)
            if bin_.sum() > 300:
                assert right[bin_].mean() == pytest.approx(sure[bin_].mean(), abs=0.04 if low > 0.5 else 0.07)


def test_with_margins_it_is_the_ridge_regressions_optimum():
    """Written once more with dense columns, and left to a general optimiser."""
    found = judged(HI, 300, np.random.default_rng(4))
    votes, sizes = found.votes(), np.abs(found.said).ravel()
    posterior = fit_posterior(
        votes, JUDGES, (found.gold > 0) * 1.0, reliability=reliability_from_gold(votes, found.gold), margins=sizes
    )
    side, first = np.sign(found.said), found.a_first == (found.said > 0)
    x = np.stack([side * first, side * ~first, found.said], axis=2).reshape(300, 9)
    aim = np.where(found.gold > 0, 301 / 302, 1 / 302)

    def loss(w):
        z = x @ w
        return (aim * np.logaddexp(0, -z) + (1 - aim) * np.logaddexp(0, z)).sum() + RIDGE / 2 * w @ w

    best = minimize(loss, np.zeros(9), tol=1e-10).x
    ours = [value for name in JUDGES for value in asdict(posterior.stages[2][name]).values()]
    assert ours == pytest.approx(best, abs=1e-4)


def test_without_gold_the_full_panels_posterior_is_the_target():
    votes, _ = planted(5000)
    fitted = dawid_skene(votes)
    posterior = fit_posterior(votes, JUDGES, fitted.p_a, reliability=fitted.reliability)
    whole = posterior.stages[2]["small"].first / fitted.reliability.evidence[0, 0]
    assert whole == pytest.approx(1, abs=0.01)


def test_a_stage_with_too_few_pairs_is_left_out_and_with_none_it_refuses():
    votes, gold = planted(300)
    few = votes.only((votes.judge < 2) | (votes.pair < 99))
    known = reliability_from_gold(votes, gold)
    assert len(fit_posterior(few, JUDGES, (gold > 0) * 1.0, reliability=known).stages) == 2
    with pytest.raises(ValueError, match="99 completely asked pairs"):
        fit_posterior(votes, JUDGES, np.where(np.arange(300) < 99, 1.0, np.nan), reliability=known)


def test_judges_of_whom_nothing_is_known_give_no_posterior():
    votes, _ = planted(300, [[0.8, 0.8]] * 2)
    fitted = dawid_skene(votes)
    with pytest.raises(ValueError, match="judges whose reliability is known"):
        fit_posterior(votes, JUDGES[:2], fitted.p_a, reliability=fitted.reliability)


@pytest.mark.parametrize(
    ("target", "margins", "message"),
    [
        ([0.5], None, "target needs one chance"),
        ([1.2, 0.5], None, "target needs"),
        ([1, 0], [-1.0, 1.0], "margins are distances"),
    ],
)
def test_targets_and_margins_that_cannot_be_are_refused(target, margins, message):
    votes = Votes([0, 1], [0, 0], [True, True], [1, 1], 2, 2)
    with pytest.raises(ValueError, match=message):
        fit_posterior(votes, ["x", "y"], target, reliability=KNOWN, margins=margins)
