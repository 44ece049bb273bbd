"""What the store knows of judging that stops early: posteriors, what they were learned from, and the labels they made."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from consensus.nouns import Ballot, Shown, Verdict
from consensus.statistics.posterior import Posterior
from consensus.store import Store
from consensus.tables import utc_now


@dataclass(frozen=True, slots=True)
class Asked:
    """A pair's votes of repeat 0, by the judges as they are set up now.

    Attributes:
        gold: a or b, by a person; None without.
        margins: distance of the verdicts' log-probabilities, of the ballots that have one.
    """

    cycle: str
    pair_id: str
    prompt_id: str
    gold: Verdict | None
    votes: Mapping[Ballot, Verdict]
    margins: Mapping[Ballot, float]


@dataclass(frozen=True, slots=True)
class Design:
    """Which pairs a cycle asks completely whatever is said: those of a seeded share."""

    seed: int
    audit_share: float


class Stops:
    """Facts for and of confident labels, in a store."""

    def __init__(self, store: Store) -> None:
        self._store, self._db = store, store.db

    def posterior(self, cycle: str) -> tuple[Posterior, str, int] | None:
        """What the cycle's stops rest on, what it was learned from, and from how many pairs; None before the first."""
        row = self._db.execute(
            "SELECT posterior, learned_from, pairs FROM posteriors WHERE cycle = ? ORDER BY rowid DESC LIMIT 1", [cycle]
        ).fetchone()
        return None if row is None else (Posterior.of(json.loads(row[0])), row[1], row[2])

    def keep_posterior(self, cycle: str, posterior: Posterior, learned_from: str, pairs: int) -> None:
        """From now on the cycle's stops rest on this."""
        values = [cycle, json.dumps(asdict(posterior)), learned_from, pairs, utc_now()]
        self._db.execute("INSERT INTO posteriors VALUES (?, ?, ?, ?, ?)", values)

    def designs(self) -> dict[str, Design]:
        """How each cycle of the store chooses the pairs that are asked completely."""
        rows = self._db.execute(
            "SELECT cycle, (config->>'$.cycle.seed')::BIGINT, (config->>'$.sampling.audit_share')::DOUBLE FROM cycles"
        ).fetchall()
        return {cycle: Design(*rest) for cycle, *rest in rows}

    def failed(self, config_hashes: Mapping[str, str]) -> set[tuple[str, str]]:
        """Cycle and id of the pairs on which one of these judges was asked and gave no answer, at some time."""
        rows = self._db.execute(
            "SELECT DISTINCT cycle, pair_id FROM failures WHERE repeat = 0 "
            "AND (judge, config_hash) IN (SELECT unnest(?), unnest(?))",
            [list(config_hashes), list(config_hashes.values())],
        ).fetchall()
        return {(cycle, pair_id) for cycle, pair_id in rows}

    def asked(self, config_hashes: Mapping[str, str]) -> Iterator[Asked]:
        """Every cycle's pairs with what these judges said of them."""
        return self._asked(config_hashes, "TRUE", [])

    def undecided(self, cycle: str, config_hashes: Mapping[str, str]) -> Iterator[Asked]:
        """The cycle's pairs that have votes, but too few for the rule; those that have a confident label too."""
        few = "SELECT pair_id FROM rule_labels WHERE cycle = ? AND reason = 'too_few_votes'"
        where = f"v.cycle = ? AND v.pair_id IN ({few})"
        return self._asked(config_hashes, where, [cycle, cycle])

    def _asked(self, config_hashes: Mapping[str, str], where: str, values: Sequence[object]) -> Iterator[Asked]:
        result = self._db.cursor().execute(
            "SELECT v.cycle, v.pair_id, p.prompt_id, p.gold, v.judge, v.shown, v.verdict, v.margin "
            "FROM votes v JOIN pairs p USING (pair_id) WHERE v.repeat = 0 AND "
            f"(v.judge, v.config_hash) IN (SELECT unnest(?), unnest(?)) AND {where} ORDER BY ALL",
            [list(config_hashes), list(config_hashes.values()), *values],
        )
        rows = iter(lambda: result.fetchmany(4096), [])
        each = (row for part in rows for row in part)
        for (cycle, pair_id, prompt_id, gold), group in groupby(each, key=lambda row: row[:4]):
            votes, margins = {}, {}
            for _, _, _, _, judge, shown, verdict, margin in group:
                ballot = Ballot(pair_id, judge, Shown(shown))
                votes[ballot] = Verdict(verdict)
                if margin is not None:
                    margins[ballot] = margin
            yield Asked(cycle, pair_id, prompt_id, Verdict(gold) if gold in ("a", "b") else None, votes, margins)

    def replace(self, cycle: str, looked_at: Collection[str], found: Mapping[str, tuple[Verdict, float]]) -> None:
        """Let the pairs that were looked at have these confident labels, each with how sure it is, and no others."""
        sql = "SELECT pair_id, verdict, p FROM confident_stops WHERE cycle = ?"
        rows = self._db.execute(sql, [cycle]).fetchall()
        before = {pair_id: (Verdict(verdict), p) for pair_id, verdict, p in rows}
        stale = [name for name in looked_at if name in before and before[name] != found.get(name)]
        fresh = [[cycle, name, *stop, utc_now()] for name, stop in found.items() if before.get(name) != stop]
        with self._store.transaction():
            if stale:
                gone = "DELETE FROM confident_stops WHERE cycle = ? AND pair_id IN (SELECT unnest(?))"
                self._db.execute(gone, [cycle, stale])
            if fresh:
                self._db.executemany("INSERT INTO confident_stops VALUES (?, ?, ?, ?, ?)", fresh)
