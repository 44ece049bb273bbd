"""Nouns as rows of the store's tables, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from consensus.nouns import Ballot, Failure, Pair, Verdict, Vote, digest

if TYPE_CHECKING:
    import pyarrow as pa

_ARROW = {
    "VARCHAR": "string",
    "JSON": "string",
    "DOUBLE": "float64",
    "INTEGER": "int32",
    "USMALLINT": "uint16",
    "UINTEGER": "uint32",
    "UBIGINT": "uint64",
    "TIMESTAMP": "timestamp[us]",  # UTC; with a zone DuckDB would need an extension that it downloads
}


def in_columns(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> pa.Table:
    """Rows as columns of these names and DuckDB's types; what a row does not have is null."""
    import pyarrow as pa  # a third of the time that a command which only reads takes to begin

    return pa.Table.from_pylist(
        rows, pa.schema([(name, pa.type_for_alias(_ARROW[kind])) for name, kind in types.items()])
    )


def utc_now() -> datetime:
    """The time as the store has it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _text(value: str | None) -> str | None:
    """What a provider sent may hold half of a surrogate pair, which no table takes; the vote was paid for all the same."""
    return value and value.encode("utf-8", "replace").decode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def pair_row(pair: Pair, at: datetime) -> dict[str, Any]:
    """A pair as a row of `pairs`."""
    content = digest([pair.prompt, pair.completion_a, pair.completion_b])
    return {
        "pair_id": pair.pair_id,
        "prompt_id": pair.prompt_id,
        "prompt": _json(pair.prompt),
        "completion_a": _json(pair.completion_a),
        "completion_b": _json(pair.completion_b),
        "category": pair.category,
        "gold": pair.gold,
        "extra": _json(dict(pair.extra)),
        "content_hash": content,
        "created_at": at,
    }


def pair_of(row: Sequence[Any]) -> Pair:
    """A row of `pairs` as a pair."""
    pair_id, _, prompt, a, b, category, gold, extra = row[:8]
    known = json.loads(extra) if extra != "{}" else {}
    return Pair(pair_id, _loads(prompt), _loads(a), _loads(b), category, Verdict(gold) if gold else None, known)


def _loads(text: str) -> Any:
    """JSON; plain text the fast way, which would round the integers of more than 64 bits that messages may hold."""
    return orjson.loads(text) if text.startswith('"') else json.loads(text)


def _key(cycle: str, config_hashes: dict[str, str], ballot: Ballot) -> dict[str, Any]:
    return {
        "cycle": cycle,
        "pair_id": ballot.pair_id,
        "judge": ballot.judge,
        "config_hash": config_hashes[ballot.judge],
        "shown": ballot.shown,
        "repeat": ballot.repeat,
    }


def vote_row(cycle: str, config_hashes: dict[str, str], vote: Vote) -> dict[str, Any]:
    """A vote as a row of `votes`."""
    return _key(cycle, config_hashes, vote.ballot) | {
        "verdict": vote.verdict,
        "scores": _text(_json(vote.scores)) if vote.scores else None,
        "raw": _text(vote.raw),
        "served_by": _text(vote.served_by),
        "prompt_tokens": vote.spent.prompt_tokens,
        "completion_tokens": vote.spent.completion_tokens,
        "cost_usd": vote.spent.cost_usd,
        "latency_s": vote.spent.latency_s,
        "temperature": vote.temperature,
        "finish_reason": vote.finish_reason,
        "attempts": vote.spent.attempts,
        "created_at": vote.created_at.astimezone(UTC).replace(tzinfo=None),
        "margin": vote.margin,
        "fingerprint": _text(vote.fingerprint),
    }


def failure_row(cycle: str, config_hashes: dict[str, str], failure: Failure) -> dict[str, Any]:
    """A failure as a row of `failures`."""
    return _key(cycle, config_hashes, failure.ballot) | {
        "kind": failure.kind,
        "message": _text(failure.message),
        "prompt_tokens": failure.spent.prompt_tokens,
        "completion_tokens": failure.spent.completion_tokens,
        "cost_usd": failure.spent.cost_usd,
        "attempts": failure.spent.attempts,
        "created_at": failure.created_at.astimezone(UTC).replace(tzinfo=None),
    }
