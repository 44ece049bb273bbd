"""Bringing files into the store: pairs, recorded votes and outcomes, good rows kept beside refused ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from consensus.cycle import Cycle
from consensus.nouns import Pair, Vote
from consensus.outcomes import Outcome, add_outcomes
from consensus.store import Store
from consensus.summary import AT_ONCE, keep_up, summary
from labeling.outcomes import OutcomeReader
from labeling.pairs import numbered_pairs, short
from labeling.recorded import OtherJudge, read_votes
from labeling.rows import BadRow, read_rows

BATCH = 1000  # rows
OUTCOMES = 50_000  # at a time: each batch is held against all that are known
LARGE = 50_000_000  # characters
T = TypeVar("T")


@dataclass
class Intake:
    """What came of one file.

    Attributes:
        read: good rows.
        new: of those, new to the cycle.
        refused: rows that were not, in their order.
        other_judges: recorded votes of judges that the cycle does not list as recorded.
    """

    file: Path
    what: str
    read: int = 0
    new: int = 0
    refused: list[BadRow] = field(default_factory=list)
    other_judges: Counter[str] = field(default_factory=Counter)

    @property
    def found(self) -> bool:
        """Whether there was anything of use."""
        return self.read > 0

    @property
    def lost(self) -> bool:
        """Whether anything was refused."""
        return bool(self.refused)

    def figures(self) -> dict[str, Any]:
        """As `--json` prints it."""
        refused = [{"row": bad.row, "reason": bad.reason} for bad in self.refused]
        return {
            "file": str(self.file),
            "what": self.what,
            "read": self.read,
            "new": self.new,
            "refused": refused,
            "other_judges": dict(self.other_judges),
        }

    def lines(self, most: int = 8) -> Iterator[str]:
        """For people."""
        already = f", {self.read - self.new:,} of them known already" if self.read > self.new else ""
        yield f"{self.file}: {self.read:,} {self.what}{already}" + (
            f", {len(self.refused):,} rows refused" if self.refused else ""
        )
        by_reason: dict[str, list[int]] = {}
        for bad in self.refused:
            by_reason.setdefault(bad.reason, []).append(bad.row)
        for reason, rows in list(by_reason.items())[:most]:
            more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
            yield f"  row {rows[0]}{more}: {reason}"
        if len(by_reason) > most:
            yield f"  ... and {len(by_reason) - most:,} more reasons; --json lists every row"
        for judge, votes in self.other_judges.most_common():
            yield f"  {votes:,} votes of {judge!r} left out: the cycle has no judge of this name with 'provider: recorded'"


@dataclass
class OutcomeIntake(Intake):
    """What came of a file of outcomes; `left_out` names columns without a number in any row."""

    what: str = "outcomes"
    metrics: set[str] = field(default_factory=set)
    checkpoints: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)

    @property
    def lost(self) -> bool:
        """Whether anything was refused, or there is nothing."""
        return bool(self.refused) or not self.read

    def figures(self) -> dict[str, Any]:
        """As `--json` prints it."""
        named = {name: sorted(getattr(self, name)) for name in ("metrics", "checkpoints", "left_out")}
        return super().figures() | named

    def lines(self, most: int = 8) -> Iterator[str]:
        """For people."""
        yield from super().lines(most)
        if self.read:
            yield f"  of {len(self.checkpoints):,} checkpoints: {', '.join(sorted(self.metrics))}"
        if self.left_out:
            yield f"  columns without a number in any row, left out: {', '.join(map(short, self.left_out))}"


def ingest_pairs(store: Store, cycle: Cycle, file: Path, columns: Mapping[str, str] | None = None) -> Intake:
    """Add the pairs of a file to the cycle.

    Raises:
        UsageError: the file as a whole cannot be read.
    """
    intake = Intake(file, "pairs")
    for rows in _batches(numbered_pairs(file, {**cycle.input.columns, **(columns or {})})):
        refused = [row for row in rows if isinstance(row, BadRow)]
        good = [row for row in rows if not isinstance(row, BadRow)]
        pairs: dict[str, Pair] = {}
        for _, pair in good:
            pairs.setdefault(pair.pair_id, pair)
        new, clashes = store.add_pairs(cycle.name, pairs.values())
        clash = set(clashes)
        refused += [
            BadRow(number, f"pair_id {short(pair.pair_id)} stands in the store with another text")
            for number, pair in good
            if pair.pair_id in clash
        ]
        intake.new += new
        intake.read += len(rows) - len(refused)
        intake.refused += sorted(refused, key=lambda bad: bad.row)
    return intake


def ingest_votes(store: Store, cycle: Cycle, file: Path, rubric: str) -> Intake:
    """Add the recorded votes of a file to the cycle.

    Raises:
        UsageError: the file as a whole cannot be read.
    """
    intake, unseen = Intake(file, "votes"), 0
    recorded = {judge.label: judge.config_hash(rubric) for judge in cycle.judges if not judge.called}
    for rows in _batches(read_votes(file, judges=recorded, pairs=store.known_pairs(cycle.name))):
        votes: list[Vote] = []
        for row in rows:
            match row:
                case Vote():
                    votes.append(row)
                case OtherJudge(judge):
                    intake.other_judges[judge] += 1
                case _:
                    intake.refused.append(row)
        new = store.add_recorded(cycle.name, recorded, votes)
        intake.read += len(votes)
        intake.new += new
        unseen += new
        if unseen > AT_ONCE:  # `status` shows these if the rest never comes
            keep_up(store, cycle.name)
            unseen = 0
    summary(store, cycle.name)  # and answers from this one otherwise
    return intake


def ingest_outcomes(store: Store, file: Path, columns: Mapping[str, str] | None = None) -> OutcomeIntake:
    """Add the outcomes of a file to the store; what is there already is not added again.

    Raises:
        UsageError: the file as a whole cannot be read.
    """
    intake, reader = OutcomeIntake(file), OutcomeReader(columns or {})
    waiting: list[Outcome] = []
    for found in reader.read(read_rows(file)):
        if isinstance(found, BadRow):
            intake.refused.append(found)
            continue
        waiting.append(found)
        intake.read += 1
        intake.metrics.add(found.metric)
        intake.checkpoints.add(found.checkpoint)
        if len(waiting) == OUTCOMES:
            intake.new += add_outcomes(store, waiting)
            waiting = []
    intake.new += add_outcomes(store, waiting)
    intake.left_out = reader.left_out
    intake.refused.sort(key=lambda bad: bad.row)
    return intake


def ingest_input(store: Store, cycle: Cycle, rubric: str, columns: Mapping[str, str] | None = None) -> list[Intake]:
    """Everything that the cycle file names under `input:`, but traces: those are read when prompts are wanted.

    Raises:
        UsageError: a file as a whole cannot be read, or there is no cycle to share pairs with.
    """
    done: list[Intake] = []
    if other := cycle.input.cycle:
        shared, new = store.share_pairs(other, cycle.name)
        done.append(Intake(Path(store.path), f"pairs shared with cycle {other!r}", shared, new))
    if cycle.input.pairs:
        done.append(ingest_pairs(store, cycle, cycle.input.pairs, columns))
    if cycle.input.votes:
        done.append(ingest_votes(store, cycle, cycle.input.votes, rubric))
    done += [ingest_outcomes(store, file, cycle.input.outcome_columns) for file in cycle.input.outcomes]
    return done


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """At most `BATCH` rows at a time, and fewer of long ones: a batch is in memory more than once."""
    batch: list[T] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += _length(row)
        if len(batch) == BATCH or size > LARGE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _length(row: Any) -> int:
    """Roughly how many characters a row has."""
    match row:
        case (_, Pair() as pair):
            texts = (pair.prompt, pair.completion_a, pair.completion_b)
            parts = [[text] if isinstance(text, str) else [m.get("content") or "" for m in text] for text in texts]
            return sum(len(part) for text in parts for part in text)
        case Vote():
            return len(row.raw)
    return 0
