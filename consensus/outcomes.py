"""Outcomes: what production measured of a checkpoint, by request or as a mean. Facts are only ever added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from consensus.store import Store
from consensus.tables import utc_now

if TYPE_CHECKING:
    import pyarrow as pa

JUDGED = "EVAL"
"""The source of scores by LLM judges in Langfuse's exports: as outcomes they would make every comparison circular."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What production measured.

    Attributes:
        checkpoint: the model that served; or a cycle, for the checkpoint that it made.
        metric: as production calls it, e.g. `tool_use_accuracy`.
        value: of one request, or the mean of `n`; finite, in the metric's unit.
        n: requests that it is the mean of; None where that is not known.
        request_id: None for a mean.
        at: when it was so, with a zone; means of different times are of different requests.
        source: who said it.
        conversation_id: requests of one conversation are not independent.
    """

    checkpoint: str
    metric: str
    value: float
    n: int | None = 1
    request_id: str | None = None
    at: datetime | None = None
    source: str = "file"
    conversation_id: str | None = None


def add_outcomes(store: Store, outcomes: Iterable[Outcome]) -> int:
    """Append outcomes in one transaction; what is stored already is not added again. How many were new."""
    at = utc_now()
    batch = store.as_table("outcomes", [_row(outcome) | {"created_at": at} for outcome in outcomes])
    key = ("checkpoint", "metric", "value", "n", "request_id", "conversation_id", "measured_at")
    same = " AND ".join(f"o.{name} IS NOT DISTINCT FROM b.{name}" for name in key)
    with store.transaction():
        store.db.register("batch", batch)
        new = store.db.execute(
            f"INSERT INTO outcomes SELECT b.* FROM (SELECT DISTINCT ON ({', '.join(key)}) * FROM batch) b "
            f"ANTI JOIN outcomes o ON {same}"
        ).fetchone()
        store.db.unregister("batch")
    return new[0] if new else 0


def outcomes(store: Store) -> pa.Table:
    """Every outcome that counts, in columns, with what the traces' own outcomes say of the models that answered.

    `checkpoint`, `metric`, `value`, `n` (null where unknown), `request_id` (null: a mean), `cluster` (its conversation, else
    the request), `measured_at` (UTC), `source`, and `weight`: of one among sampled traces, the calls that it stands for.
    """
    sql = "SELECT * FROM known_outcomes ORDER BY checkpoint, metric, measured_at, request_id"
    return store.db.cursor().sql(sql).to_arrow_table()


def _row(outcome: Outcome) -> dict[str, Any]:
    row = {name: getattr(outcome, name) for name in outcome.__dataclass_fields__ if name != "at"}
    return row | {"measured_at": outcome.at and outcome.at.astimezone(UTC).replace(tzinfo=None)}
