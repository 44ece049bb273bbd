"""What the store knows of batches: those on their way, their ballots, and what became of them. Steps are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consensus.errors import UsageError
from consensus.nouns import Ballot, Failure, Shown
from consensus.store import Store
from consensus.tables import utc_now

Step = Literal["uploaded", "sent", "doubted", "submitted", "collected", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests to one judge that are submitted together.

    Attributes:
        tag: our name for it, 16 hex digits.
        endpoint: the address it was, or was to be, submitted to.
        most_usd: US dollars it can cost at the most; None without a price.
        temperature: as sent; None when the model was asked without one.
        created_at, sent_at: UTC, without a zone. From `sent_at` on it may exist at the provider; before, it cannot.
        file_id: the provider's name of its requests, where those are uploaded first.
        doubted_at: since when whatever sent it is over without having learnt its id; None if it did, or may still.
        remote_id: the provider's name of the batch; None until it is known to exist.
    """

    tag: str
    judge: str
    config_hash: str
    endpoint: str
    requests: int
    most_usd: float | None
    temperature: float | None
    created_at: datetime
    file_id: str | None = None
    sent_at: datetime | None = None
    doubted_at: datetime | None = None
    remote_id: str | None = None

    @property
    def name(self) -> str:
        """The provider's name for it, or ours until it has one."""
        return self.remote_id or self.tag


class Batches:
    """The batches of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def plan(self, cycle: str, batch: Batch, ballots: Mapping[str, Ballot]) -> None:
        """Write down a batch before anything of it leaves the machine; from now on its ballots wait.

        Args:
            ballots: by their key on the wire.
        """
        rows = [
            {"tag": batch.tag, "key": key, "pair_id": b.pair_id, "shown": b.shown, "repeat": b.repeat}
            for key, b in ballots.items()
        ]
        row = [batch.tag, cycle, batch.judge, batch.config_hash, batch.endpoint, batch.requests]
        row += [batch.most_usd, batch.temperature, batch.created_at]
        with self._store.transaction():
            self._store.append("batch_ballots", rows)
            self._store.db.execute(f"INSERT INTO batches VALUES ({', '.join('?' * len(row))})", row)

    def step(self, tag: str, step: Step, detail: str | None = None) -> None:
        """Write down what became of a batch."""
        self._store.db.execute("INSERT INTO batch_steps VALUES (?, ?, ?, ?)", [tag, step, detail, utc_now()])

    def collected(self, cycle: str, batch: Batch, failures: Sequence[Failure], strays: Sequence[str]) -> None:
        """A batch is over and its votes are stored; with what else came of it, all of it or nothing.

        Args:
            failures: the ballots that brought no vote.
            strays: results under ids that the batch does not have.
        """
        with self._store.transaction():
            self._store.add_failures(cycle, {batch.judge: batch.config_hash}, failures)
            for line in strays:
                self._store.db.execute("INSERT INTO batch_strays VALUES (?, ?, ?)", [batch.tag, line, utc_now()])
            self.step(batch.tag, "collected")

    def forget(self, cycle: str, name: str) -> Batch:
        """Take a batch for one that does not exist: its ballots are open again.

        Args:
            name: ours or the provider's.
        Raises:
            UsageError: no open batch is called so.
        """
        found = {known: batch for batch in self.open(cycle) for known in (batch.tag, batch.remote_id)}
        if name not in found:
            names = ", ".join(batch.name for batch in self.open(cycle)) or "none"
            raise UsageError(f"cycle {cycle!r} has no open batch {name!r}; open are {names}")
        self.step(found[name].tag, "withdrawn", "forgotten by the user")
        return found[name]

    def open(self, cycle: str) -> list[Batch]:
        """The cycle's batches that are neither collected nor withdrawn, the oldest first."""
        rows = self._store.db.execute(
            "SELECT tag, judge, config_hash, endpoint, requests, most_usd, temperature, created_at, file_id, sent_at, "
            "doubted_at, remote_id FROM open_batches WHERE cycle = ? ORDER BY created_at, tag",
            [cycle],
        ).fetchall()
        return [Batch(*row) for row in rows]

    def ballots(self, cycle: str, batch: Batch) -> tuple[dict[str, Ballot], set[str]]:
        """A batch's ballots by their key on the wire, and the keys of those that have a vote."""
        rows = self._store.db.execute(
            "SELECT l.key, l.pair_id, l.shown, l.repeat, v.verdict IS NOT NULL FROM batch_ballots l LEFT JOIN "
            "(SELECT pair_id, shown, repeat, any_value(verdict) AS verdict FROM votes "
            "WHERE cycle = ? AND judge = ? AND config_hash = ? GROUP BY ALL) v USING (pair_id, shown, repeat) WHERE l.tag = ?",
            [cycle, batch.judge, batch.config_hash, batch.tag],
        ).fetchall()
        made = {key: Ballot(pair_id, batch.judge, Shown(shown), repeat) for key, pair_id, shown, repeat, _ in rows}
        return made, {row[0] for row in rows if row[-1]}

    def known_ids(self) -> set[str]:
        """The providers' names of all batches that were ever submitted from this store."""
        rows = self._store.db.execute("SELECT detail FROM batch_steps WHERE step = 'submitted'").fetchall()
        return {row[0] for row in rows}

    def waiting(self, cycle: str) -> int:
        """How many unanswered ballots are in open batches."""
        row = self._store.db.execute(
            "SELECT count(*) FROM waiting_ballots w WHERE cycle = ? AND NOT EXISTS (SELECT 1 FROM votes v "
            "WHERE v.cycle = w.cycle AND v.pair_id = w.pair_id AND v.judge = w.judge AND v.config_hash = w.config_hash "
            "AND v.shown = w.shown AND v.repeat = w.repeat)",
            [cycle],
        ).fetchone()
        return int(row[0]) if row else 0

    def reserved(self, cycle: str) -> float:
        """US dollars that the open batches can still cost at the most; those without a price count nothing."""
        return sum(batch.most_usd or 0.0 for batch in self.open(cycle))
