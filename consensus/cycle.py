"""What a cycle is: the models behind the cycle file. Defaults and meanings are written here and nowhere else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from consensus.nouns import digest
from consensus.rule import Rule

PAIR_COLUMNS = ("pair_id", "prompt", "completion_a", "completion_b", "category", "gold")
TRACE_COLUMNS = (
    *("prompt", "completion", "tools", "model", "started_at", "ended_at"),
    *("trace_id", "span_id", "conversation_id", "tags", "outcomes"),
)
MOST_JUDGES = 16  # the view `labels` packs a pair's votes into one number, six bits a judge
Name = Annotated[str, Field(min_length=1, max_length=200)]
SECRET = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{20,}|(?:gsk|xai|hf|ghp)[_-][A-Za-z0-9]{16,}|Bearer\s+\S{16,})"
)


def _environment_name(value: str) -> str:
    if (
        not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value)
        or re.fullmatch(r"[0-9a-f]{32,}", value)
        or SECRET.search(value)
    ):
        raise ValueError("this is the name of an environment variable, never the key itself, e.g. OPENAI_API_KEY")
    return value


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
        raise ValueError("an address starts with http:// or https://, e.g. http://127.0.0.1:8000/v1")
    if re.match(r"https?://[^/\s]*@", value):
        raise ValueError("this address holds a password; keys come from the environment, see api_key_env")
    try:
        parts = urlsplit(value)
        _ = parts.port, (parts.hostname or "").encode("idna")
        (parts.path + parts.query).encode("ascii")
    except ValueError:
        raise ValueError(
            "this address cannot be reached: its host has to be a name or an address, its port a number up to 65535, and "
            "what follows plain ASCII, e.g. http://127.0.0.1:8000/v1"
        ) from None
    return value.rstrip("/")


EnvironmentName = Annotated[str, AfterValidator(_environment_name)]
Url = Annotated[str, AfterValidator(_http_url)]


class Misfit(ValueError):
    """Two settings that do not fit together.

    Attributes:
        where: the one to change, as its way through the sections.
    """

    def __init__(self, message: str, *where: str | int) -> None:
        super().__init__(message)
        self.where = where


class Section(BaseModel):
    """A part of the cycle file: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_not_one(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("true and false cannot stand here")
        return value


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


class Endpoint(Section):
    """A model and how to reach and ask it."""

    word: ClassVar[str] = "model"  # what messages call it

    provider: Name = Field(description="anthropic, openai, google, any other provider litellm knows; or simulated")
    model: Name = Field(description="the provider's own name for the model")
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
    def called(self) -> bool:
        """Whether it is asked at all; a recorded judge is not."""
        return self.provider != "recorded"


class Judge(Endpoint):
    """A model that judges."""

    word: ClassVar[str] = "judge"

    provider: Name = Field(
        description="anthropic, openai, google, any other provider litellm knows; simulated; or recorded (never called)"
    )

    def identity(self, rubric: str) -> dict[str, Any]:
        """What makes a vote this judge's vote; how it is reached (address, key, limits) does not."""
        same = self.model_dump(mode="json", include={"provider", "model", "temperature", "max_tokens", "extra"})
        if self.provider == "recorded":
            same = {"provider": self.provider, "model": self.model}
        return same | {"rubric": digest(rubric)[:12]}

    def config_hash(self, rubric: str) -> str:
        """Part of a vote's key, so that two settings of one model are never mixed."""
        return digest(self.identity(rubric))[:12]


class Consensus(Section):
    """The panel's rule."""

    min_agree: int | None = Field(
        default=None,
        ge=1,
        description="verdicts for one side that keep a pair; by default more than half of the judges asked",
    )
    drop_pair_if_split: bool = Field(default=True, description="else the side that leads is kept, if one leads")


class Sampling(Section):
    """Which ballots are asked."""

    judges_per_pair: int | None = Field(
        default=None, ge=1, description="by default all; fewer are drawn by a hash of the pair"
    )
    rotate_completion_order: bool = Field(default=True, description="show completion b first in half of the ballots")
    orders: Literal["one", "both"] = Field(
        default="one", description="both: every judge sees both orders, and abstains where its two verdicts differ"
    )
    stop: Literal["settled", "confident", "never"] = Field(
        default="settled",
        description="settled: ask a judge while the label is open; confident: or until the votes are sure; never: ask everybody",
    )
    confidence: float = Field(
        default=0.9, gt=0.5, lt=1, description="with confident: the chance of a side at which judging stops"
    )
    first: Literal["cheapest", "balanced"] = Field(
        default="cheapest", description="who is tried first; balanced: everybody equally often"
    )
    audit_share: float = Field(
        default=0.1, ge=0, le=1, description="random share of pairs that is always asked completely"
    )


class CycleName(Section):
    """What this cycle is called."""

    name: Name = Field(default="cycle-1", description="votes and labels are kept under this name in the store")
    seed: int = Field(default=0, description="decides fences and every random choice")


class Prompts(Section):
    """Which prompts of the traces are judged."""

    size: int | None = Field(default=None, ge=1, description="prompts to draw; by default all that differ")
    by: tuple[Name, ...] = Field(
        default=(),
        description="fields whose values make a stratum: model, tags, outcome.NAME, or a name in the metadata",
    )
    floor: int = Field(default=1, ge=0, description="prompts from every stratum that has so many")
    order: Literal["uniform", "newest"] = Field(
        default="uniform", description="newest: no probability sample, so its prompts have no weights"
    )
    since: datetime | None = Field(default=None, description='of the start of a call, e.g. "2026-10-01"; UTC')
    until: datetime | None = Field(default=None, description="not included")
    near: float | None = Field(
        default=0.9, gt=0, lt=1, description="similarity from which two prompts are one; null compares them exactly"
    )
    cut: Literal["turn", "user"] = Field(
        default="turn", description="where the answer begins: behind the last turn of user or tool, or of the user"
    )

    @field_validator("since", "until")
    @classmethod
    def _in_utc(cls, time: datetime | None) -> datetime | None:
        return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)


