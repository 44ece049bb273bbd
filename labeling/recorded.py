"""Recorded votes of anybody's judges: the same thing as votes that were just asked, without a call."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consensus.nouns import Ballot, Shown, Verdict, Vote
from labeling.pairs import printable, short
from labeling.rows import BadRow, Row, read_rows


@dataclass(frozen=True, slots=True)
class OtherJudge:
    """A vote of a judge that is not on the panel."""

    judge: str


def read_votes(path: Path, *, judges: Collection[str], pairs: Collection[str]) -> Iterator[Vote | OtherJudge | BadRow]:
    """The recorded votes of a file: `{pair_id, judge, order, repeat, verdict, raw}`.

    Args:
        judges: the panel; votes of others are returned as `OtherJudge`.
        pairs: the cycle's pairs.
    Raises:
        UsageError: the file as a whole cannot be read.
    """
    seen: dict[Ballot, Verdict] = {}
    for item in read_rows(path):
        if isinstance(item, BadRow):
            yield item
            continue
        number, row = item
        try:
            vote = to_vote(row)
        except ValueError as error:
            yield BadRow(number, str(error))
            continue
        if vote.ballot.judge not in judges:
            yield OtherJudge(vote.ballot.judge)
        elif vote.ballot.pair_id not in pairs:
            yield BadRow(number, f"the cycle has no pair {short(vote.ballot.pair_id)}; ingest its pairs first")
        elif vote.ballot not in seen:
            seen[vote.ballot] = vote.verdict
            yield vote
        elif seen[vote.ballot] is not vote.verdict:
            yield BadRow(number, "an earlier row has another verdict for this judge, pair, order and repeat")


def to_vote(row: Row) -> Vote:
    """One row as a vote; `order` may also be called `shown`, and a verdict of null is an abstention.

    Raises:
        ValueError: what is wrong with the row, for people.
    """
    pair_id, judge = _name(row, "pair_id"), _name(row, "judge")
    order = row.get("order", row.get("shown"))
    if order not in ("ab", "ba"):
        raise ValueError(f"order must be 'ab' or 'ba' (which completion was shown first), not {short(order)}")
    repeat = _repeat(row.get("repeat"))
    verdict = row.get("verdict")
    if verdict not in ("a", "b", "tie", "abstain", None):
        raise ValueError(f"verdict must be a, b, tie or null (could not be read), not {short(verdict)}")
    raw = row.get("raw")
    if not isinstance(raw, (str, type(None))):
        raise ValueError(f"raw must be text, not {type(raw).__name__}")
    printable("raw", raw or "")
    return Vote(Ballot(pair_id, judge, Shown(order), repeat), Verdict(verdict or "abstain"), raw or "")


def _name(row: Row, field: str) -> str:
    value = row.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field} is missing" if value is None else f"{field} must be text, not {short(value)}")
    printable(field, value)
    return value


def _repeat(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 65536:
        raise ValueError(f"repeat must be a whole number from 0, not {short(value)}")
    return value
