"""Models, and how they are reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from consensus.nouns import digest
from consensus.sections.base import EnvironmentName, Name, OfModel, Section, Url


class Price(Section):
    """US dollars per million tokens."""

    input: float = Field(ge=0, description="uncached input tokens")
    output: float = Field(ge=0, description="output tokens, reasoning included")
    cached_input: float | None = Field(default=None, ge=0, description="input tokens read from the provider's cache")
    batch: float = Field(default=0.5, gt=0, le=1, description="share of these prices that a batch costs")

    def in_batch(self) -> Price:
        """What the same tokens cost in a batch."""
        cached = None if self.cached_input is None else self.cached_input * self.batch
        return Price(input=self.input * self.batch, output=self.output * self.batch, cached_input=cached, batch=1)


class Endpoint(OfModel):
    """A model and how to reach and ask it."""

    word: ClassVar[str] = "model"  # what messages call it

    provider: Name = Field(
        description="anthropic, openai, google, any other provider litellm knows; local (in this process); or simulated"
    )
    model: Name = Field(
        description="the provider's own name for the model; of a local one its folder, file or hub's name"
    )
    adapter: Path | None = Field(default=None, description="with provider local: a folder with a LoRA adapter for it")
    name: Name | None = Field(default=None, description="what it is called in tables; by default the model")
    api_base: Url | None = Field(default=None, description="an OpenAI-compatible endpoint, e.g. vLLM")
    api_key_env: EnvironmentName | None = Field(default=None, description="environment variable that holds the key")
    temperature: float | None = Field(default=0.0, ge=0, le=2, description="null asks without one")
    max_tokens: int = Field(default=1024, ge=1, description="the longest reply")
    rpm: float | None = Field(default=None, gt=0, description="requests per minute")
    tpm: float | None = Field(default=None, gt=0, description="tokens per minute, prompt and reply")
    max_parallel: int = Field(default=32, ge=1, description="calls in flight at most")
    price: Price | None = Field(default=None, description="by default from litellm's price map")
    fallbacks: tuple[str, ...] = Field(default=(), description="other models whose answer counts as this one's")
    extra: dict[str, Any] = Field(default_factory=dict, description="further request parameters, sent as they are")

    @property
    def label(self) -> str:
        """Its name in tables and in the store."""
        return self.name or self.model

    @property
    def adapted(self) -> dict[str, str]:
        """Its adapter as part of what it is: the end of the folder's path, so that the folder may move with the cycle."""
        return {} if self.adapter is None else {"adapter": "/".join(self.adapter.parts[-2:])}

    @model_validator(mode="after")
    def _adapter_is_local(self) -> Self:
        if self.adapter is not None and self.provider != "local":
            raise ValueError(
                f"an adapter is put on by 'provider: local'; {self.provider!r} has to serve it by a name of its own"
            )
        if self.provider == "local" and self.api_base is not None:
            raise ValueError(
                "'provider: local' runs in this process and has no api_base; a server has 'provider: openai'"
            )
        return self

    @property
    def called(self) -> bool:
        """Whether it is asked at all; a recorded judge is not."""
        return self.provider != "recorded"


class Judge(Endpoint):
    """A model that judges."""

    word: ClassVar[str] = "judge"

    provider: Name = Field(
        description="anthropic, openai, google, any other provider litellm knows; local (in this process); simulated; or "
        "recorded (never called)"
    )

    begin: str | None = Field(
        default=None,
        min_length=1,
        description="how its reply begins, put into its mouth; for servers that go on with a last message (docs/local.md)",
    )

    def identity(self, rubric: str) -> dict[str, Any]:
        """What makes a vote this judge's vote; how it is reached (address, key, limits) does not."""
        same = self.model_dump(mode="json", include={"provider", "model", "temperature", "max_tokens", "extra"})
        if self.provider == "recorded":
            same = {"provider": self.provider, "model": self.model}
        begun = {} if self.begin is None else {"begin": self.begin}
        return same | self.adapted | begun | {"rubric": digest(rubric)[:12]}

    def config_hash(self, rubric: str) -> str:
        """Part of a vote's key, so that two settings of one model are never mixed."""
        return digest(self.identity(rubric))[:12]


class Gateway(Section):
    """One OpenAI-compatible endpoint through which every judge is reached (Bifrost, the LiteLLM proxy)."""

    api_base: Url
    api_key_env: EnvironmentName | None = None
    model: str = Field(default="{provider}/{model}", description="how the gateway names a judge's model")
    fresh: bool = Field(
        default=True,
        description="ask the LiteLLM proxy and Bifrost to answer from no response cache, so that a repeat is a new answer",
    )


class Account(Section):
    """What a provider allows one account; all judges of the provider share it."""

    rpm: float | None = Field(default=None, gt=0, description="requests per minute")
    tpm: float | None = Field(default=None, gt=0, description="tokens per minute, prompt and reply")


class Limits(Section):
    """For all judges; further keys are providers, e.g. `openai: {rpm: 500, tpm: 400000}`."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, Account] = Field(init=False)
    max_attempts: int = Field(default=6, ge=1, le=100, description="calls for one ballot before it is a failure")
    timeout_s: float = Field(default=120, gt=0, description="seconds until a call is given up")
    batch_requests: int | None = Field(
        default=None, ge=1, description="requests in a batch at most; by default what the provider takes"
    )
