"""Reading a judge's reply. What cannot be read is an abstention, kept with its text; nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Any

from consensus.nouns import Shown, Verdict

_WORDS = {"a": "A", "b": "B", "tie": "tie", "c": "tie"}
_BRACKETED = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply says.

    Attributes:
        scores: per axis the score of completion a and b (completions, not slots).
    """

    verdict: Verdict
    scores: Mapping[str, Mapping[str, float]] | None = None


def parse(text: str, shown: Shown) -> Reply:
    """Read a reply: a JSON object, alone, fenced, or inside prose; else a final [[A]], [[B]], [[C]]; else abstain.

    Several objects or marks that name different verdicts contradict each other and are an abstention as well.
    """
    objects = [found for found in json_objects(text) if "verdict" in found]
    said = {_word(found["verdict"]) for found in objects}
    if not objects:
        said = {_word(mark) for mark in _BRACKETED.findall(text)}
    if len(said) != 1 or (word := said.pop()) is None:
        return Reply(Verdict.ABSTAIN)
    scores = _scores(objects[-1].get("scores"), shown) if objects else None
    return Reply(_completion(word, shown), scores)


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, fenced or not, outermost only."""
    at = text.find("{")
    while at >= 0:
        try:
            found, end = _DECODER.raw_decode(text, at)
        except RecursionError:  # nobody reads that; and to look for more inside would take minutes
            yield {"verdict": None}
            return
        except ValueError:
            end = at + 1
        else:
            yield found
        at = text.find("{", end)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, in which a key that is given twice with two values says nothing."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = None if key in found and found[key] != value else value
    return found


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_object)


def _word(value: Any) -> str | None:
    """`A`, `B` or `tie`; None for anything else."""
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _completion(word: str, shown: Shown) -> Verdict:
    if word == "tie":
        return Verdict.TIE
    return shown.first if word == "A" else shown.first.swapped()


def _scores(value: Any, shown: Shown) -> dict[str, dict[str, float]] | None:
    """Axis scores of the completions; axes that cannot be read are left out."""
    if not isinstance(value, dict):
        return None
    read = {}
    for axis, both in value.items():
        if isinstance(both, dict) and all(_is_number(both.get(slot)) for slot in "AB"):
            read[str(axis)] = {_completion(slot, shown).value: float(both[slot]) for slot in "AB"}
    return read or None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


_VERDICT = re.compile(r"(?:\"verdict\"\s*:\s*\"|\[\[\s*)(A|B)", re.IGNORECASE)


def verdict_margin(tokens: Any) -> float | None:
    """Distance, in nats, of the log-probabilities of answering A and B, at the token that holds the verdict.

    An alternative that the provider does not list is taken to be as likely as the last one that it does.

    Args:
        tokens: the reply's, in OpenAI's form: `{"token", "logprob", "top_logprobs": [{"token", "logprob"}, ...]}`.
    Returns:
        None where no token holds the verdict, or there is nothing to compare it with.
    """
    try:
        texts = [str(token["token"]) for token in tokens]
        found = list(_VERDICT.finditer("".join(texts)))
        if not found:
            return None
        at, end = found[-1].start(1), 0
        for token, text in zip(tokens, texts, strict=True):
            end += len(text)
            if at < end:
                return _distance(token["top_logprobs"])
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        pass  # a reply is data from outside: what is no list of log-probabilities says nothing
    return None


def _distance(alternatives: Any) -> float | None:
    chance = {"A": 0.0, "B": 0.0}
    for alternative in alternatives:
        word = re.sub(r"[^A-Za-z]", "", alternative["token"]).upper()
        if word in chance:
            chance[word] += exp(alternative["logprob"])
    if not any(chance.values()):
        return None
    least = min(exp(alternative["logprob"]) for alternative in alternatives)
    a, b = (max(value, least, 1e-9) for value in chance.values())
    return abs(log(a) - log(b))
