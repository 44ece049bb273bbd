"""The words of the platform, one class each.

A *judge* (model, rubric, settings) is asked a *ballot* about a *pair* and answers with a *vote*, whose *verdict* names
a completion; no answer is a *failure*. What the panel's votes add up to is the pair's *label*. *Gold* is a person's answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, Protocol

import orjson
from typing_extensions import TypeVar

Text = str | list[dict[str, Any]]
"""A prompt or completion: plain text, or chat messages in OpenAI's form (tool calls included)."""


class Verdict(StrEnum):
    """What a judge said of a pair; a and b are completions, in whichever slot the judge saw them."""

    A = "a"
    B = "b"
    TIE = "tie"
    ABSTAIN = "abstain"

    def swapped(self) -> Verdict:
        """The same opinion after completions a and b have changed names."""
        return {Verdict.A: Verdict.B, Verdict.B: Verdict.A}.get(self, self)


class Shown(StrEnum):
    """The order in which a judge saw the completions: `ab` shows completion a first."""

    AB = "ab"
    BA = "ba"

    @property
    def first(self) -> Verdict:
        """The completion in the first slot."""
        return Verdict.A if self is Shown.AB else Verdict.B

    @property
    def other(self) -> Shown:
        """The other order."""
        return Shown.BA if self is Shown.AB else Shown.AB


class Reason(StrEnum):
    """Why a pair is kept (the first three) or dropped (the others)."""

    AGREED = "agreed"  # one side reached min_agree
    PLURALITY = "plurality"  # it did not, but leads, and drop_pair_if_split is off
    CONFIDENT = "confident"  # the rule still has too few votes, but the judges' reliability makes one side sure enough
    SPLIT = "split"  # enough verdicts, no side reached min_agree
    TIE = "tie"  # the panel agrees that neither is better
    UNSTABLE = "unstable"  # too few verdicts, because judges contradicted themselves between the two orders
    TOO_FEW_VOTES = "too_few_votes"  # too few verdicts: abstentions, failures, ballots not asked yet

    @property
    def keeps(self) -> bool:
        """Whether a pair with this reason goes into the dataset."""
        return self in (Reason.AGREED, Reason.PLURALITY, Reason.CONFIDENT)


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and the two completions to be compared.

    Attributes:
        extra: further fields of the input row (`tools`, `source`, ...), kept and exported as they came.
    """

    pair_id: str
    prompt: Text
    completion_a: Text
    completion_b: Text
    category: str | None = None
    gold: Verdict | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt_id(self) -> str:
        """A hash of the prompt: pairs that share it are not independent, and never go to both sides of a split."""
        return digest(self.prompt)[:16]

    def completion(self, side: Verdict) -> Text:
        """Completion a or b."""
        return {Verdict.A: self.completion_a, Verdict.B: self.completion_b}[side]


@dataclass(frozen=True, slots=True)
class Ballot:
    """One question put to one judge.

    Attributes:
        repeat: 0 for the ballot that makes the label; 1, 2, ... for the same request asked again by an audit.
    """

    pair_id: str
    judge: str
    shown: Shown
    repeat: int = 0

    @property
    def addressee(self) -> str:
        """Whom it is put to."""
        return self.judge


class Asked(Protocol):
    """One thing that is asked of one model: a ballot of a judge, a draw of the model that is trained."""

    @property
    def addressee(self) -> str:
        """Whom it is put to, by its name."""


AskedT = TypeVar("AskedT", bound=Asked, default=Ballot)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a ballot's calls cost, all attempts together.

    Attributes:
        prompt_tokens, completion_tokens: as the provider counted them; None if it did not say.
        cost_usd: US dollars; None where the judge's model has no known price.
        latency_s: seconds on the wire of the last attempt, without waiting for a slot.
        attempts: calls made, the successful one included.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Vote:
    """A ballot that was answered.

    Attributes:
        scores: per rubric axis the score of completion a and b, `{"clarity": {"a": 4, "b": 2}}`.
        raw: the reply's text, verbatim.
        served_by: the model that answered, by its own word.
        temperature: as sent; None when the model was asked without one.
        finish_reason: the provider's, e.g. `stop` or `length`.
        margin: distance of the log-probabilities of the verdicts a and b, in nats, >= 0; None where the provider gave none.
        fingerprint: the provider's name for the version of its system that answered; None where it says nothing.
    """

    ballot: Ballot
    verdict: Verdict
    raw: str = ""
    scores: Mapping[str, Mapping[str, float]] | None = None
    served_by: str | None = None
    temperature: float | None = None
    finish_reason: str | None = None
    spent: Spent = Spent()
    margin: float | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Failure(Generic[AskedT]):
    """A ballot (or a draw) that got no answer: neither an abstention nor a tie, and never counted.

    Attributes:
        ballot: what was asked.
        kind: a short word to count by: rate_limit, server_error, timeout, connection, bad_reply, empty, wrong_model,
            auth, bad_request; of batches also expired, canceled, missing.
        message: what the provider or the network said, with as much of the body as helps.
        retry: whether the same call may succeed later.
        fatal: the judge cannot work at all as it is set up.
        retry_after_s: the wait that the provider asked for, in seconds.
    """

    ballot: AskedT
    kind: str
    message: str
    spent: Spent = Spent()
    retry: bool = True
    fatal: bool = False
    retry_after_s: float | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Label:
    """What the panel's votes on a pair add up to.

    Attributes:
        verdict: a or b if one side won, tie if the panel agreed on that, else None.
        support: share of the votes that are for the verdict, or for the strongest side if there is none, in [0, 1];
            None without votes.
        n_votes: judges that voted, abstentions included.
    """

    verdict: Verdict | None
    reason: Reason
    support: float | None
    n_votes: int

    @property
    def kept(self) -> bool:
        """Whether the pair goes into the dataset."""
        return self.reason.keeps


def digest(value: object) -> str:
    """SHA-256, in hex, of a JSON value in canonical form (keys sorted, no blanks)."""
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half of a surrogate pair, an integer of more than 64 bits
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        data = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()
