"""What every section of the cycle file rests on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a cycle file stands: no setting, and any two are equal, as it is no part of what a section says."""

    folder: Path | None = field(default=None, compare=False)


class OfModel(Section):
    """A section that names a model, which may be a folder beside the cycle file."""

    _place: _Place = PrivateAttr(default=_Place())

    @property
    def folder(self) -> Path | None:
        """The cycle file's folder, where the model's relative path is looked for first; None outside of a file."""
        return self._place.folder

    def rooted(self, folder: Path, **changed: Any) -> Self:
        """The same with these fields changed, in a cycle file of this folder."""
        found = self.model_copy(update=changed)
        found._place = _Place(folder)
        return found
