"""Reading a cycle file: every mistake at once, each with its place, the line, a caret and "did you mean"."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from consensus.cycle import SECRET, Cycle
from consensus.errors import UsageError

SECRET_KEYS = {"api_key", "apikey", "key", "token", "secret", "password", "authorization", "access_token", "auth_token"}
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a cycle file; line and column count from 1."""

    line: int
    column: int
    message: str
    override: str | None = None

    def shown(self, file: str, lines: Sequence[str]) -> str:
        """The mistake as people read it: place, message, source line, caret."""
        if self.override is not None:
            return f"on the command line: {self.override}\n  {self.message}"
        head = f"{file}:{self.line}:{self.column}: {self.message}"
        source = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        visible = SECRET.sub(lambda found: "*" * len(found[0]), source)
        return f"{head}\n  {visible}\n  {' ' * (self.column - 1)}^" if source.strip() else head


def load(path: Path, overrides: Sequence[str] = ()) -> Cycle:
    """Read a cycle file; `overrides` are `key.subkey=value`, the value in YAML.

    Paths in the file (store, input, rubric) are resolved against the file's folder.

    Raises:
        UsageError: the file cannot be read, or is not a cycle; the message lists every mistake.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no {path}; 'consensus init {path}' writes one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    lines = text.splitlines()
    try:
        data = YAML(typ="rt").load(io.StringIO(text))
    except YAMLError as error:
        raise UsageError(_syntax(error).shown(str(path), lines)) from None
    if not isinstance(data, CommentedMap):
        raise UsageError(f"{path}:1:1: a cycle file is a mapping that starts with 'judges:'")
    changed = dict(_override(data, item) for item in overrides)
    secrets = [*_secrets(data, ())]
    places = {(mistake.line, mistake.column) for mistake in secrets}
    mistakes = secrets + [m for m in _validate(data, changed) if m.override or (m.line, m.column) not in places]
    if mistakes:
        ordered = sorted(mistakes, key=lambda m: (m.override is not None, m.line, m.column))
        raise UsageError("\n".join(mistake.shown(str(path), lines) for mistake in ordered))
    return _rooted(Cycle.model_validate(_plain(data)), path.parent)


def _rooted(cycle: Cycle, folder: Path) -> Cycle:
    """The same cycle with its relative paths taken from the cycle file's folder."""

    def root(value: Path | None) -> Path | None:
        return value if value is None else folder / value.expanduser()

    files = {name: root(getattr(cycle.input, name)) for name in type(cycle.input).model_fields}
    return cycle.model_copy(
        update={
            "store": root(cycle.store),
            "input": cycle.input.model_copy(update=files),
            "rubric": cycle.rubric.model_copy(update={"file": root(cycle.rubric.file)}),
        }
    )


def _plain(value: Any) -> Any:
    """ruamel's containers as plain ones, so that pydantic reports plain types."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def _syntax(error: YAMLError) -> Mistake:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Mistake(1, 1, f"this is not YAML: {error}")
    mark, problem = error.problem_mark, error.problem or "this is not YAML"
    if problem.startswith("found duplicate key"):
        problem = problem.split(" with value")[0] + "; each key may be given once"
    return Mistake(mark.line + 1, mark.column + 1, problem)


def _override(data: CommentedMap, item: str) -> tuple[Path_, str]:
    """Put `key.subkey=value` into the data; what was changed, and by which words."""
    key, equals, text = item.partition("=")
    if not equals or not key:
        raise UsageError(f"cannot read {item!r}: settings are given as key=value, e.g. consensus.min_agree=3")
    where: list[str | int] = [int(part) if part.isdigit() else part for part in key.split(".")]
    try:
        value = YAML(typ="safe").load(text)
    except YAMLError:
        raise UsageError(f"cannot read {item!r}: its value is not YAML") from None
    place: Any = data
    for part in where[:-1]:
        if isinstance(place, CommentedMap) and place.get(part) is None:
            place[part] = CommentedMap()
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            raise UsageError(f"cannot set {item!r}: the cycle has no {key!r}") from None
    if isinstance(place, CommentedSeq) and not (isinstance(where[-1], int) and where[-1] < len(place)):
        raise UsageError(f"cannot set {item!r}: the list has {len(place)} entries, counted from 0")
    if not isinstance(place, (CommentedMap, CommentedSeq)):
        raise UsageError(f"cannot set {item!r}: the cycle has no {key!r}")
    place[where[-1]] = value
    return tuple(where), item


def _secrets(value: Any, where: Path_, parent: Any = None) -> Iterator[Mistake]:
    """Keys and tokens that were written into the file."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if str(key).lower().replace("-", "_") in SECRET_KEYS and isinstance(inner, str):
                line, column = _key_place(value, key)
                yield Mistake(line, column, f"{key!r} does not belong in this file; name the variable in 'api_key_env'")
            else:
                yield from _secrets(inner, (*where, str(key)), value)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secrets(inner, (*where, index), value)
    elif isinstance(value, str) and SECRET.search(value):
        line, column = _value_place(parent, where[-1])
        message = "this looks like a key; keys come from the environment only: name the variable in 'api_key_env'"
        yield Mistake(line, column, message)


