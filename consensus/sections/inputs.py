"""What a cycle reads."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from consensus.sections.base import Name, Section

PAIR_COLUMNS = ("pair_id", "prompt", "completion_a", "completion_b", "category", "gold")


TRACE_COLUMNS = (
    *("prompt", "completion", "tools", "model", "started_at", "ended_at"),
    *("trace_id", "span_id", "conversation_id", "tags", "outcomes"),
)

OUTCOME_COLUMNS = ("checkpoint", "metric", "value", "n", "request_id", "conversation_id", "at", "source")
COLUMNS = {"pair": PAIR_COLUMNS, "trace": TRACE_COLUMNS, "outcome": OUTCOME_COLUMNS}
"""Of what is ingested, our names of its columns."""


def article(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


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
    outcomes: tuple[Path, ...] = Field(
        default=(), description="what production measured, by checkpoint or by request, a file or several"
    )
    outcome_columns: dict[str, str] = Field(
        default_factory=dict, description="our name of an outcome's column: the file's, where they differ"
    )
    redact: tuple[Masked, ...] = Field(
        default=(), description="kinds of secrets and personal data that are masked before anything is stored"
    )

    @field_validator("traces", "outcomes", mode="before")
    @classmethod
    def _one_or_several(cls, files: Any) -> Any:
        return [files] if isinstance(files, (str, Path)) else files

    @field_validator("columns", "trace_columns", "outcome_columns")
    @classmethod
    def _known(cls, columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        what = str(info.field_name).removesuffix("columns").removesuffix("_") or "pair"
        if unknown := sorted(columns.keys() - set(COLUMNS[what])):
            raise ValueError(f"{unknown[0]!r} is no column of {article(what)}; those are {', '.join(COLUMNS[what])}")
        return columns
