"""Is one checkpoint better: both tests must say so."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from consensus.statistics.paired import Verdict, level_of, paired, verdict

ROWS = st.lists(st.tuples(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), st.integers(0, 9)), min_size=1, max_size=60)


def compared(differences, prompts, **more):
    return paired(differences, prompts, rng=np.random.default_rng(1), **more)


def drawn(seed, effect, prompts=120):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, prompts)
    place = np.repeat(np.arange(prompts), sizes)
    return rng.normal(effect, 0.5, prompts)[place] + rng.normal(0, 0.5, len(place)), place


@given(ROWS, st.sampled_from([0.0, 0.1, -0.3]))
def test_swapping_the_checkpoints_turns_the_verdict_over(rows, margin):
    differences, prompts = (np.array(column) for column in zip(*rows, strict=True))
    one = verdict(compared(differences, prompts, margin=margin), margin=margin)
    other = verdict(compared(-differences, prompts, margin=-margin), margin=-margin)
    turned = {Verdict.PROMOTE: Verdict.REJECT, Verdict.REJECT: Verdict.PROMOTE}
    assert other == turned.get(one, one)


@given(st.integers(0, 100), st.floats(-0.3, 0.3))
def test_only_the_distance_to_the_margin_decides(seed, shift):
    differences, prompts = drawn(seed, 0.1, 30)
    here, there = compared(differences, prompts), compared(differences + shift, prompts, margin=shift)
    assert here.p == pytest.approx(there.p)
    assert verdict(here) == verdict(there, margin=shift)


@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_the_cluster_robust_one_of_statsmodels(seed):
    """Statistics O16: statsmodels' is ours times sqrt((G - 1)/G) without its correction, and ours with G/(G - 1)."""
    differences, prompts = drawn(seed, 0.2)
    found = compared(differences, prompts)
    fit = sm.OLS(differences, np.ones(len(differences))).fit(
        cov_type="cluster", cov_kwds={"groups": prompts, "use_correction": False}, use_t=True
    )
    assert found.mean.error * np.sqrt(119 / 120) == pytest.approx(fit.bse[0], rel=1e-12)
    n = len(differences)
    corrected = sm.OLS(differences, np.ones(n)).fit(
        cov_type="cluster", cov_kwds={"groups": prompts, "df_correction": True}, use_t=True
    )  # their small-sample factor has (n - 1)/(n - k) beside G/(G - 1), which for a mean is 1
    assert found.mean.error == pytest.approx(corrected.bse[0], rel=1e-12)
    assert found.p == pytest.approx(corrected.pvalues[0], rel=1e-9)
    assert (found.effect.low, found.effect.high) == pytest.approx(corrected.conf_int()[0], rel=1e-9)


def test_one_item_per_prompt_is_students_test_and_has_no_design_effect():
    x = np.random.default_rng(2).gamma(2.0, size=40)
    found = compared(x, np.arange(40), margin=1.5)
    assert found.p == pytest.approx(ttest_1samp(x, 1.5).pvalue)
    assert found.design_effect == pytest.approx(1)


def test_items_that_say_the_same_as_their_prompt_have_its_size_as_design_effect():
    one = np.random.default_rng(3).normal(size=200)
    found = compared(np.repeat(one, 4), np.repeat(np.arange(200), 4))
    assert found.design_effect == pytest.approx(4, rel=0.01)


def test_a_planted_gain_is_promoted_a_planted_loss_rejected_and_nothing_is_inconclusive():
    assert verdict(compared(*drawn(4, 0.4))) == Verdict.PROMOTE
    assert verdict(compared(*drawn(4, -0.4))) == Verdict.REJECT
    assert verdict(compared(*drawn(5, 0.0))) == Verdict.INCONCLUSIVE
    assert verdict(compared(*drawn(4, 0.4), margin=0.8), margin=0.8) == Verdict.REJECT


def test_five_prompts_that_all_gain_are_not_enough_for_the_sign_flips():
    """t is sure; but of 32 patterns two are as far out, which is more than 5 %."""
    found = compared([0.9, 1.0, 1.1, 1.0, 0.95], range(5))
    assert found.effect.low > 0
    assert found.sign_flip_p == pytest.approx(2 / 32)
    assert verdict(found) == Verdict.INCONCLUSIVE


def test_differences_that_are_all_the_same_or_of_one_prompt_decide_nothing():
    one_win_one_loss = ([1.0, -1.0] * 20, np.repeat(np.arange(20), 2))  # no prompt differs from another
    for differences, prompts in (
        one_win_one_loss,
        ([0.5] * 40, range(40)),
        ([0.0] * 40, range(40)),
        ([1, 0, 1], [0, 0, 0]),
        ([], []),
    ):
        found = compared(differences, prompts)
        assert isnan(found.effect.low)
        assert isnan(found.p)
        assert isnan(found.design_effect)
        assert verdict(found) == Verdict.INCONCLUSIVE


def test_a_critical_value_is_a_level():
    assert level_of(1.959963984540054) == pytest.approx(0.95)
    assert compared(*drawn(6, 0.1), critical=np.inf).effect.high == np.inf
