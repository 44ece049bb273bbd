"""What the store knows of calls made beside a cycle: tests of one pair, and looks at anchors. Facts are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consensus.nouns import Ballot, Shown, Verdict
from consensus.store import Store
from consensus.tables import utc_now


@dataclass(frozen=True, slots=True)
class AnchorSet:
    """Pairs kept as a reference.

    Attributes:
        number: of the set, from 1.
        cycle: whose votes are the reference.
        ballots: what every judge is asked at each look, repeat 0, in this order.
    """

    number: int
    cycle: str
    created_at: datetime
    ballots: tuple[Ballot, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """The anchors asked once more.

    Attributes:
        name: under which its votes stand in the table `votes`.
        cycle: whose judges were asked.
    """

    name: str
    cycle: str
    begun_at: datetime
    ended: bool


@dataclass(frozen=True, slots=True)
class AnchorVote:
    """A vote on an anchor, and who gave it."""

    ballot: Ballot
    verdict: Verdict
    served_by: str | None
    fingerprint: str | None
    config_hash: str


def pair_tests(cycle: str) -> str:
    """The name under which a cycle's tests of single pairs stand."""
    return f"{cycle} pair tests"


class Anchors:
    """The anchors and side runs of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, cycle: str, ballots: Sequence[Ballot]) -> AnchorSet:
        """Keep the cycle's votes so far, in these cells, as a reference."""
        number = int(self._rows("SELECT coalesce(max(number), 0) + 1 FROM anchors")[0][0])
        at = utc_now()
        rows = [
            {"number": number, "cycle": cycle, "place": place, "created_at": at}
            | {"pair_id": ballot.pair_id, "judge": ballot.judge, "shown": ballot.shown}
            for place, ballot in enumerate(ballots)
        ]
        with self._store.transaction():
            self._store.append("anchors", rows)
        return AnchorSet(number, cycle, at, tuple(ballots))

    def latest(self) -> AnchorSet | None:
        """The set that was kept last; None if there is none."""
        rows = self._rows(
            "SELECT number, cycle, created_at, pair_id, judge, shown FROM anchors "
            "WHERE number = (SELECT max(number) FROM anchors) ORDER BY place"
        )
        if not rows:
            return None
        number, cycle, at = rows[0][:3]
        return AnchorSet(number, cycle, at, tuple(Ballot(pair, judge, Shown(shown)) for *_, pair, judge, shown in rows))

    def next_look(self, cycle: str, kept: AnchorSet) -> str:
        """The name of the cycle's look at this set: the one that was begun and not ended, else that of a new one."""
        looks = self.looks(kept)
        if going := [look.name for look in looks if look.cycle == cycle and not look.ended]:
            return going[-1]
        return f"{cycle} anchors {kept.number}.{len(looks) + 1}"

    def begin(self, name: str, cycle: str, number: int | None = None) -> None:
        """Write down a side run before anything of it is asked; `number` is that of the anchors it looks at."""
        if not self._rows("SELECT 1 FROM side_runs WHERE name = ?", name):
            self._step(name, cycle, number, "begun")

    def end(self, name: str, cycle: str, number: int) -> None:
        """Every anchor was asked: the next look is a new one."""
        self._step(name, cycle, number, "ended")

    def looks(self, kept: AnchorSet) -> list[Look]:
        """All looks at a set, the first one first."""
        rows = self._rows(
            "SELECT name, any_value(cycle), min(created_at), bool_or(step = 'ended') FROM side_runs WHERE anchors = ? "
            "GROUP BY name ORDER BY min(rowid)",
            kept.number,
        )
        return [Look(*row) for row in rows]

    def reference(self, kept: AnchorSet) -> list[AnchorVote]:
        """The votes that the set keeps."""
        return self._votes(kept, "a.cycle", "AND v.created_at <= a.created_at")

    def votes(self, kept: AnchorSet, look: Look) -> list[AnchorVote]:
        """A look's votes, in the order of the anchors."""
        return self._votes(kept, "?", "", look.name)

    def _votes(self, kept: AnchorSet, cycle: str, until: str, *values: str) -> list[AnchorVote]:
        rows = self._rows(
            "SELECT v.pair_id, v.judge, v.shown, v.repeat, v.verdict, v.served_by, v.fingerprint, v.config_hash "
            f"FROM anchors a JOIN votes v ON v.cycle = {cycle} AND v.pair_id = a.pair_id AND v.judge = a.judge "
            f"AND v.shown = a.shown {until} WHERE a.number = ? ORDER BY a.place, v.repeat, v.created_at",
            *values,
            kept.number,
        )
        return [
            AnchorVote(Ballot(pair, judge, Shown(shown), repeat), Verdict(verdict), served_by, fingerprint, config_hash)
            for pair, judge, shown, repeat, verdict, served_by, fingerprint, config_hash in rows
        ]

    def _step(self, name: str, cycle: str, number: int | None, step: str) -> None:
        row = [name, cycle, number, step, utc_now()]
        self._store.db.execute("INSERT INTO side_runs VALUES (?, ?, ?, ?, ?)", row)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._store.db.execute(sql, list(values)).fetchall()
