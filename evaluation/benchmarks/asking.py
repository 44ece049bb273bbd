"""Asking judges about the rows of a benchmark, with every reply kept in a file, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Failure, Spent, digest
from consensus.sections.endpoints import Judge
from consensus.writer import Writer
from evaluation.benchmarks.protocols import Protocol
from evaluation.benchmarks.rows import Row
from labeling.cycle_run import accounts, refuse_unpriced
from labeling.labeler import Labeler, Outcome
from labeling.limits import Budget
from labeling.model import Connections, Model, no_answer
from labeling.providers.base import CallError, NotConnected, Question
from labeling.providers.routes import price
from labeling.watching import interrupts

USUAL_REPLY = 110  # tokens: two or three sentences and the verdict


@dataclass(frozen=True, slots=True)
class Asking:
    """One question about a row.

    Attributes:
        place: of the question among those of the row.
    """

    row_id: str
    place: int
    judge: str

    @property
    def addressee(self) -> str:
        """Whom it is put to."""
        return self.judge


@dataclass(frozen=True, slots=True)
class Said:
    """A question that was answered."""

    asking: Asking
    text: str
    served_by: str | None
    spent: Spent


@dataclass(kw_only=True)
class RowJudge(Model):
    """A judge that is asked about rows; the reply contract is in the question alone, no schema is enforced."""

    config: Judge
    protocol: Protocol

    async def ask(self, row: Row, asking: Asking, /, *, attempt: int = 1) -> Said | Failure[Asking]:
        """Put one question, once."""
        asked = self.messages(row, asking)
        key = digest([self.cycle, asking.judge, asking.row_id, asking.place, fingerprint(self.config, asked)])[:32]
        try:
            answer, _ = await self.send(Question(asked, key, attempt))
        except CallError as error:
            return no_answer(asking, error)
        if failure := self.unless_another(asking, answer):
            return failure
        if not answer.text.strip() and not answer.refused:
            return self.empty(asking, answer)
        return Said(asking, answer.text, answer.model, self.spent(answer))

    def messages(self, row: Row, asking: Asking) -> list[dict[str, Any]]:
        """What is asked."""
        return [dict(message) for message in self.protocol.messages(row, asking.place, asking.judge, self.seed)]

    def tokens(self, row: Row, asking: Asking, /) -> tuple[int, int]:
        """A request's length in tokens, estimated at four characters each, and the usual reply's."""
        length = sum(len(message["content"]) for message in self.messages(row, asking)) // 4
        return length, min(self.config.max_tokens, USUAL_REPLY)


@dataclass
class RowWork:
    """The questions about a row that one judge has still to answer."""

    row: Row
    open: list[Asking]
    pending: int = 0
    given_up: set[Asking] = field(default_factory=set)
    served: dict[str, str] = field(default_factory=dict)
    begun: bool = False

    @property
    def subject(self) -> Row:
        """The row."""
        return self.row

    def wave(self) -> list[Asking]:
        """All of them at once."""
        wave, self.open = self.open, []
        return wave

    def heard(self, _: Said) -> None:
        """One was answered."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file of replies holds.

    Attributes:
        replies: by judge, row and place, to questions that are still asked in the same words.
        spent: US dollars for everything that was ever asked.
    """

    replies: Mapping[str, Mapping[tuple[str, int], str]]
    spent: float


def fingerprint(judge: Judge, messages: object) -> str:
    """What makes a stored reply the reply to this question: the judge's settings, and the words."""
    return digest([judge.identity(""), messages])[:16]


def row_judges(cycle: Cycle, protocol: Protocol) -> dict[str, RowJudge]:
    """The judges of a cycle that are called, without a connection.

    Raises:
        UsageError: one is simulated: it compares pairs, and knows nothing of other questions.
    """
    called = [judge for judge in cycle.judges if judge.called]
    if simulated := [judge.label for judge in called if judge.provider == "simulated"]:
        raise UsageError(f"{simulated[0]!r} is a simulated judge: it compares pairs, and cannot be asked about rows")
    if not called:
        raise UsageError("all judges are recorded: there is nobody to ask; compare them by 'consensus evaluate judges'")
    return {
        judge.label: RowJudge(
            config=judge,
            protocol=protocol,
            transport=NotConnected(),
            price=price(judge),
            cycle=cycle.name,
            seed=cycle.cycle.seed,
        )
        for judge in called
    }


