"""What the store keeps between traces and pairs: prompts, completions, and which prompts were paired."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from consensus.errors import UsageError
from consensus.nouns import Failure, digest
from consensus.prompts import (
    PROMPT_COLUMNS,
    Completion,
    Draw,
    Drawn,
    Message,
    Paired,
    Prompt,
    as_json,
    completion_row,
    failure_row,
    prompt_of,
    prompt_row,
)
from consensus.sections.generation import Generation
from consensus.store import CHUNK, Store
from consensus.tables import utc_now


class Prompts:
    """The prompts of a store, and their completions."""

    def __init__(self, store: Store) -> None:
        self._store, self._db = store, store.db

    # -- prompts -----------------------------------------------------------------------------------------------------

    def count(self, cycle: str) -> int:
        """How many prompts the cycle has."""
        return int(self._one("SELECT count(*) FROM prompts WHERE cycle = ?", cycle))

    def keep(self, cycle: str, prompts: Sequence[Prompt], about: Mapping[str, Any]) -> bool:
        """Make this sample the cycle's; whether it is another one than before.

        Args:
            about: `drawn`, `read` and `masked`, as the table `samples` has them.
        Raises:
            UsageError: completions were drawn for another sample.
        """
        at = utc_now()
        rows = [prompt_row(cycle, prompt, at) for prompt in prompts]
        content = digest([[str(row[name]) for name in PROMPT_COLUMNS] for row in rows])
        known = "SELECT content_hash FROM samples WHERE cycle = ? ORDER BY rowid DESC LIMIT 1"
        before = self._one(known, cycle)
        note = [cycle, content, *(as_json(about[name]) for name in ("drawn", "read", "masked")), at]
        if before == content:  # perhaps drawn by other settings, which is noted
            self._db.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", note)
            return False
        if before and self._one("SELECT 1 FROM completions WHERE cycle = ? LIMIT 1", cycle):
            raise UsageError(
                f"cycle {cycle!r} has completions for prompts that were sampled or masked differently; mixing the two would "
                "leave them without a meaning: give the new cycle a name of its own (cycle.name=...), or change the files and "
                "'input:' back"
            )
        with self._store.transaction():
            self._db.execute("DELETE FROM prompts WHERE cycle = ?", [cycle])
            self._store.append("prompts", rows)
            self._db.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", note)
        return True

    def sample(self, cycle: str) -> dict[str, Any] | None:
        """How the cycle's prompts were drawn, what came of the files, and what was masked; None before."""
        row = self._db.execute(
            "SELECT drawn, read, masked FROM samples WHERE cycle = ? ORDER BY rowid DESC LIMIT 1", [cycle]
        ).fetchone()
        return None if row is None else dict(zip(("drawn", "read", "masked"), map(json.loads, row), strict=True))

    def all(self, cycle: str) -> Iterator[Prompt]:
        """The cycle's prompts in the order they were drawn."""
        result = self._db.cursor().execute(
            f"SELECT {', '.join(PROMPT_COLUMNS)} FROM prompts WHERE cycle = ? ORDER BY rowid",
            [cycle],
        )
        while rows := result.fetchmany(CHUNK):
            yield from map(prompt_of, rows)

    # -- completions -------------------------------------------------------------------------------------------------

    def begin(self, cycle: str, generation: Generation) -> None:
        """Note the model that is asked.

        Raises:
            UsageError: the cycle has completions that were drawn differently.
        """
        new = generation.identity()
        sql = "SELECT config_hash, config FROM generators WHERE cycle = ? ORDER BY rowid DESC LIMIT 1"
        row = self._db.execute(sql, [cycle]).fetchone()
        if row and row[0] == generation.config_hash:
            return
        if row and self._one("SELECT 1 FROM completions WHERE cycle = ? LIMIT 1", cycle):
            old = json.loads(row[1])
            lines = [f"  {k}: {old.get(k)} before, {new[k]} now" for k in sorted(new) if old.get(k) != new[k]]
            raise UsageError(
                "\n".join(
                    [
                        f"cycle {cycle!r} has completions that were drawn differently:",
                        *lines,
                        "give the new cycle a name of its own (cycle.name=...), or change these back",
                    ]
                )
            )
        values = [cycle, generation.label, generation.config_hash, as_json(new), utc_now()]
        self._db.execute("INSERT INTO generators VALUES (?, ?, ?, ?, ?)", values)

    def add(self, cycle: str, config_hash: str, results: Sequence[Completion | Failure[Draw]]) -> None:
        """Append completions and failures in one transaction; what is stored already is never asked."""
        done = [completion_row(cycle, config_hash, r) for r in results if isinstance(r, Completion)]
        failed = [failure_row(cycle, config_hash, r) for r in results if isinstance(r, Failure)]
        with self._store.transaction():
            if done:
                self._store.append("completions", done)
            if failed:
                self._store.append("completion_failures", failed)

    def unpaired(self, cycle: str, generation: Generation) -> Iterator[tuple[Prompt, dict[int, list[Message]]]]:
        """The prompts whose pairs were not formed yet, each with its completions by their sample's number."""
        paired = {
            row[0]
            for row in self._db.execute(
                "SELECT prompt_id FROM pairings WHERE cycle = ? AND config_hash = ? AND n >= ?",
                [cycle, generation.config_hash, generation.n],
            ).fetchall()
        }
        waiting: list[Prompt] = []
        for prompt in self.all(cycle):
            if prompt.prompt_id not in paired:
                waiting.append(prompt)
            if len(waiting) == CHUNK:
                yield from self.with_completions(cycle, generation, waiting)
                waiting = []
        yield from self.with_completions(cycle, generation, waiting)

    def with_completions(
        self, cycle: str, generation: Generation, prompts: Sequence[Prompt]
    ) -> Iterator[tuple[Prompt, dict[int, list[Message]]]]:
        """These prompts, each with the completions that are stored under the cycle's name, by their sample's number."""
        rows = self._db.execute(
            "SELECT prompt_id, sample, messages FROM completions WHERE cycle = ? AND config_hash = ? AND sample < ? "
            "AND prompt_id IN (SELECT unnest(?)) ORDER BY sample",
            [cycle, generation.config_hash, generation.n, [prompt.prompt_id for prompt in prompts]],
        ).fetchall()
        found: dict[str, dict[int, list[Message]]] = {}
        for prompt_id, sample, messages in rows:
            found.setdefault(prompt_id, {})[sample] = json.loads(messages)
        for prompt in prompts:
            yield prompt, found.get(prompt.prompt_id, {})

    def note_paired(self, cycle: str, generation: Generation, paired: Iterable[Paired]) -> None:
        """Write down that these prompts' pairs are formed."""
        at = utc_now()
        rows = [
            [cycle, p.prompt_id, generation.config_hash, generation.n, p.candidates, p.different, p.pairs, at]
            for p in paired
        ]
        if rows:
            self._db.executemany("INSERT INTO pairings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def drawn(self, cycle: str) -> Drawn:
        """What the cycle's generation has come to."""
        row = self._db.execute(
            """
            WITH done AS (
                SELECT count(*) AS n, count(*) FILTER (finish_reason = 'length') AS cut, sum(prompt_tokens) AS pt,
                       sum(completion_tokens) AS ct, sum(cost_usd) AS cost FROM completions WHERE cycle = $cycle),
            failed AS (
                SELECT count(DISTINCT (prompt_id, sample)) FILTER (NOT EXISTS (
                    SELECT 1 FROM completions c WHERE c.cycle = f.cycle AND c.prompt_id = f.prompt_id
                    AND c.config_hash = f.config_hash AND c.sample = f.sample)) AS n,
                    sum(prompt_tokens) AS pt, sum(completion_tokens) AS ct, sum(cost_usd) AS cost
                FROM completion_failures f WHERE cycle = $cycle),
            last AS (SELECT prompt_id, arg_max(different, n) AS different FROM pairings WHERE cycle = $cycle GROUP BY prompt_id)
            SELECT (SELECT count(*) FROM prompts WHERE cycle = $cycle), done.n, done.cut, failed.n,
                   (SELECT count(*) FROM last), (SELECT count(*) FROM last WHERE different < 2),
                   (SELECT coalesce(sum(pairs), 0) FROM pairings WHERE cycle = $cycle),
                   coalesce(done.pt, 0) + coalesce(failed.pt, 0), coalesce(done.ct, 0) + coalesce(failed.ct, 0),
                   CASE WHEN done.cost IS NOT NULL OR failed.cost IS NOT NULL
                        THEN coalesce(done.cost, 0) + coalesce(failed.cost, 0) END
            FROM done, failed
            """,
            {"cycle": cycle},
        ).fetchone()
        assert row is not None  # aggregates without a group are one row
        return Drawn(*row)

    def failure_kinds(self, cycle: str) -> list[tuple[str, int, str]]:
        """Kind, how often, and one message of that kind, the most frequent first."""
        sql = "SELECT kind, count(*), any_value(message) FROM completion_failures WHERE cycle = ? GROUP BY 1 ORDER BY 2 DESC, 1"
        return self._db.execute(sql, [cycle]).fetchall()

    def _one(self, sql: str, *values: Any) -> Any:
        row = self._db.execute(sql, values).fetchone()
        return row[0] if row else None