Masked = Literal["email", "phone", "card", "iban", "ip", "secret"]


class Input(Section):
    """What to ingest; files are relative to the cycle file."""

    pairs: Path | None = Field(default=None, description="prompt and two completions a row: JSONL, JSON, CSV, Parquet")
    votes: Path | None = Field(default=None, description="recorded votes: JSONL, JSON, CSV, Parquet")
    columns: dict[str, str] = Field(
        default_factory=dict, description="our name of a pair's column: the file's, where they differ"
    )
    cycle: Name | None = Field(default=None, description="a cycle of the same store whose pairs are judged again")
    traces: tuple[Path, ...] = Field(default=(), description="exports of production traces, a file or several")
    trace_columns: dict[str, str] = Field(
        default_factory=dict, description="our name of a trace's column: the file's, where they differ"
    )
    prompts: Prompts = Prompts()
    redact: tuple[Masked, ...] = Field(
        default=(), description="kinds of secrets and personal data that are masked before anything is stored"
    )

    @field_validator("traces", mode="before")
    @classmethod
    def _one_or_several(cls, files: Any) -> Any:
        return [files] if isinstance(files, (str, Path)) else files

    @field_validator("columns", "trace_columns")
    @classmethod
    def _known(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        what, known = ("trace", TRACE_COLUMNS) if info.field_name == "trace_columns" else ("pair", PAIR_COLUMNS)
        if unknown := sorted(columns.keys() - set(known)):
            raise ValueError(f"{unknown[0]!r} is no column of a {what}; those are {', '.join(known)}")
        return columns


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
        return self.model_dump(mode="json", include=same)

    @property
    def config_hash(self) -> str:
        """Part of a completion's key, so that two settings of one model are never mixed."""
        return digest(self.identity())[:12]


class Rubric(Section):
    """What the judges are asked to look at."""

    file: Path | None = Field(default=None, description="a text of your own; by default configs/rubrics/pairwise.md")
    axes: tuple[Name, ...] = Field(
        default=("task_completion", "tool_use", "factuality", "instruction_following", "safety", "clarity"),
        description="scored 1 to 5 for both completions; [] asks for none",
    )


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


class Audit(Section):
    """Which requests `audit --ask` asks again; what the cycle paid for already is not paid twice."""

    pairs: int = Field(default=200, ge=1, description="pairs, drawn by a hash and spread over the prompts")
    repeats: int = Field(
        default=5, ge=1, le=1000, description="identical requests per judge, pair and order, the label's own included"
    )
    orders: Literal["one", "both"] = Field(
        default="both", description="one: the order in which the judge's vote makes the label"
    )


class Cycle(Section):
    """A whole cycle file."""

    judges: tuple[Judge, ...]
    cycle: CycleName = CycleName()
    store: Path = Field(default=Path("consensus.duckdb"), description="the DuckDB file; relative to the cycle file")
    input: Input = Input()
    generation: Generation | None = None
    rubric: Rubric = Rubric()
    consensus: Consensus = Consensus()
    sampling: Sampling = Sampling()
    gateway: Gateway | None = None
    limits: Limits = Limits()
    audit: Audit = Audit()

    @model_validator(mode="after")
    def _fits_together(self) -> Cycle:
        names = [judge.label for judge in self.judges]
        if not names:
            raise Misfit("'judges' is empty; a panel needs at least one judge, better three", "judges")
        for seat, name in enumerate(names):
            if name in names[:seat]:
                raise Misfit(f"two judges are called {name!r}; give one of them a 'name'", "judges", seat)
        if nobody := sorted((self.limits.__pydantic_extra__ or {}).keys() - self.providers):
            raise ValueError(f"limits.{nobody[0]}: no judge has this provider, and it is no setting of 'limits'")
        if (self.sampling.judges_per_pair or 0) > len(names):
            raise Misfit(
                f"sampling.judges_per_pair is {self.sampling.judges_per_pair}, but there are {len(names)} judges",
                "sampling",
                "judges_per_pair",
            )
        if self.rule.min_agree > self.asked_per_pair:
            raise Misfit(
                f"consensus.min_agree is {self.rule.min_agree}, but only {self.asked_per_pair} judges are asked about a pair",
                "consensus",
                "min_agree",
            )
        return self

    @property
    def providers(self) -> set[str]:
        """The providers of the judges, and of the model that is trained."""
        return {judge.provider for judge in self.judges} | ({self.generation.provider} if self.generation else set())

    def account(self, provider: str) -> Account:
        """What the provider allows; nothing is limited where the file says nothing."""
        return (self.limits.__pydantic_extra__ or {}).get(provider, Account())

    @property
    def name(self) -> str:
        """The cycle's name."""
        return self.cycle.name

    @property
    def judge_names(self) -> list[str]:
        """The judges in the order of their places."""
        return [judge.label for judge in self.judges]

    @property
    def asked_per_pair(self) -> int:
        """Judges asked about each pair."""
        return self.sampling.judges_per_pair or len(self.judges)

    @property
    def rule(self) -> Rule:
        """The panel's rule in the form the arithmetic takes."""
        return Rule(
            min_agree=self.consensus.min_agree or self.asked_per_pair // 2 + 1,
            drop_if_split=self.consensus.drop_pair_if_split,
            both_orders=self.sampling.orders == "both",
            rotate=self.sampling.rotate_completion_order,
            per_pair=self.sampling.judges_per_pair,
        )

    def meaning(self, rubric: str) -> dict[str, Any]:
        """What may not change within a cycle, since votes before and after would not mean the same.

        The rule is not part of it: labels are recomputed from the votes, so another rule may be run over old votes.
        """
        judges = {judge.label: judge.identity(rubric) for judge in self.judges}
        return {
            "judges": judges,
            "seats": self.judge_names,
            "seed": self.cycle.seed,
            "rotate_completion_order": self.sampling.rotate_completion_order,
            "judges_per_pair": self.asked_per_pair,
        }
