"""Eval against production: what was planted is found, and nothing is claimed that so few checkpoints cannot show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isnan, nan

import numpy as np
import pytest
from scipy.stats import spearmanr
from statsmodels.stats.proportion import proportion_confint

from consensus.outcomes import Outcome, add_outcomes, outcomes
from consensus.prompt_store import Prompts
from consensus.prompts import Prompt
from consensus.scores import Score
from consensus.store import Store
from evaluation.production.points import series
from evaluation.production.prediction import production
from evaluation.production.rates import rates
from tests.evaluation.made_history import measured, score

METRIC = "tool_use_accuracy"


def rates_of(given):
    with Store() as store:
        add_outcomes(store, given)
        return rates(outcomes(store))


def predicted(correlations, **how):
    scores, given = measured(correlations, **how)
    return production(scores, rates_of(given))


# -- rates -----------------------------------------------------------------------------------------------------------


def test_the_rate_of_independent_requests_has_wilsons_interval_at_whole_conversations_quantile():
    rng = np.random.default_rng(0)
    given = [Outcome("m", "solved", float(rng.random() < 0.8), request_id=str(k)) for k in range(4000)]
    (rate,) = rates_of(given)
    share = np.mean([one.value for one in given])
    low, high = proportion_confint(share * 4000, 4000, method="wilson")
    assert (rate.figure.value, rate.figure.n, rate.basis) == (pytest.approx(share), 4000, "4,000 requests")
    assert (rate.figure.low, rate.figure.high) == pytest.approx((low, high), abs=2e-5)


def test_requests_of_one_conversation_are_not_independent():
    given = [
        Outcome("m", "solved", float(talk % 5 > 0), request_id=f"{talk}.{k}", conversation_id=str(talk))
        for talk in range(50)
        for k in range(10)
    ]
    (together,), (apart,) = rates_of(given), rates_of([replace(one, conversation_id=None) for one in given])
    assert together.figure.value == apart.figure.value
    assert together.figure.high - together.figure.low > 2.5 * (apart.figure.high - apart.figure.low)
    assert together.basis == "500 requests in 50 conversations"


def test_a_mean_with_n_has_wilsons_interval_and_one_without_has_none():
    (known,), (unknown,) = rates_of([Outcome("m", "x", 0.8, n=500)]), rates_of([Outcome("m", "x", 0.8, n=None)])
    assert (known.figure.low, known.figure.high) == pytest.approx(proportion_confint(400, 500, method="wilson"))
    assert isnan(unknown.figure.low)
    assert "how many requests" in unknown.figure.reason


def test_means_of_several_times_count_by_their_requests():
    at = datetime(2026, 3, 2, tzinfo=UTC)
    given = [Outcome("m", "x", 0.8, n=300, at=at), Outcome("m", "x", 0.6, n=100, at=at + timedelta(days=7))]
    (rate,) = rates_of(given)
    assert (rate.figure.value, rate.figure.n) == (pytest.approx(0.75), 400)


def test_means_beside_single_requests_are_left_out():
    given = [Outcome("m", "x", 0.1, n=10_000), *(Outcome("m", "x", 1.0, request_id=str(k)) for k in range(20))]
    (rate,) = rates_of(given)
    assert (rate.figure.value, rate.figure.n) == (1.0, 20)


def test_what_is_no_share_has_an_interval_from_requests_alone():
    given = [Outcome("m", "turns", float(k % 4), request_id=str(k)) for k in range(40)]
    (of_requests,), (of_mean,) = rates_of(given), rates_of([Outcome("m", "turns", 1.5, n=40)])
    assert of_requests.figure.value == of_mean.figure.value == 1.5
    assert of_requests.figure.bounded
    assert not of_mean.figure.bounded
    assert not of_mean.share


def test_outcomes_of_sampled_traces_weigh_as_they_were_sampled():
    with Store() as store:
        prompts = [
            Prompt(
                f"p{k}",
                [{"role": "user", "content": str(k)}],
                model="m",
                trace_id=str(k),
                weight=9.0 if k < 10 else 1.0,
            )
            for k in range(20)
        ]
        said = [
            replace(p, outcomes=[{"name": "solved", "value": k < 10, "source": "API"}]) for k, p in enumerate(prompts)
        ]
        Prompts(store).keep("july", said, {"drawn": {}, "read": {}, "masked": {}})
        (rate,) = rates(outcomes(store))
    assert rate.figure.value == pytest.approx(0.9)
    assert rate.basis == "20 requests, weighed as they were sampled"


# -- what predicts ---------------------------------------------------------------------------------------------------


def test_a_history_of_twelve_cycles_gives_the_planted_correlations_back_and_claims_no_difference():
    found = predicted({"win_rate": 0.78, "reward_accuracy": 0.31})
    strong, weak = found.predictions
    assert strong.correlation.value == pytest.approx(0.78, abs=0.01)
    assert weak.correlation.value == pytest.approx(0.31, abs=0.01)
    assert (strong.correlation.low, strong.correlation.high) == pytest.approx((0.29, 0.95), abs=0.015)
    assert weak.correlation.low < 0 < weak.correlation.high
    assert (strong.found, weak.found) == ("follows", "open")
    (difference,) = found.differences
    assert difference.difference.value == pytest.approx(0.47, abs=0.01)
    assert difference.difference.low < 0 < difference.difference.high
    assert not difference.claimed


@pytest.mark.parametrize("n", [3, 5])
def test_below_six_checkpoints_there_is_no_interval_and_below_eight_no_claim(n):
    (found,) = predicted({"win_rate": 1.0}, n=n).predictions
    assert isnan(found.correlation.low)
    assert (found.found, found.p, found.p_holm) == (
        "too few",
        pytest.approx(nan, nan_ok=True),
        pytest.approx(nan, nan_ok=True),
    )


@pytest.mark.parametrize("n", [6, 7])
def test_with_six_or_seven_there_is_an_interval_and_still_no_claim(n):
    found = predicted({"win_rate": 0.82, "length": -0.8}, n=n)
    assert {each.found for each in found.predictions} == {"too few"}
    assert all(each.correlation.bounded for each in found.predictions)
    assert not any(each.claimed for each in found.differences)


def test_the_more_metrics_are_tried_the_more_a_correlation_must_show():
    alone = predicted({"win_rate": 0.66}).predictions[0]
    among = predicted({"win_rate": 0.66} | {f"metric {k}": 0.1 for k in range(9)}).predictions[0]
    assert alone.found == "follows"
    assert among.found == "open"
    assert among.p_holm == pytest.approx(min(1, 10 * among.p))


def test_production_may_go_against_a_metric():
    (found,) = predicted({"mean_length": -0.85}).predictions
    assert found.found == "opposes"


def test_leaving_out_one_checkpoint_shows_a_correlation_that_a_single_one_carries():
    scores, given = measured({"win_rate": 0.0}, n=8)
    far = [replace(one, value=0.99) if one.checkpoint == "run-01" else one for one in given]
    (found,) = production(scores, rates_of(far)).predictions
    assert set(found.without) == {point.checkpoint for point in found.points}
    x, y = (
        [getattr(p, side).value for p in found.points if p.checkpoint != "run-01"] for side in ("offline", "production")
    )
    assert found.without["run-01"] == pytest.approx(spearmanr(x, y).statistic)
    assert found.range_without[0] < found.correlation.value < found.range_without[1]


def test_noise_of_measuring_is_reported_beside_the_correlation_and_what_corrects_for_it_is_never_cut():
    clean, noisy = (predicted({"win_rate": 0.9}, half=half).predictions[0] for half in (0.005, 0.13))
    assert clean.correlation.value == noisy.correlation.value
    assert 0.9 < clean.corrected < 0.93
    assert noisy.offline_reliability < 0.5
    assert noisy.corrected > 1


def test_a_rise_over_time_on_both_sides_shows_in_that_the_steps_do_not_go_together():
    rng = np.random.default_rng(4)
    rise, steps = np.linspace(0, 0.3, 12), 0.01 * rng.standard_normal((2, 12))
    scores = [score(k, "win_rate", 0.5 + value) for k, value in enumerate(rise + steps[0])]
    given = [Outcome(f"run-{k + 1:02d}", METRIC, 0.6 + value, n=900) for k, value in enumerate(rise + steps[1])]
    (found,) = production(scores, rates_of(given)).predictions
    assert found.correlation.value > 0.95
    assert found.steps.low < 0 < found.steps.high


def test_scores_against_a_baseline_of_their_own_are_held_against_what_production_gained():
    values = [0.50, 0.52, 0.57, 0.58, 0.66, 0.67, 0.75, 0.76, 0.85]
    given = [Outcome(f"run-{k + 1:02d}", METRIC, value, n=500) for k, value in enumerate(values)]
    gains = np.diff(values)
    scores = [score(k + 1, "win_rate", 0.5 + gain, baseline=f"run-{k + 1:02d}") for k, gain in enumerate(gains)]
    (found,) = production(scores, rates_of(given)).predictions
    assert [point.production.value for point in found.points] == pytest.approx(gains)
    assert found.correlation.value == pytest.approx(1)
    assert found.title == "win rate against its baseline"


def test_checkpoints_compared_with_one_baseline_are_a_series_of_their_own():
    scores = [score(k, "win_rate", 0.5 + k / 20, baseline="base") for k in range(4)]
    scores += [score(k, "win_rate", 0.5, baseline=f"run-{k:02d}") for k in range(2)]
    assert [(each.title, len(each.scores)) for each in series(scores)] == [
        ("win rate against base", 4),
        ("win rate against its baseline", 2),
    ]


def test_an_outcome_of_a_cycle_is_that_of_the_checkpoint_it_made():
    scores, given = measured({"win_rate": 0.78})
    by_cycle = [replace(one, checkpoint=one.checkpoint.replace("run", "cycle")) for one in given]
    assert (
        production(scores, rates_of(by_cycle)).predictions[0].points
        == production(scores, rates_of(given)).predictions[0].points
    )


def test_what_was_measured_twice_of_a_checkpoint_counts_as_it_was_measured_last():
    scores, given = measured({"win_rate": 0.5}, n=4)
    later = replace(scores[0], cycle="cycle-09", value=0.99)
    found = production([*scores, later], rates_of(given)).predictions[0]
    assert [point.offline.value for point in found.points if point.checkpoint == "run-01"] == [0.99]


def test_without_outcomes_or_scores_nothing_is_said():
    scores, given = measured({"win_rate": 0.5}, n=4)
    assert production(scores, []).predictions == ()
    assert production([], rates_of(given)).predictions == ()
    assert len(production([], rates_of(given)).rates) == 4


def test_checkpoints_that_are_all_the_same_offline_have_no_correlation_and_a_reason():
    scores = [Score(f"run-{k + 1:02d}", "c", "win_rate", 0.5, 0.4, 0.6, 10, 10) for k in range(9)]
    given = [Outcome(f"run-{k + 1:02d}", METRIC, k / 10, n=100) for k in range(9)]
    (found,) = production(scores, rates_of(given)).predictions
    assert isnan(found.correlation.value)
    assert found.correlation.reason.startswith("undefined")
    assert found.found == "open"
