"""Scores are kept over all cycles, and of the same thing the last one counts."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan, nan

import pytest

from consensus.scores import Score, add_scores, scores
from consensus.store import Store

SCORE = Score("one", "july", "win_rate", 0.55, 0.48, 0.62, n=200, clusters=120, baseline="base", details={"ties": 3})


def test_a_score_comes_back_as_it_was_kept():
    with Store() as store:
        add_scores(store, [SCORE])
        assert scores(store) == [SCORE]


def test_of_the_same_checkpoint_cycle_metric_and_baseline_the_last_score_counts_and_keeps_its_place():
    others = [replace(SCORE, metric="length"), replace(SCORE, cycle="august"), replace(SCORE, baseline=None)]
    with Store() as store:
        add_scores(store, [SCORE, *others])
        add_scores(store, [better := replace(SCORE, value=0.6)])
        assert scores(store) == [better, *others]


def test_scores_are_found_by_cycle_and_by_checkpoint():
    august, two = replace(SCORE, cycle="august"), replace(SCORE, checkpoint="two")
    with Store() as store:
        add_scores(store, [SCORE, august, two])
        assert scores(store, cycle="august") == [august]
        assert scores(store, checkpoint="two") == [two]
        assert scores(store, cycle="august", checkpoint="two") == []


def test_bounds_and_details_that_are_not_known_stay_unknown():
    with Store() as store:
        add_scores(store, [replace(SCORE, low=nan, high=nan, details={"categories": [{"low": nan, "n": 0}]})])
        (found,) = scores(store)
    assert isnan(found.low)
    assert isnan(found.high)
    assert found.details == {"categories": [{"low": None, "n": 0}]}


@pytest.mark.parametrize("value", [nan, inf])
def test_what_is_not_known_is_no_score_and_nothing_of_its_batch_is_kept(value):
    with Store() as store:
        with pytest.raises(ValueError, match="the win_rate of one"):
            add_scores(store, [SCORE, replace(SCORE, value=value)])
        assert scores(store) == []
