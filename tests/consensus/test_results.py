"""Results item by item, in and out of the store."""

from __future__ import annotations

import numpy as np
import pytest

from consensus.results import Result, add_results, results
from consensus.store import Store


@pytest.fixture
def store():
    with Store() as opened:
        yield opened


def result(item, value, **more):
    return Result(
        **{"checkpoint": "new", "cycle": "c", "metric": "win", "baseline": "old"} | more,
        item=item,
        prompt_id=f"of {item}",
        value=value,
    )


def test_results_come_back_in_columns_in_the_order_they_were_written(store):
    assert add_results(store, [result("b", 1.0, category="code"), result("a", 0.5)]) == 2
    found = results(store)
    assert found.item.tolist() == ["b", "a"]
    assert found.prompt_id.tolist() == ["of b", "of a"]
    assert found.category.tolist() == ["code", None]
    assert found.baseline.tolist() == ["old", "old"]
    assert found.value.dtype == np.float64
    assert found.where(found.value > 0.6).item.tolist() == ["b"]


def test_of_an_item_that_was_measured_again_the_last_result_counts(store):
    add_results(store, [result("a", 0.0), result("b", 0.0)])
    add_results(store, [result("a", 1.0)])
    add_results(store, [result("a", 0.25, baseline="older"), result("a", 0.75, baseline=None)])
    found = results(store)
    assert dict(zip(zip(found.item, found.baseline, strict=True), found.value, strict=True)) == {
        ("a", "old"): 1.0,
        ("b", "old"): 0.0,
        ("a", "older"): 0.25,
        ("a", None): 0.75,
    }


def test_cycle_checkpoint_and_metric_choose(store):
    add_results(
        store,
        [result("a", 1), result("a", 2, cycle="d"), result("a", 3, checkpoint="x"), result("a", 4, metric="length")],
    )
    assert results(store, cycle="d").value.tolist() == [2]
    assert results(store, cycle="c", checkpoint="x").value.tolist() == [3]
    assert results(store, metric="length").value.tolist() == [4]
    assert len(results(store, cycle="nobody")) == 0


def test_what_was_not_measured_is_no_result(store):
    with pytest.raises(ValueError, match="win of item 'a' is nan"):
        add_results(store, [result("a", float("nan"))])
    assert len(results(store)) == 0
    assert add_results(store, []) == 0
