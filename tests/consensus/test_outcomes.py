"""Outcomes: kept once, the last word on a request counts, and no judge's opinion is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from consensus.outcomes import Outcome, add_outcomes, outcomes
from consensus.prompt_store import Prompts
from consensus.prompts import Prompt
from consensus.store import Store

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
ONE = Outcome("one", "solved", 1.0, request_id="r1")
MEAN = Outcome("one", "csat", 0.8, n=500, at=MONDAY)
ABOUT = {"drawn": {}, "read": {}, "masked": {}}


def found(store, *names):
    return [tuple(row[name] for name in names) for row in outcomes(store).to_pylist()]


def prompt(said, *, model="one", number=1, **fields):
    known = [{"name": "solved", "value": True, "source": "API"} | one for one in said]
    message = [{"role": "user", "content": f"question {number}"}]
    ids = {"span_id": f"s{number}", "trace_id": f"t{number}", "conversation_id": "talk"}
    return Prompt(f"p{number}", message, outcomes=known, model=model, **ids | fields)


def test_adding_the_same_outcomes_twice_adds_nothing():
    given = [ONE, MEAN, replace(MEAN, at=None), replace(ONE, conversation_id="c"), Outcome("two", "x", 2.5, n=None)]
    with Store() as store:
        assert add_outcomes(store, [*given, ONE]) == len(given)
        assert add_outcomes(store, given) == 0


def test_the_last_word_on_a_request_counts():
    with Store() as store:
        add_outcomes(store, [ONE])
        add_outcomes(store, [replace(ONE, value=0.0)])
        assert found(store, "request_id", "value") == [("r1", 0.0)]


def test_of_two_words_with_times_the_later_counts_in_whatever_order_they_come():
    later = replace(ONE, value=0.0, at=MONDAY + timedelta(days=1))
    with Store() as store:
        add_outcomes(store, [later, replace(ONE, at=MONDAY)])
        assert found(store, "value") == [(0.0,)]


def test_means_of_different_times_are_of_different_requests():
    with Store() as store:
        add_outcomes(store, [MEAN, replace(MEAN, value=0.7, at=MONDAY + timedelta(days=7))])
        assert found(store, "value") == [(0.8,), (0.7,)]


def test_times_are_kept_in_utc():
    with Store() as store:
        add_outcomes(store, [replace(MEAN, at=datetime(2026, 3, 2, 3, tzinfo=timezone(timedelta(hours=2))))])
        assert found(store, "measured_at") == [(datetime(2026, 3, 2, 1),)]  # noqa: DTZ001 - as the store has it


def test_what_production_said_in_the_traces_counts_for_the_model_that_answered():
    with Store() as store:
        Prompts(store).keep("july", [prompt([{}, {"name": "csat", "value": 0.25}], weight=4.0)], ABOUT)
        names = ("checkpoint", "metric", "value", "n", "request_id", "cluster", "weight")
        assert found(store, *names) == [
            ("one", "csat", 0.25, 1, "s1", "talk", 4.0),
            ("one", "solved", 1.0, 1, "s1", "talk", 4.0),
        ]


@pytest.mark.parametrize("said", [{"source": "EVAL"}, {"source": "eval"}, {"value": "good"}, {"value": "0.9"}])
def test_what_a_judge_said_and_what_is_no_number_is_no_outcome(said):
    with Store() as store:
        Prompts(store).keep("july", [prompt([said])], ABOUT)
        assert found(store, "value") == []


def test_without_the_name_of_the_model_an_outcome_is_nobodys():
    with Store() as store:
        Prompts(store).keep("july", [prompt([{}], model=None)], ABOUT)
        assert found(store, "value") == []


def test_a_trace_that_two_cycles_sampled_counts_once():
    with Store() as store:
        Prompts(store).keep("july", [prompt([{}])], ABOUT)
        Prompts(store).keep("august", [prompt([{}]), prompt([{"value": False}], number=2)], ABOUT)
        assert found(store, "request_id", "value") == [("s1", 1.0), ("s2", 0.0)]


@pytest.mark.parametrize("name", ["s1", "t1"])
def test_a_files_word_on_a_request_goes_before_that_of_its_trace(name):
    with Store() as store:
        Prompts(store).keep("july", [prompt([{}])], ABOUT)
        add_outcomes(store, [Outcome("one", "solved", 0.0, request_id=name)])
        assert found(store, "request_id", "value") == [(name, 0.0)]
