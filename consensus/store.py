"""The store of cycles: pairs, votes and failures in; labels and figures out. Facts are appended, conclusions are recomputed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consensus.cycle import Cycle
from consensus.database import Database
from consensus.errors import UsageError
from consensus.nouns import Ballot, Failure, Label, Pair, Reason, Shown, Verdict, Vote
from consensus.tables import failure_row, pair_of, pair_row, utc_now, vote_row

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 512  # pairs read at a time: memory grows with what is in flight, not with the plan


@dataclass(frozen=True, slots=True)
class Stored:
    """A ballot as the labeler needs it to resume: what it said, who served it; without a verdict it waits in a batch."""

    ballot: Ballot
    verdict: Verdict | None
    served_by: str | None
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Labeled:
    """A pair with its label."""

    pair: Pair
    label: Label


@dataclass(frozen=True, slots=True)
class TwoLabels:
    """One pair in two cycles: the side (a or b) that each keeps, None where it keeps none; and the gold, if any."""

    prompt_id: str
    verdict: str | None
    other: str | None
    gold: str | None


@dataclass(frozen=True, slots=True)
class JudgeTally:
    """What one judge did in a cycle. Tokens and dollars include calls that failed; cost is None without a price.

    Attributes:
        first_slot: share of the decided votes (a or b) that went to the completion shown first, in [0, 1]; None without any.
    """

    judge: str
    votes: int
    a: int
    b: int
    tie: int
    abstain: int
    failures: int
    first_slot: float | None
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    median_latency_s: float | None


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What a summary was worked out from. Facts are only ever added, so their number tells; the rule may change."""

    pairs: int
    votes: int
    failures: int
    stops: int
    rule: list[Any] | None

    @property
    def text(self) -> str:
        """As it is kept."""
        return json.dumps([[self.pairs, self.votes, self.failures, self.stops], self.rule])


