"""Masking secrets and personal data in prompts, before anything is stored or sent.

Patterns of our own, each with a check where the kind has one (Luhn, mod 97, a routable address), and no library: Presidio needs a
language model of hundreds of megabytes, datafog reports its use over the network, detect-secrets reads lines of code and takes
every random-looking word for a key. Names, street addresses and national phone numbers need such a model, and are not found.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from consensus.nouns import digest
from consensus.prompts import Prompt
from consensus.sections.base import SECRET
from consensus.sections.inputs import Masked

Spans = Iterator[tuple[int, int]]

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_ABROAD = re.compile(r"(?<![\w+])\+[1-9]\d{0,2}(?:[ .-]?\(\d{1,4}\))?(?:[ ./-]?\d){6,13}(?!\d)")
_NORTH_AMERICAN = re.compile(r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?![\w-])")
_DIGITS = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){12,18}(?![\w-])")
_ISSUERS = re.compile(  # by number ranges, ISO/IEC 7812
    r"4\d{12}(?:\d{3})?(?:\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|[45]\d\d)\d{12}|62\d{14,17}|35\d{14}|3[068]\d{12}"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)(?!\w)")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_SECRETS = (  # each behind what stands in all that it finds: to look for that first is many times as fast
    (("sk-", "AIza", "gsk", "xai", "hf", "ghp", "Bearer"), SECRET),
    (
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.{0,10000}?-----END [A-Z ]{0,30}PRIVATE KEY-----", re.DOTALL
        ),
    ),
    (("AKIA", "ASIA"), re.compile(r"(?<!\w)(?:AKIA|ASIA)[0-9A-Z]{16}(?!\w)")),
    (
        ("gh", "glpat-"),
        re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}|glpat-[\w-]{20,255})"),
    ),
    (("xox", "k_live_"), re.compile(r"(?<!\w)(?:xox[abeoprs]-[\w-]{10,255}|[rs]k_live_[A-Za-z0-9]{16,255})")),
    (("eyJ",), re.compile(r"(?<!\w)eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{8,4000}")),  # a JSON web token
)
_NAMED_SECRET = re.compile(  # the value behind a name, if it has a digit, as words of a sentence have not
    r"(?i)(?:password|passwd|passphrase|secret|api[_ -]?key|access[_ -]?key|token)[\"']?\s{0,3}[=:]\s{0,3}[\"']?"
    r"((?=[^\s\"',;&]{0,200}\d)[^\s\"',;&]{6,200})"
)
_URL_PASSWORD = re.compile(r"://[^\s:/@]{1,100}:([^\s/@]{1,200})@")


def _luhn(digits: str) -> bool:
    """Whether the check digit is right; Luhn 1960, US patent 2,950,048."""
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _cards(text: str) -> Spans:
    for found in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if _ISSUERS.fullmatch(digits) and _luhn(digits):
            yield found.span()


def _ibans(text: str) -> Spans:
    """Words in capitals may follow a number in groups: the longest part with the right check digits (ISO 7064) counts."""
    for found in _IBAN.finditer(text):
        groups = found[0].split(" ")
        for n in range(len(groups), 0, -1):
            compact = "".join(groups[:n])
            number = "".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])
            if len(compact) >= 15 and int(number) % 97 == 1:
                yield found.start(), found.start() + len(" ".join(groups[:n]))
                break


def _addresses(text: str) -> Spans:
    """Addresses that are somebody's on the Internet; private and reserved ones say nothing of anybody."""
    for sign, pattern in ((".", _IPV4), (":", _IPV6)):
        for found in pattern.finditer(text) if sign in text else ():
            try:
                if ipaddress.ip_address(found[0]).is_global:
                    yield found.span()
            except ValueError:
                continue


def _secrets(text: str) -> Spans:
    for signs, pattern in _SECRETS:
        if any(sign in text for sign in signs):
            yield from (found.span() for found in pattern.finditer(text))
    for signs, pattern in ((("=", ":"), _NAMED_SECRET), (("://",), _URL_PASSWORD)):
        if any(sign in text for sign in signs):
            yield from (found.span(1) for found in pattern.finditer(text))


def _phones(text: str) -> Spans:
    for found in _ABROAD.finditer(text) if "+" in text else ():
        if 8 <= sum(letter.isdigit() for letter in found[0]) <= 15:  # ITU-T E.164
            yield found.span()
    yield from (found.span() for found in _NORTH_AMERICAN.finditer(text))


_FINDERS: dict[Masked, Callable[[str], Spans]] = {  # what is found first stays
    "secret": _secrets,
    "email": lambda text: (found.span() for found in (_EMAIL.finditer(text) if "@" in text else ())),
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
    "phone": _phones,
}


class Redactor:
    """Masks prompts, and counts what was masked, by kind.

    A placeholder (`[EMAIL_1]`) stands for the same value wherever it is in a prompt and its answer, and says nothing of other
    prompts.
    """

    def __init__(self, kinds: Sequence[Masked]) -> None:
        self._finders = {kind: find for kind, find in _FINDERS.items() if kind in kinds}
        self.masked: Counter[str] = Counter()

    def prompt(self, prompt: Prompt) -> Prompt:
        """The prompt with placeholders in its messages, its tools, its answer and what production said of that."""
        if not self._finders:
            return prompt
        names: dict[tuple[str, str], str] = {}
        messages = self._deep(prompt.messages, names)
        return dataclasses.replace(
            prompt,
            prompt_id=digest(messages)[:16],
            messages=messages,
            tools=self._deep(prompt.tools, names),
            production=self._deep(prompt.production, names),
            stratum=self._deep(dict(prompt.stratum), names),
            outcomes=self._deep(list(prompt.outcomes), names),
            conversation_id=self._deep(prompt.conversation_id, names),
        )

    def _deep(self, value: Any, names: dict[tuple[str, str], str]) -> Any:
        match value:
            case str():
                return self._text(value, names)
            case list():
                return [self._deep(one, names) for one in value]
            case dict():
                return {
                    self._text(str(key), names): self._arguments(one, names)
                    if key == "arguments" and isinstance(one, str)
                    else self._deep(one, names)
                    for key, one in value.items()
                }
            case int() if not isinstance(value, bool):
                text = self._text(str(value), names)
                return value if text == str(value) else text
        return value

    def _arguments(self, text: str, names: dict[tuple[str, str], str]) -> str:
        """A tool call's arguments, which are JSON and stay JSON, whatever is masked in them."""
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return self._text(text, names)
        masked = self._deep(said, names)
        return text if masked == said else json.dumps(masked, ensure_ascii=False, separators=(",", ":"))

    def _text(self, text: str, names: dict[tuple[str, str], str]) -> str:
        if len(text) < 6 or text.startswith("data:"):  # nothing is shorter; and images are no text
            return text
        taken = bytearray(len(text))
        found: list[tuple[int, int, str]] = []
        for kind, find in self._finders.items():
            for start, end in find(text):
                if not any(taken[start:end]):
                    taken[start:end] = b"\1" * (end - start)
                    found.append((start, end, kind))
        parts, at = [], 0
        for start, end, name in sorted(found):
            self.masked[name] += 1
            number = sum(1 for known, _ in names if known == name) + 1
            parts += [text[at:start], names.setdefault((name, text[start:end]), f"[{name.upper()}_{number}]")]
            at = end
        return "".join([*parts, text[at:]])
