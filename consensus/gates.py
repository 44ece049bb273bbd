"""What the gate said so far: it may only look so often, and looking twice at the same results is one look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from consensus.statistics.sequential import Look
from consensus.store import Store
from consensus.tables import utc_now


@dataclass(frozen=True, slots=True)
class Contest:
    """What is decided: whether a checkpoint is better than a baseline."""

    cycle: str
    checkpoint: str
    baseline: str
    metric: str

    @property
    def key(self) -> list[str]:
        """As the table `gates` has it."""
        return [self.cycle, self.checkpoint, self.baseline, self.metric]


def looks_before(store: Store, contest: Contest, data_hash: str) -> list[Look]:
    """The looks that were taken before these results were first looked at, the first one first.

    A look that was asked more than once, by other settings, counts as the most lenient of them.
    """
    rows = store.db.execute(
        "SELECT look, any_value(prompts), min(critical), max(spent), bool_or(data_hash = ?) FROM gates "
        "WHERE cycle = ? AND checkpoint = ? AND baseline = ? AND metric = ? GROUP BY look ORDER BY look",
        [data_hash, *contest.key],
    ).fetchall()
    looks = []
    for _, prompts, critical, spent, same in rows:
        if same:
            break
        looks.append(Look(float(prompts), inf if critical is None else critical, spent))
    return looks


@dataclass(frozen=True, slots=True)
class Said:
    """A decision that was kept.

    Attributes:
        verdict: promote, reject or inconclusive.
        look: its number, from 1.
        effect: the gain: `value`, `low`, `high` (95 %), None where unknown.
        shares: whether it is one of shares.
        at: UTC, without a zone.
    """

    contest: Contest
    verdict: str
    look: int
    prompts: int
    effect: Mapping[str, float | None]
    shares: bool
    at: datetime


def decisions(store: Store) -> list[Said]:
    """The last decision on every contest, in the order in which these were made."""
    rows = store.db.execute(
        "SELECT cycle, checkpoint, baseline, metric, verdict, look, prompts, details, created_at FROM gates ORDER BY rowid"
    ).fetchall()
    found: dict[Contest, Said] = {}
    for *key, verdict, look, prompts, details, at in rows:
        told, contest = json.loads(details), Contest(*key)
        found.pop(contest, None)
        found[contest] = Said(contest, verdict, look, prompts, told["effect"], bool(told.get("shares", True)), at)
    return list(found.values())


def keep(
    store: Store, contest: Contest, look: Look, *, number: int, data_hash: str, verdict: str, details: Mapping[str, Any]
) -> None:
    """Append a decision."""
    critical = None if look.critical == inf else look.critical
    row: list[Any] = [*contest.key, number, data_hash, int(look.information), critical, look.spent, verdict]
    row += [json.dumps(details, ensure_ascii=False), utc_now()]
    store.db.execute(f"INSERT INTO gates VALUES ({', '.join('?' * len(row))})", row)
