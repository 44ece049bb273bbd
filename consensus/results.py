"""What an evaluation measured of a checkpoint, item by item: what the gate compares, and every score is computed from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consensus.store import Store
from consensus.tables import utc_now

Names = NDArray[np.object_]
_COLUMNS = ("cycle", "checkpoint", "metric", "item", "prompt_id", "category", "value", "baseline")


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement of one checkpoint.

    Attributes:
        metric: e.g. `reward_correct` (1, 0, or .5 for a tie, per held-out pair), `win` (the same, against `baseline`), `length`.
        item: what was measured, the same for every checkpoint: a pair's id, a prompt's.
        prompt_id: items that share it are not independent.
        value: finite, in the metric's unit.
        baseline: the checkpoint that it was compared with directly, for which a value of .5 says "equal"; None where the
            checkpoint was measured by itself.
        details: whatever explains the value.
    """

    checkpoint: str
    cycle: str
    metric: str
    item: str
    prompt_id: str
    value: float
    category: str | None = None
    baseline: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Results in columns, each of shape [n], in the order in which they were written.

    Attributes:
        category, baseline: None where there is none.
    """

    cycle: Names
    checkpoint: Names
    metric: Names
    item: Names
    prompt_id: Names
    category: Names
    value: NDArray[np.float64]
    baseline: Names

    def __len__(self) -> int:
        return len(self.value)

    def where(self, rows: NDArray[Any]) -> Results:
        """The rows at these places, or those where a mask is true."""
        return Results(*(getattr(self, name)[rows] for name in _COLUMNS))


def add_results(store: Store, measured: Iterable[Result]) -> int:
    """Append results; how many. Measured again, an item's last result counts.

    Raises:
        ValueError: a value is not finite; an item that could not be measured has no result.
    """
    at = utc_now()
    rows = []
    for each in measured:
        if not isfinite(each.value):
            raise ValueError(
                f"the {each.metric} of item {each.item!r} is {each.value}: leave out what was not measured"
            )
        row = {name: getattr(each, name) for name in _COLUMNS}
        rows.append(row | {"details": json.dumps(dict(each.details), ensure_ascii=False), "created_at": at})
    with store.transaction():
        store.append("results", rows)
    return len(rows)


def results(
    store: Store, *, cycle: str | None = None, checkpoint: str | None = None, metric: str | None = None
) -> Results:
    """The results of a cycle, a checkpoint, a metric, or of all; of each item the last one."""
    asked = {"cycle": cycle, "checkpoint": checkpoint, "metric": metric}
    given = {name: value for name, value in asked.items() if value is not None}
    condition = " AND ".join(f"{name} = ?" for name in given) or "true"
    columns = ", ".join(_COLUMNS)
    table = (
        store.db.cursor()
        .sql(
            f"WITH found AS (SELECT {columns}, rowid AS place FROM results WHERE {condition}) SELECT {columns} FROM found "
            "QUALIFY row_number() OVER (PARTITION BY cycle, checkpoint, metric, item, baseline ORDER BY place DESC) = 1 "
            "ORDER BY place",
            params=list(given.values()),
        )
        .to_arrow_table()
    )
    return Results(*(table[name].to_numpy(zero_copy_only=False) for name in _COLUMNS))
