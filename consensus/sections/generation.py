"""The model whose completions are compared."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from consensus.nouns import digest
from consensus.sections.base import Misfit
from consensus.sections.endpoints import Endpoint


class Generation(Endpoint):
    """The model whose completions are compared, and how they are drawn and paired."""

    word: ClassVar[str] = "generation model"

    temperature: float | None = Field(default=1.0, ge=0, le=2, description="null asks without one")
    n: int = Field(default=4, ge=1, le=256, description="completions of each prompt")
    seeds: bool = Field(
        default=True, description="send a seed of its own with every draw, where the provider takes one"
    )
    system_prompt: str | None = Field(default=None, min_length=1, description="in place of the traces' own")
    tools: bool = Field(default=True, description="send the tools that the trace had")
    production: bool = Field(default=True, description="the answer that production gave is a candidate, too")
    pairing: Literal["all", "some", "production", "round"] = Field(
        default="all", description="which completions meet: every two; so many of those; each the production's; a round"
    )
    pairs_per_prompt: int | None = Field(default=None, ge=1, description="with some: how many")

    @model_validator(mode="after")
    def _says_how_many(self) -> Generation:
        if (self.pairing == "some") != (self.pairs_per_prompt is not None):
            raise Misfit("'pairing: some' and 'pairs_per_prompt' go together", "generation", "pairing")
        if self.pairing == "production" and not self.production:
            raise Misfit("'pairing: production' needs 'production: true'", "generation", "production")
        if self.provider == "recorded":
            raise Misfit("a recorded model draws nothing; give the pairs under 'input:'", "generation", "provider")
        return self

    def identity(self) -> dict[str, Any]:
        """What makes a completion this model's completion; how it is reached does not, nor how many are drawn."""
        same = {"provider", "model", "temperature", "max_tokens", "extra", "seeds", "system_prompt", "tools"}
        return self.model_dump(mode="json", include=same) | self.adapted

    @property
    def config_hash(self) -> str:
        """Part of a completion's key, so that two settings of one model are never mixed."""
        return digest(self.identity())[:12]
