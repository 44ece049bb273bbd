"""What was found about the judges, for those who use their labels. Facts are only ever added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consensus.store import Store
from consensus.tables import utc_now


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit that was kept.

    Attributes:
        votes: answers it rests on.
        figures: `judges` (by judge, by name) and `panel` (by name): `value`, `low`, `high` (95 % interval by prompt) and `n`; None
            where undefined. Names and units are those of `consensus audit`.
        at: UTC, without a zone.
    """

    votes: int
    figures: Mapping[str, Any]
    at: datetime


def keep(store: Store, cycle: str, votes: int, figures: Mapping[str, Any]) -> None:
    """Append an audit, unless it is the last one over again.

    Raises:
        ValueError: a figure is nan; what is undefined is None.
    """
    before = last(store, cycle)
    if before is None or (before.votes, before.figures) != (votes, figures):
        text = json.dumps(figures, ensure_ascii=False, allow_nan=False)
        store.db.execute("INSERT INTO audits VALUES (?, ?, ?, ?)", [cycle, votes, text, utc_now()])


def last(store: Store, cycle: str) -> Audited | None:
    """The cycle's last audit; None before the first."""
    row = store.db.execute(
        "SELECT votes, figures, created_at FROM audits WHERE cycle = ? ORDER BY rowid DESC LIMIT 1", [cycle]
    ).fetchone()
    return None if row is None else Audited(row[0], json.loads(row[1]), row[2])