def kept(file: Path, rows: Sequence[Row], judges: Mapping[str, RowJudge]) -> Kept:
    """The replies of a file; none where there is no file.

    Raises:
        UsageError: a line is damaged (but the last one, which a killed run may have written in half).
    """
    by_row, spent = {row.id: row for row in rows}, 0.0
    replies: dict[str, dict[tuple[str, int], str]] = defaultdict(dict)
    for line in _lines(file):
        spent += line["cost_usd"] or 0.0
        asking = Asking(line["row_id"], line["place"], line["judge"])
        row, judge = by_row.get(asking.row_id), judges.get(asking.judge)
        if line.get("text") is None or row is None or judge is None or asking.place >= judge.protocol.places(row):
            continue
        if line["asked"] == fingerprint(judge.config, judge.messages(row, asking)):
            replies[asking.judge][asking.row_id, asking.place] = line["text"]
    return Kept(replies, spent)


def open_work(rows: Iterable[Row], judges: Mapping[str, RowJudge], known: Kept) -> Iterator[RowWork]:
    """What is still to be asked, row by row."""
    for row in rows:
        for name, judge in judges.items():
            done = known.replies.get(name, {})
            places = (place for place in range(judge.protocol.places(row)) if (row.id, place) not in done)
            if asks := [Asking(row.id, place, name) for place in places]:
                yield RowWork(row, asks)


async def ask(
    cycle: Cycle,
    rows: Sequence[Row],
    judges: Mapping[str, RowJudge],
    file: Path,
    *,
    console: Console,
    max_cost: float | None = None,
) -> Outcome:
    """Ask what the file does not hold; every reply is in it when it returns.

    The first interrupt lets what is in flight finish, the second one drops it.

    Args:
        max_cost: US dollars for everything that is ever kept in the file.
    Raises:
        UsageError: a judge has no key, or `max_cost` is given and one has no price.
    """
    if max_cost is not None:
        refuse_unpriced(judges)
    known, by_row = kept(file, rows, judges), {row.id: row for row in rows}
    _mend(file)

    def append(batch: Sequence[Said | Failure[Asking]]) -> None:
        with file.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(_line(item, by_row, judges)) + "\n" for item in batch)

    async with _opened(cycle, judges):
        with Writer[Said | Failure[Asking]](append) as writer:
            labeler = Labeler[Asking, Said](
                judges,
                writer.add,
                accounts=accounts(cycle),
                budget=Budget(max_cost, known.spent),
                max_attempts=cycle.limits.max_attempts,
                seed=cycle.cycle.seed,
            )
            with interrupts(labeler, console):
                return await labeler.run(open_work(rows, judges, known))


@asynccontextmanager
async def _opened(cycle: Cycle, judges: Mapping[str, RowJudge]) -> AsyncIterator[None]:
    connections = Connections(cycle)
    try:
        for judge in judges.values():
            judge.transport = connections.open(judge.config, connections.way(judge.config))[0]
        yield
    finally:
        for judge in judges.values():
            await judge.transport.close()  # which may be another one by now, without a parameter that was refused
        await connections.close()


def _line(item: Said | Failure[Asking], rows: Mapping[str, Row], judges: Mapping[str, RowJudge]) -> dict[str, Any]:
    asking, spent = (item.asking if isinstance(item, Said) else item.ballot), item.spent
    judge, row = judges[asking.judge], rows[asking.row_id]
    line: dict[str, Any] = {
        "row_id": asking.row_id,
        "place": asking.place,
        "judge": asking.judge,
        "asked": fingerprint(judge.config, judge.messages(row, asking)),
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "cost_usd": spent.cost_usd,
        "latency_s": spent.latency_s,
    }
    if isinstance(item, Failure):
        return line | {"failure": item.kind, "message": item.message}
    return line | {"text": item.text, "served_by": item.served_by} | judge.protocol.shown(row, judge.seed)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.exists():
        return
    lines = file.read_text("utf-8").removesuffix("\n").split("\n")
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            _ = line["row_id"], line["place"], line["judge"], line["asked"], line["cost_usd"]
        except (ValueError, KeyError, TypeError):
            if number == len(lines):
                return
            raise UsageError(f"line {number} of {file} is no reply; name another file, or remove the line") from None
        yield line


def _mend(file: Path) -> None:
    """Take off a last line that was written in half, so that the next one does not join it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and (data := file.read_bytes()) and not data.endswith(b"\n"):
        file.write_bytes(data[: data.rfind(b"\n") + 1])
