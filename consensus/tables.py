"""Nouns as rows of the store's tables, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from consensus.nouns import Ballot, Failure, Pair, Verdict, Vote, digest

_STAMP = pa.timestamp("us")  # UTC; with a zone DuckDB would need an extension that it downloads
_KEY = [("cycle", pa.string()), ("pair_id", pa.string()), ("judge", pa.string()), ("config_hash", pa.string())]
_KEY += [("shown", pa.string()), ("repeat", pa.uint16())]
_COST = [("prompt_tokens", pa.uint32()), ("completion_tokens", pa.uint32()), ("cost_usd", pa.float64())]
VOTES = pa.schema(
    [*_KEY, ("verdict", pa.string()), ("scores", pa.string()), ("raw", pa.string()), ("served_by", pa.string())]
    + [*_COST, ("latency_s", pa.float64()), ("temperature", pa.float64()), ("finish_reason", pa.string())]
    + [("attempts", pa.uint16()), ("created_at", _STAMP), ("margin", pa.float64()), ("fingerprint", pa.string())]
)
FAILURES = pa.schema(
    [*_KEY, ("kind", pa.string()), ("message", pa.string()), *_COST, ("attempts", pa.uint16()), ("created_at", _STAMP)]
)
PAIRS = pa.schema(
    [("pair_id", pa.string()), ("prompt_id", pa.string()), ("prompt", pa.string()), ("completion_a", pa.string())]
    + [("completion_b", pa.string()), ("category", pa.string()), ("gold", pa.string()), ("extra", pa.string())]
    + [("content_hash", pa.string()), ("created_at", _STAMP)]
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