def _validate(data: CommentedMap, changed: dict[Path_, str]) -> list[Mistake]:
    try:
        Cycle.model_validate(_plain(data))
    except ValidationError as error:
        return [_mistake(data, dict(problem), changed) for problem in error.errors()]
    return []


def _mistake(data: CommentedMap, problem: dict[str, Any], changed: dict[Path_, str]) -> Mistake:
    where: Path_ = tuple(part for part in problem["loc"] if isinstance(part, int) or "[" not in str(part))
    message = _message(problem, where)
    for length in range(len(where), 0, -1):
        if where[:length] in changed:
            return Mistake(0, 0, message, changed[where[:length]])
    holder: Any = data
    for part in where[:-1]:
        try:
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            break
    if not where or not isinstance(holder, (CommentedMap, CommentedSeq)):
        return Mistake(1, 1, message)
    if problem["type"] == "missing":
        return Mistake(holder.lc.line + 1, holder.lc.col + 1, message)
    place = _key_place if problem["type"] == "extra_forbidden" else _value_place
    return Mistake(*place(holder, where[-1]), message)


def _message(problem: dict[str, Any], where: Path_) -> str:
    name = ".".join(str(part) for part in where)
    match problem["type"]:
        case "extra_forbidden":
            known = _known_keys(where[:-1])
            close = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"here may stand: {', '.join(known)}"
            return f"unknown key {where[-1]!r}; {hint}"
        case "missing":
            return f"{name!r} is missing"
        case "value_error":
            return str(problem["ctx"]["error"]) if not name else f"{name}: {problem['ctx']['error']}"
    said = str(problem["msg"])
    given = problem.get("input")
    shown = f", not {given!r}" if isinstance(given, (str, int, float, bool)) or given is None else ""
    return f"{name}: {said[0].lower()}{said[1:]}{shown}"


def _known_keys(where: Path_) -> list[str]:
    """The keys that may stand in the section at `where`."""
    model: type[BaseModel] = Cycle
    for part in where:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        inner = next((m for m in (annotation, *get_args(annotation)) if _is_model(m)), None)
        if inner is None:
            return []
        model = inner
    return sorted(model.model_fields)


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _key_place(holder: Any, key: Any) -> tuple[int, int]:
    return _place(holder, key, "key")


def _value_place(holder: Any, key: Any) -> tuple[int, int]:
    return _place(holder, key, "value" if isinstance(holder, CommentedMap) else "item")


def _place(holder: Any, key: Any, kind: str) -> tuple[int, int]:
    """Line and column, from 1, of a key or value; of its holder where ruamel did not record it."""
    try:
        line, column = getattr(holder.lc, kind)(key)
    except (AttributeError, KeyError, TypeError, IndexError):
        lc = getattr(holder, "lc", None)
        return (lc.line + 1, lc.col + 1) if lc is not None and lc.line is not None else (1, 1)
    return line + 1, column + 1
