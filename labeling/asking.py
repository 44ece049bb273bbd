"""What the labeler knows of whom it asks, and of what: judges about pairs, or the model that is trained for completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from typing_extensions import TypeVar

from consensus.nouns import Asked, Ballot, Failure, Spent, Vote
from consensus.sections.endpoints import Endpoint, Price
from labeling.providers.base import Transport


class Answered(Protocol):
    """What was asked, with its answer: a vote, a completion."""

    @property
    def served_by(self) -> str | None:
        """The model that answered, by its own word."""

    @property
    def spent(self) -> Spent:
        """What it cost."""


Q = TypeVar("Q", bound=Asked, default=Ballot)
R = TypeVar("R", bound=Answered, default=Vote)
Heard = TypeVar("Heard", bound=Answered, contravariant=True, default=Vote)
Said = TypeVar("Said", bound=Answered, covariant=True, default=Vote)


class Task(Protocol[Q, Heard]):
    """Questions that belong together: the ballots of a pair, the draws of a prompt.

    Attributes:
        pending: questions on their way.
        given_up: those that brought no answer.
        served: which model spoke already, and for whom.
    """

    pending: int
    given_up: set[Q]
    served: dict[str, str]

    @property
    def subject(self) -> Any:
        """The pair, or the prompt."""

    @property
    def begun(self) -> bool:
        """Whether there is an answer already."""

    def wave(self) -> Sequence[Q]:
        """The questions to ask next; none if it is done."""

    def heard(self, answer: Heard) -> None:
        """One was answered."""


class Respondent(Protocol[Q, Said]):
    """Whoever is asked: a judge, or the model that is trained."""

    @property
    def config(self) -> Endpoint:
        """How it is reached and asked."""

    @property
    def transport(self) -> Transport:
        """What carries its calls."""

    @property
    def price(self) -> Price | None:
        """Per million tokens; None if nobody knows."""

    @property
    def name(self) -> str:
        """By which questions are addressed to it."""

    async def ask(self, subject: Any, asked: Q, /, *, attempt: int = 1) -> Said | Failure[Q]:
        """Put one question, once."""

    def cost(self, prompt_tokens: int | None, completion_tokens: int | None, cached_tokens: int = 0) -> float | None:
        """US dollars; None without a price or a count."""

    def answers_as(self, served: str | None) -> bool:
        """Whether a model's name is its own (a fallback's is not)."""

    def tokens(self, subject: Any, asked: Q, /) -> tuple[int, int]:
        """A call's length before it is made: the request, and the usual reply."""