class Store(Database):
    """A cycle's facts and labels, and the questions the platform asks of them; a context manager."""

    # -- cycles ------------------------------------------------------------------------------------------------------

    def register(self, cycle: Cycle, rubric: str) -> None:
        """Note a cycle and its panel; the rule of a known cycle may change, the meaning of its votes may not.

        Raises:
            UsageError: the cycle has votes, or waits for some, that meant something else; the message lists the differences.
        """
        meaning = cycle.meaning(rubric)
        old = self._one("SELECT meaning FROM cycles WHERE cycle = ?", cycle.name)
        if old is not None and json.loads(old) != meaning:
            asked = "SELECT cycle FROM votes UNION ALL SELECT cycle FROM open_batches"
            if self._one(f"SELECT count(*) FROM ({asked}) WHERE cycle = ?", cycle.name):
                raise UsageError(_difference(cycle, json.loads(old), meaning))
            old = None
        at, rule = utc_now(), cycle.rule
        created = self._one("SELECT created_at FROM cycles WHERE cycle = ?", cycle.name) or at
        row = [cycle.name, cycle.model_dump_json(), json.dumps(meaning), rule.min_agree, rule.drop_if_split]
        row += [rule.both_orders, rule.rotate, cycle.asked_per_pair, created, at]
        self.db.begin()
        self.db.execute("DELETE FROM cycles WHERE cycle = ?", [cycle.name])
        self.db.execute(f"INSERT INTO cycles VALUES ({', '.join('?' * len(row))})", row)
        if old is None:
            self.db.execute("DELETE FROM judges WHERE cycle = ?", [cycle.name])
            self.db.execute("DELETE FROM posteriors WHERE cycle = ?", [cycle.name])  # of judges that were others
            for seat, judge in enumerate(cycle.judges):
                values = [cycle.name, judge.label, seat, judge.config_hash(rubric), judge.model_dump_json()]
                self.db.execute("INSERT INTO judges VALUES (?, ?, ?, ?, ?)", values)
        self.db.commit()

    def use_rule(self, cycle: Cycle) -> None:
        """Let the labels of a known cycle follow the rule of the cycle file as it stands now.

        Raises:
            UsageError: nothing was ever done under this name.
        """
        if not self.has_cycle(cycle.name):
            raise UsageError(f"the store {self.path} has no cycle {cycle.name!r}; 'consensus label' starts it")
        rule = cycle.rule
        self.db.execute(
            "UPDATE cycles SET min_agree = ?, drop_if_split = ?, both_orders = ? WHERE cycle = ?",
            [rule.min_agree, rule.drop_if_split, rule.both_orders, cycle.name],
        )

    def has_cycle(self, cycle: str) -> bool:
        """Whether anything was ever done under this name."""
        return bool(self._one("SELECT count(*) FROM cycles WHERE cycle = ?", cycle))

    def cycle_names(self) -> list[str]:
        """The cycles in the order in which they were begun, without runs beside them."""
        sql = "SELECT cycle FROM cycles WHERE cycle NOT IN (SELECT name FROM side_runs) ORDER BY created_at, cycle"
        return [row[0] for row in self.db.execute(sql).fetchall()]

    # -- facts in ----------------------------------------------------------------------------------------------------

    def add_pairs(self, cycle: str, pairs: Iterable[Pair]) -> tuple[int, list[str]]:
        """Add pairs to the store and to a cycle; a pair that is there already is not added twice.

        Returns:
            How many were new to the cycle, and the ids that stand in the store with another text (not added).
        """
        at = utc_now()
        batch = self.as_table("pairs", [pair_row(pair, at) for pair in pairs])
        self.db.begin()
        self.db.register("batch", batch)
        clash = self.db.execute(
            "SELECT pair_id FROM batch b JOIN pairs p USING (pair_id) WHERE p.content_hash <> b.content_hash"
        ).fetchall()
        self.db.execute("INSERT INTO pairs SELECT * FROM batch b ANTI JOIN pairs p USING (pair_id)")
        added = self.db.execute(
            "INSERT INTO cycle_pairs SELECT ?, b.pair_id, ('0x' || sha256(b.pair_id)[1:2])::SMALLINT, "
            "('0x' || sha256(b.pair_id)[3:4])::SMALLINT FROM batch b JOIN pairs p USING (pair_id, content_hash) "
            "ANTI JOIN (SELECT pair_id FROM cycle_pairs WHERE cycle = ?) c USING (pair_id)",
            [cycle, cycle],
        ).fetchone()
        self.db.unregister("batch")
        self.db.commit()
        return (added[0] if added else 0), sorted(row[0] for row in clash)

    def share_pairs(self, source: str, cycle: str) -> tuple[int, int]:
        """Judge the pairs of another cycle in this one, too: how many it has, and how many of them are new here.

        Raises:
            UsageError: there is no such cycle, or it has no pairs.
        """
        shared = self.pair_count(source)
        if source == cycle or not shared:
            known = [row[0] for row in self.db.execute("SELECT DISTINCT cycle FROM cycle_pairs ORDER BY 1").fetchall()]
            there = ", ".join(name for name in known if name != cycle) or "none"
            raise UsageError(f"input.cycle: the store has no other cycle {source!r} with pairs; there is {there}")
        added = self.db.execute(
            "INSERT INTO cycle_pairs SELECT ?, pair_id, order_byte, seat_byte FROM cycle_pairs WHERE cycle = ? AND pair_id NOT IN "
            "(SELECT pair_id FROM cycle_pairs WHERE cycle = ?) ORDER BY rowid",
            [cycle, source, cycle],
        ).fetchone()
        return shared, added[0] if added else 0

    def add(self, cycle: str, config_hashes: dict[str, str], results: Sequence[Vote | Failure]) -> None:
        """Append votes and failures in one transaction; the labeler never asks what is stored already."""
        votes = [vote_row(cycle, config_hashes, r) for r in results if isinstance(r, Vote)]
        with self.transaction():
            if votes:
                self.append("votes", votes)
            self.add_failures(cycle, config_hashes, [r for r in results if isinstance(r, Failure)])

    def add_failures(self, cycle: str, config_hashes: dict[str, str], failures: Sequence[Failure]) -> None:
        """Append failures, as part of whatever transaction is open."""
        if failures:
            self.append("failures", [failure_row(cycle, config_hashes, failure) for failure in failures])

    def add_recorded(self, cycle: str, config_hashes: dict[str, str], votes: Iterable[Vote]) -> int:
        """Append recorded votes that are not stored yet; how many were new."""
        batch = self.as_table("votes", [vote_row(cycle, config_hashes, vote) for vote in votes])
        self.db.register("batch", batch)
        new = self.db.execute(
            "INSERT INTO votes SELECT * FROM batch ANTI JOIN votes USING (cycle, pair_id, judge, config_hash, shown, repeat)"
        ).fetchone()
        self.db.unregister("batch")
        return new[0] if new else 0

    # -- facts out ---------------------------------------------------------------------------------------------------

    def known_pairs(self, cycle: str) -> set[str]:
        """The ids of the cycle's pairs."""
        return {
            row[0] for row in self.db.execute("SELECT pair_id FROM cycle_pairs WHERE cycle = ?", [cycle]).fetchall()
        }

    def pair_count(self, cycle: str) -> int:
        """How many pairs the cycle has."""
        return int(self._one("SELECT count(*) FROM cycle_pairs WHERE cycle = ?", cycle))

    def answered(self, cycle: str, config_hashes: dict[str, str]) -> dict[str, int]:
        """How many of the ballots that make the labels each judge has answered; what only an audit asked is left out."""
        rows = self.db.execute(
            """
            SELECT v.judge, v.config_hash, count(*)
            FROM votes v JOIN cycles c USING (cycle) JOIN cycle_pairs p USING (cycle, pair_id)
            JOIN (SELECT *, count(*) OVER (PARTITION BY cycle) AS n FROM judges) j USING (cycle, judge)
            WHERE v.cycle = ? AND v.repeat = 0 AND (j.seat - p.seat_byte % j.n + j.n) % j.n < c.per_pair AND (c.both_orders
                OR v.shown = CASE WHEN c.rotate AND (p.order_byte + j.seat) % 2 = 1 THEN 'ba' ELSE 'ab' END)
            GROUP BY ALL
            """,
            [cycle],
        ).fetchall()
        return {judge: n for judge, config_hash, n in rows if config_hashes.get(judge) == config_hash}

    def work(self, cycle: str, config_hashes: dict[str, str]) -> Iterator[tuple[Pair, list[Stored]]]:
        """The cycle's pairs in the order they came, each with its votes and the ballots that wait in a batch, if there were any."""
        source = self._source(cycle) if config_hashes else None
        last = -1
        while True:
            rows = self.db.execute(
                "WITH part AS (SELECT rowid AS place, pair_id FROM cycle_pairs WHERE cycle = ? AND rowid > ? "
                f"ORDER BY rowid LIMIT {CHUNK}) "
                "SELECT place, p.* FROM part JOIN pairs p USING (pair_id) ORDER BY place",
                [cycle, last],
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from self._with_stored(cycle, [pair_of(row[1:]) for row in rows], config_hashes, source)

    def work_on(
        self, cycle: str, pair_ids: Sequence[str], config_hashes: dict[str, str]
    ) -> Iterator[tuple[Pair, list[Stored]]]:
        """These pairs, in this order, each as in `work`; those that are not in the store are left out."""
        source = self._source(cycle) if config_hashes else None
        for start in range(0, len(pair_ids), CHUNK):
            chunk = list(pair_ids[start : start + CHUNK])
            rows = self.db.execute("SELECT * FROM pairs WHERE pair_id IN (SELECT unnest(?))", [chunk]).fetchall()
            pairs = {row[0]: pair_of(row) for row in rows}
            found = [pairs[pair_id] for pair_id in chunk if pair_id in pairs]
            yield from self._with_stored(cycle, found, config_hashes, source)

    def _with_stored(
        self, cycle: str, pairs: list[Pair], config_hashes: dict[str, str], source: str | None
    ) -> Iterator[tuple[Pair, list[Stored]]]:
        done: dict[str, list[Stored]] = {}
        if source:
            for stored in self._stored(cycle, [pair.pair_id for pair in pairs], config_hashes, source):
                done.setdefault(stored.ballot.pair_id, []).append(stored)
        for pair in pairs:
            yield pair, done.get(pair.pair_id, [])

    def prompts(self, cycle: str) -> list[tuple[str, str]]:
        """The cycle's pairs with their prompts, by id."""
        sql = "SELECT pair_id, prompt_id FROM cycle_pairs JOIN pairs USING (pair_id) WHERE cycle = ?"
        return self.db.execute(sql, [cycle]).fetchall()

    def _source(self, cycle: str) -> str | None:
        """Where the cycle's known ballots stand: nowhere, among the votes, or in open batches too."""
        columns = "cycle, pair_id, judge, config_hash, shown, repeat"
        if self._one("SELECT count(*) FROM open_batches WHERE cycle = ?", cycle):
            return (
                f"(SELECT {columns}, verdict, served_by, margin FROM votes "
                f"UNION ALL SELECT {columns}, NULL, NULL, NULL FROM waiting_ballots)"
            )
        return "votes" if self._one("SELECT 1 FROM votes WHERE cycle = ? LIMIT 1", cycle) else None

    def _stored(self, cycle: str, pair_ids: list[str], config_hashes: dict[str, str], source: str) -> Iterator[Stored]:
        rows = self.db.execute(
            f"SELECT pair_id, judge, config_hash, shown, repeat, verdict, served_by, margin FROM {source} "
            "WHERE cycle = ? AND pair_id IN (SELECT unnest(?))",
            [cycle, pair_ids],
        ).fetchall()
        for pair_id, judge, config_hash, shown, repeat, verdict, served_by, margin in rows:
            if config_hashes.get(judge) == config_hash:
                said = None if verdict is None else Verdict(verdict)
                yield Stored(Ballot(pair_id, judge, Shown(shown), repeat), said, served_by, margin)

    def labeled(self, cycle: str, *, kept_only: bool = True) -> Iterator[Labeled]:
        """The cycle's pairs with their labels, in the order the pairs came."""
        where = "AND l.kept" if kept_only else ""
        result = self.db.cursor().execute(
            "SELECT p.*, l.verdict, l.reason, l.support, l.n_votes FROM labels l JOIN pairs p USING (pair_id) "
            f"JOIN cycle_pairs c ON c.cycle = l.cycle AND c.pair_id = l.pair_id WHERE l.cycle = ? {where} ORDER BY c.rowid",
            [cycle],
        )
        while rows := result.fetchmany(CHUNK):
            for row in rows:
                verdict, reason, support, n_votes = row[-4:]
                yield Labeled(
                    pair_of(row), Label(Verdict(verdict) if verdict else None, Reason(reason), support, n_votes)
                )

    def label_pairs(self, cycle: str, other: str) -> list[TwoLabels]:
        """The kept sides of two cycles on the pairs that both have, in the order the pairs came."""
        rows = self.db.execute(
            "SELECT p.prompt_id, CASE WHEN l.kept THEN l.verdict END, CASE WHEN o.kept THEN o.verdict END, p.gold "
            "FROM (SELECT * FROM labels WHERE cycle = ?) l JOIN (SELECT * FROM labels WHERE cycle = ?) o USING (pair_id) "
            "JOIN pairs p USING (pair_id) ORDER BY p.rowid",
            [cycle, other],
        ).fetchall()
        return [TwoLabels(*row) for row in rows]

    def pair_columns(self, cycle: str) -> pa.Table:
        """The cycle's pairs in the order they came, in columns.

        `pair_id`, `prompt_id`, `gold` (null without), `length_a` and `length_b` in characters (of chat messages, as JSON),
        `model_a` and `model_b` (the models that wrote the completions, from fields of these names in the input; else null),
        `order_byte` and `seat_byte`.
        """
        length = "length(CASE json_type({0}) WHEN 'VARCHAR' THEN {0} ->> '$' ELSE {0}::VARCHAR END) AS length_{1}"
        lengths = ", ".join(length.format(f"p.completion_{side}", side) for side in "ab")
        models = "p.extra ->> 'model_a' AS model_a, p.extra ->> 'model_b' AS model_b"
        return self.columns(
            f"SELECT p.pair_id, p.prompt_id, p.gold, {lengths}, {models}, c.order_byte, c.seat_byte "
            "FROM cycle_pairs c JOIN pairs p USING (pair_id) WHERE c.cycle = ? ORDER BY c.rowid",
            [cycle],
        )

    def vote_columns(self, cycle: str, axes: Sequence[str] = ()) -> pa.Table:
        """The votes of the cycle's panel as it is registered (other settings of a judge are left out), in columns.

        `pair` (its place in `pair_columns`), `judge` (its seat), `first` (whether completion a was shown first), `repeat`, `choice`
        (1 for a, -1 for b, 0 for a tie, 2 for an abstention), and `axis_0`, ...: the score of a minus that of b on each axis, null
        without; by pair, judge, order (a first), repeat.
        """
        # A JSON pointer, in which only these two characters are written otherwise.
        pointers = [axis.replace("~", "~0").replace("/", "~1") for axis in axes]
        score = "TRY_CAST(v.scores ->> $a_{0} AS DOUBLE) - TRY_CAST(v.scores ->> $b_{0} AS DOUBLE) AS axis_{0}"
        scores = [f", {score.format(k)}" for k in range(len(axes))]
        paths = {f"{side}_{k}": f"/{pointer}/{side}" for k, pointer in enumerate(pointers) for side in "ab"}
        return self.columns(
            f"""
            WITH place AS (
                SELECT pair_id, row_number() OVER (ORDER BY rowid) - 1 AS pair FROM cycle_pairs WHERE cycle = $cycle)
            SELECT p.pair, j.seat::BIGINT AS judge, v.shown = 'ab' AS first, v.repeat::BIGINT AS repeat,
                   (CASE v.verdict WHEN 'a' THEN 1 WHEN 'b' THEN -1 WHEN 'tie' THEN 0 ELSE 2 END)::BIGINT AS choice{"".join(scores)}
            FROM votes v JOIN judges j USING (cycle, judge, config_hash) JOIN place p USING (pair_id)
            WHERE v.cycle = $cycle ORDER BY p.pair, j.seat, v.shown, v.repeat
            """,
            {"cycle": cycle, **paths},
        )

    def label_columns(self, cycle: str) -> pa.Table:
        """The labels in columns: `pair` (its place in `pair_columns`), `verdict` (null without), `reason`."""
        return self.columns(
            "WITH place AS (SELECT pair_id, row_number() OVER (ORDER BY rowid) - 1 AS pair FROM cycle_pairs WHERE cycle = $cycle) "
            "SELECT pair, verdict, reason FROM labels JOIN place USING (pair_id) WHERE cycle = $cycle ORDER BY pair",
            {"cycle": cycle},
        )

    def has_votes(self, cycle: str, *, scored: bool = False) -> bool:
        """Whether the cycle has a vote, or one with scores on the rubric's axes."""
        which = " AND scores IS NOT NULL" if scored else ""
        return bool(self._one(f"SELECT 1 FROM votes WHERE cycle = ?{which} LIMIT 1", cycle))

    # -- summaries ---------------------------------------------------------------------------------------------------

    def reasons(self, cycle: str) -> dict[Reason, int]:
        """How many pairs were kept or dropped for each reason."""
        rows = self.db.execute(
            "SELECT reason, count(*) FROM labels WHERE cycle = ? GROUP BY reason", [cycle]
        ).fetchall()
        return {Reason(reason): count for reason, count in rows}

    def tallies(self, cycle: str) -> list[JudgeTally]:
        """What each judge did, in the order of their places."""
        rows = self.db.execute(
            """
            WITH v AS (
                SELECT judge, count(*) AS votes, count(*) FILTER (verdict = 'a') AS a, count(*) FILTER (verdict = 'b') AS b,
                       count(*) FILTER (verdict = 'tie') AS tie, count(*) FILTER (verdict = 'abstain') AS abstain,
                       count(*) FILTER ((verdict = 'a' AND shown = 'ab') OR (verdict = 'b' AND shown = 'ba')) AS first,
                       sum(prompt_tokens) AS pt, sum(completion_tokens) AS ct, sum(cost_usd) AS cost,
                       median(latency_s) AS latency
                FROM votes WHERE cycle = $cycle GROUP BY judge),
            f AS (
                SELECT judge, sum(prompt_tokens) AS pt, sum(completion_tokens) AS ct, sum(cost_usd) AS cost
                FROM failures WHERE cycle = $cycle GROUP BY judge),
            open AS (  -- failed ballots that were not answered later
                SELECT judge, count(DISTINCT (pair_id, shown, repeat)) AS n FROM failures x WHERE cycle = $cycle AND NOT EXISTS (
                    SELECT 1 FROM votes y WHERE y.cycle = x.cycle AND y.pair_id = x.pair_id AND y.judge = x.judge
                    AND y.config_hash = x.config_hash AND y.shown = x.shown AND y.repeat = x.repeat)
                GROUP BY judge)
            SELECT j.judge, coalesce(votes, 0), coalesce(a, 0), coalesce(b, 0), coalesce(tie, 0), coalesce(abstain, 0),
                   coalesce(open.n, 0), first / nullif(a + b, 0), coalesce(v.pt, 0) + coalesce(f.pt, 0),
                   coalesce(v.ct, 0) + coalesce(f.ct, 0),
                   CASE WHEN v.cost IS NOT NULL OR f.cost IS NOT NULL THEN coalesce(v.cost, 0) + coalesce(f.cost, 0) END, latency
            FROM judges j LEFT JOIN v USING (judge) LEFT JOIN f USING (judge) LEFT JOIN open USING (judge)
            WHERE j.cycle = $cycle ORDER BY j.seat
            """,
            {"cycle": cycle},
        ).fetchall()
        return [JudgeTally(*row) for row in rows]

    def failure_kinds(self, cycle: str) -> list[tuple[str, str, int, str]]:
        """Judge, kind, how often, and one message of that kind, the most frequent first."""
        sql = "SELECT judge, kind, count(*), any_value(message) FROM failures WHERE cycle = ? GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        return self.db.execute(sql, [cycle]).fetchall()

    def spent(self, cycle: str) -> float:
        """US dollars spent in the cycle so far, completions and side runs included; calls without a known price count nothing."""
        own = "cycle = $cycle OR cycle IN (SELECT name FROM side_runs WHERE cycle = $cycle)"
        paid = ("votes", "failures", "completions", "completion_failures")
        each = " UNION ALL ".join(f"SELECT cost_usd FROM {table} WHERE {own}" for table in paid)
        found = self.db.execute(f"SELECT coalesce(sum(cost_usd), 0) FROM ({each})", {"cycle": cycle}).fetchone()
        return float(found[0]) if found else 0.0

    def gold_matches(self, cycle: str) -> list[tuple[str, bool]]:
        """For each kept pair whose gold is a or b: its prompt, and whether label and gold agree."""
        sql = (
            "SELECT p.prompt_id, l.verdict = p.gold FROM labels l JOIN pairs p USING (pair_id) "
            "WHERE l.cycle = ? AND l.kept AND p.gold IN ('a', 'b')"
        )
        return self.db.execute(sql, [cycle]).fetchall()

    def made_from(self, cycle: str) -> MadeFrom:
        """What a summary of the cycle depends on."""
        tables = ("cycle_pairs", "votes", "failures", "confident_stops")
        facts = [self._one(f"SELECT count(*) FROM {table} WHERE cycle = ?", cycle) for table in tables]
        rule = self.db.execute(
            "SELECT min_agree, drop_if_split, both_orders, rotate, per_pair FROM cycles WHERE cycle = ?", [cycle]
        ).fetchone()
        pairs, votes, failures, stops = facts
        return MadeFrom(pairs, votes, failures, stops, list(rule) if rule else None)

    def figures(self, cycle: str, made_from: MadeFrom) -> dict[str, Any] | None:
        """A summary that was worked out from exactly this; None if there is none."""
        kept = self.last_figures(cycle)
        return kept[1] if kept and kept[0] == made_from else None

    def last_figures(self, cycle: str) -> tuple[MadeFrom, dict[str, Any]] | None:
        """The last summary that was kept, and what it was worked out from."""
        found = self.db.execute("SELECT made_from, figures FROM figures WHERE cycle = ?", [cycle]).fetchall()
        if not found:
            return None
        (pairs, votes, failures, stops), rule = json.loads(found[0][0])
        return MadeFrom(pairs, votes, failures, stops, rule), json.loads(found[0][1])

    def keep_figures(self, cycle: str, made_from: MadeFrom, figures: dict[str, Any]) -> None:
        """Keep a summary in the place of the last one."""
        self.db.begin()
        self.db.execute("DELETE FROM figures WHERE cycle = ?", [cycle])
        self.db.execute("INSERT INTO figures VALUES (?, ?, ?)", [cycle, made_from.text, json.dumps(figures)])
        self.db.commit()

    def votes(self, cycle: str) -> Iterator[dict[str, Any]]:
        """The cycle's votes, a row of the table each, in the order they came."""
        result = self.db.cursor().execute("SELECT * EXCLUDE (cycle) FROM votes WHERE cycle = ? ORDER BY rowid", [cycle])
        names = [column[0] for column in result.description]
        while rows := result.fetchmany(CHUNK):
            yield from (dict(zip(names, row, strict=True)) for row in rows)


def _difference(cycle: Cycle, old: dict[str, Any], new: dict[str, Any]) -> str:
    flat_old, flat_new = dict(_flat(old)), dict(_flat(new))
    lines = [
        f"  {key}: {flat_old.get(key, 'not there')} before, {flat_new.get(key, 'not there')} now"
        for key in sorted(flat_old.keys() | flat_new.keys())
        if flat_old.get(key) != flat_new.get(key)
    ]
    head = (
        f"cycle {cycle.name!r} has votes that were asked differently; mixing them would give labels without a meaning:"
    )
    return "\n".join([head, *lines, "give the new cycle a name of its own (cycle.name=...), or change these back"])


def _flat(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else key)
    else:
        yield where, value
