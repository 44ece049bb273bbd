"""Completions of a prompt into pairs to be judged."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Any

from consensus.nouns import Pair, Text, digest


class Pairing(StrEnum):
    """Which completions meet."""

    ALL = "all"  # every two
    SOME = "some"  # so many of those, by chance
    PRODUCTION = "production"  # each against the answer that production gave
    ROUND = "round"  # each against the next, the last against the first


def pair_up(
    prompt: Text,
    completions: Sequence[Text],
    how: Pairing,
    *,
    production: Text | None = None,
    count: int | None = None,
    seed: int = 0,
    category: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> list[Pair]:
    """The pairs of one prompt; none if fewer than two completions differ.

    What comes out depends on the completions, not on their order: which of two is called a is decided by a hash.

    Args:
        production: the answer that production gave; for `Pairing.PRODUCTION`.
        count: pairs, for `Pairing.SOME`; all where there are no more.
        extra: kept with every pair (tools, known outcomes, weight).
    Raises:
        ValueError: production or count is missing where it is needed.
    """
    if how is Pairing.PRODUCTION and production is None:
        raise ValueError("pairs against the answer of production need one, and the prompt has none")
    if how is Pairing.SOME and (count is None or count < 1):
        raise ValueError("a number of pairs needs 'count', at least 1")
    anchor = [production] if how is Pairing.PRODUCTION and production is not None else []
    different = distinct([*anchor, *sorted(completions, key=digest)])
    keys = {_key(prompt, completion): completion for completion in different}
    home = _key(prompt, different[0]) if anchor else ""
    met = [frozenset(pair) for pair in _meetings(sorted(keys, key=lambda k: _hash(seed, "order", k)), how, home)]
    if how is Pairing.SOME:
        met = sorted(met, key=lambda pair: _hash(seed, "some", *sorted(pair)))[:count]
    pairs = []
    for pair in met:
        one, other = sorted(pair)
        first, second = (one, other) if _hash(seed, "a", one, other)[0] & 1 else (other, one)
        a, b = keys[first], keys[second]
        pairs.append(Pair(f"p-{digest([prompt, a, b])[:20]}", prompt, a, b, category=category, extra=dict(extra or {})))
    return pairs


def distinct(completions: Sequence[Text]) -> list[Text]:
    """The completions without those that are the same as an earlier one after normalising."""
    found: dict[str, Text] = {}
    for completion in completions:
        found.setdefault(normalised(completion), completion)
    return list(found.values())


def normalised(completion: Text) -> str:
    """What makes a completion the same as another: its text in NFC with every run of blanks as one, and its calls of tools.

    The ids of calls are drawn anew each time, and do not count; neither do blanks and the order of names in arguments.
    """
    if isinstance(completion, str):
        return _plain(completion)
    if (
        len(completion) == 1
        and set(completion[0]) <= {"role", "content"}
        and isinstance(completion[0].get("content"), str)
    ):
        return _plain(completion[0]["content"])  # one message that only says something is the same as its text
    said = [
        [
            message.get("role"),
            _deep(message.get("content")),
            [_call(call) for call in message.get("tool_calls") or ()],
            _deep(message.get("refusal")),
        ]
        for message in completion
    ]
    return json.dumps(said, ensure_ascii=False, sort_keys=True)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _deep(value: Any) -> Any:
    match value:
        case str():
            return _plain(value)
        case list():
            return [_deep(one) for one in value]
        case dict():
            return {key: _deep(one) for key, one in value.items()}
    return value


def _call(call: Mapping[str, Any]) -> list[Any]:
    function = call.get("function", call)
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = _plain(arguments)
    return [function.get("name"), arguments]


def _key(prompt: Text, completion: Text) -> str:
    return digest([prompt, normalised(completion)])


def _hash(seed: int, *parts: str) -> bytes:
    return hashlib.sha256("\0".join([str(seed), *parts]).encode()).digest()


def _meetings(keys: Sequence[str], how: Pairing, home: str) -> list[tuple[str, str]]:
    if how is Pairing.PRODUCTION:
        return [(home, key) for key in keys if key != home]
    if how is Pairing.ROUND and len(keys) > 2:
        return list(zip(keys, [*keys[1:], keys[0]], strict=True))
    return list(combinations(keys, 2))
