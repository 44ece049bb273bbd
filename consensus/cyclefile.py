"""Reading a cycle file: every mistake at once, each with its place, the line, a caret and "did you mean"."""

from __future__ import annotations

import difflib
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarbool import ScalarBoolean

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.sections.base import SECRET, Misfit

LARGEST = 1_000_000  # bytes
MANY, DEEPEST, WIDEST = 50_000, 50, 160  # values in a file, levels of them, characters of a line that are shown
SECRET_KEY = (
    r"(?:[\w-]*[_-])?(?:api[_-]?key|(?:access|secret|private)[_-]key|secret|password|authorization"
    r"|(?:access|auth|bearer|api)[_-]token)|key|token"
)
_HIDDEN = re.compile(  # what stands behind a key's name (on the next lines if it is a block), and before a URL's @
    rf"""((?<![\w-])(?:{SECRET_KEY}|api_key_env)["']?\s*[:=]\s*|://(?=[^/\s@]*@))"""
    r"([|>][^\n]*(?:\n[ \t]+[^\n]*)+|(?<=://)[^/\s@]*|\S[^\n]*)",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # as YAML counts lines
_KINDS = {"tuple_type": "a list", "model_type": "a mapping", "dict_type": "a mapping", "path_type": "a path"}
Path_ = tuple[str | int, ...]
Changed = Mapping[tuple[str, ...], str]


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
            return f"on the command line: {_without_secrets(self.override)}\n  {self.message}"
        head = f"{file}:{self.line}:{self.column}: {self.message}"
        source = lines[self.line - 1] if 0 < self.line <= len(lines) else ""
        if not source.strip():
            return head
        start = max(0, self.column - WIDEST // 2) if len(source) > WIDEST else 0
        visible = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in source[start : start + WIDEST])
        indent = "".join(c if c == "\t" else " " for c in visible[: self.column - 1 - start])
        return f"{head}\n  {visible}\n  {indent}^"


def load(path: Path, overrides: Sequence[str] = ()) -> Cycle:
    """Read a cycle file; `overrides` are `key.subkey=value`, the value in YAML.

    Paths in the file (store, input, rubric) are resolved against the file's folder.

    Raises:
        UsageError: the file cannot be read, or is not a cycle; the message lists every mistake.
    """
    text = _text(path)
    lines = _LINE_END.split(_without_secrets(text))
    try:
        with warnings.catch_warnings(action="ignore"):  # that an anchor was used before
            data = YAML(typ="rt").load(io.StringIO(text))
    except Exception as error:  # noqa: BLE001 - beside its own errors ruamel raises what int, date and dict raise
        raise UsageError(_syntax(error, text).shown(str(path), lines)) from None
    if not isinstance(data, CommentedMap):
        raise UsageError(f"{path}:1:1: a cycle file is a mapping that starts with 'judges:'")
    changed = {where: item for override in overrides for where, item in _override(data, override).items()}
    if any(level > DEEPEST or n > MANY for n, level in enumerate(_levels(data))):  # an alias may even hold itself
        raise UsageError(f"{path}:1:1: this is nested too deeply, or has too many values, for a cycle file")
    unfit = [*_unfit(data, (), changed)]
    places = {(mistake.line, mistake.column, mistake.override) for mistake in unfit}
    mistakes = unfit + [m for m in _validate(data, changed) if (m.line, m.column, m.override) not in places]
    if mistakes:
        ordered = sorted(mistakes, key=lambda m: (m.override is not None, m.line, m.column))
        raise UsageError("\n".join(mistake.shown(str(path), lines) for mistake in ordered))
    return _rooted(Cycle.model_validate(_plain(data)), path.parent)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST:,} bytes: that is no cycle file")
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no {path}; 'consensus init {path}' writes one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _without_secrets(text: str) -> str:
    """The text with stars for every character that may be part of a key or password."""
    hidden = _HIDDEN.sub(lambda found: found[1] + re.sub(r"[^\r\n]", "*", found[2]), text)
    return SECRET.sub(lambda found: re.sub(r"[^\r\n]", "*", found[0]), hidden)


def _rooted(cycle: Cycle, folder: Path) -> Cycle:
    """The same cycle with its relative paths taken from the cycle file's folder."""

    def root(value: Path | None) -> Path | None:
        try:
            return value if value is None else folder / value.expanduser()
        except RuntimeError:
            raise UsageError(f"there is no home folder for {str(value)!r}") from None

    files: dict[str, Any] = {name: root(path) for name, path in cycle.input if isinstance(path, Path)}
    for name in ("traces", "outcomes"):
        files[name] = tuple(root(path) for path in getattr(cycle.input, name))
    judges = tuple(judge.rooted(folder, adapter=root(judge.adapter)) for judge in cycle.judges)
    made = cycle.generation and cycle.generation.rooted(folder, adapter=root(cycle.generation.adapter))
    contest: dict[str, Any] = {"gold": root(cycle.evaluation.gold)}
    for side in ("candidate", "baseline"):
        if one := getattr(cycle.evaluation, side):
            contest[side] = one.rooted(folder, adapter=root(one.adapter))
    return cycle.model_copy(
        update={
            "judges": judges,
            "generation": made,
            "store": root(cycle.store),
            "input": cycle.input.model_copy(update=files),
            "training": cycle.training.rooted(
                folder, **({"rows": root(rows)} if (rows := cycle.training.rows) else {})
            ),
            "rubric": cycle.rubric.model_copy(update={"file": root(cycle.rubric.file)}),
            "evaluation": cycle.evaluation.model_copy(update=contest),
        }
    )


def _levels(value: Any, level: int = 0) -> Iterator[int]:
    """The level of every value, in the order of the file."""
    yield level
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _levels(inner, level + 1)


def _plain(value: Any) -> Any:
    """ruamel's containers and scalars as plain ones, so that pydantic reports plain types."""
    match value:
        case dict():
            return {str(k): _plain(v) for k, v in value.items()}
        case list():
            return [_plain(v) for v in value]
        case bool() | ScalarBoolean():
            return bool(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str(value)
    return value


def _syntax(error: Exception, text: str) -> Mistake:
    if isinstance(error, ReaderError):
        before = _LINE_END.split(text[: error.position])
        return Mistake(
            len(before), len(before[-1]) + 1, f"a character that cannot stand here (number {error.character})"
        )
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
        return Mistake(1, 1, f"this is not YAML: {SECRET.sub('***', said)[:WIDEST]}")
    mark, problem = error.problem_mark, error.problem or "this is not YAML"
    if problem.startswith("found duplicate key"):
        problem = problem.split(" with value")[0] + "; each key may be given once"
    return Mistake(mark.line + 1, mark.column + 1, SECRET.sub("***", problem)[:WIDEST])


def _override(data: CommentedMap, item: str) -> dict[tuple[str, ...], str]:
    """Put `key.subkey=value` into the data; what was changed, and by which words."""
    key, equals, text = item.partition("=")
    said = repr(_without_secrets(item)[:WIDEST])
    if not equals or not key:
        raise UsageError(f"cannot read {said}: settings are given as key=value, e.g. consensus.min_agree=3")
    where = [int(part) if part.isdecimal() and len(part) < 6 else part for part in key.split(".")]
    try:
        value = YAML(typ="rt").load(text)
    except Exception:  # noqa: BLE001 - as above
        raise UsageError(f"cannot read {said}: its value is not YAML") from None
    place: Any = data
    changed = {}
    for depth, part in enumerate(where[:-1], 1):
        if isinstance(place, CommentedMap) and place.get(part) is None:
            place[part] = CommentedMap()
            changed[tuple(map(str, where[:depth]))] = item
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            raise UsageError(f"cannot set {said}: the cycle has no such place") from None
    if isinstance(place, CommentedSeq) and not (isinstance(where[-1], int) and where[-1] < len(place)):
        raise UsageError(f"cannot set {said}: the list has {len(place)} entries, counted from 0")
    if not isinstance(place, (CommentedMap, CommentedSeq)):
        raise UsageError(f"cannot set {said}: the cycle has no such place")
    place[where[-1]] = value
    return changed | {tuple(map(str, where)): item}


def _unfit(value: Any, where: Path_, changed: Changed, parent: Any = None) -> Iterator[Mistake]:
    """Keys and tokens that were written into the file, and values that no setting can have."""
    message, kind = None, "value"
    if where and isinstance(parent, dict) and SECRET.search(str(where[-1])):
        message, kind = "this looks like a key, and a key does not belong in this file", "key"
    elif (
        where
        and re.fullmatch(SECRET_KEY, str(where[-1]), re.IGNORECASE)
        and not isinstance(value, (dict, list, type(None)))
    ):
        message, kind = f"{where[-1]!r} does not belong in this file; name the variable in 'api_key_env'", "key"
    elif isinstance(value, str) and SECRET.search(value):
        message = "this looks like a key; keys come from the environment only: name the variable in 'api_key_env'"
    elif isinstance(value, str) and not _is_text(value):
        message = "this text has a NUL character, or half of a surrogate pair"
    elif isinstance(value, float) and not math.isfinite(value):
        message = "this is not a number that can be sent"
    elif isinstance(value, int) and value.bit_length() > 63:
        message = "this number is too large"
    elif not isinstance(value, (dict, list, str, int, float, type(None))):
        message = "this is neither text nor a number; put quotes around it to make it text"
    if message:
        yield Mistake(*_place(parent, where[-1], kind), message, _by_override(where, changed))
    elif isinstance(value, (dict, list)):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in inside:
            yield from _unfit(inner, (*where, key), changed, value)


def _is_text(value: str) -> bool:
    return "\0" not in value and not re.search("[\ud800-\udfff]", value)


def _by_override(where: Path_, changed: Changed) -> str | None:
    """The words on the command line that set this value, or something around it."""
    steps = tuple(map(str, where))
    return next((changed[steps[:n]] for n in range(len(steps), 0, -1) if steps[:n] in changed), None)


def _validate(data: CommentedMap, changed: Changed) -> list[Mistake]:
    try:
        Cycle.model_validate(_plain(data))
    except ValidationError as error:
        return [_mistake(data, dict(problem), changed) for problem in error.errors()]
    return []


def _mistake(data: CommentedMap, problem: dict[str, Any], changed: Changed) -> Mistake:
    where: Path_ = problem["loc"]
    message = SECRET.sub("***", _message(problem, where))
    if isinstance(misfit := problem.get("ctx", {}).get("error"), Misfit):
        where = misfit.where
    holder: Any = data
    for part in where[:-1]:
        try:
            holder = holder[part]
        except (KeyError, IndexError, TypeError):
            break
    kind = {"missing": "holder", "extra_forbidden": "key"}.get(problem["type"], "value")
    place = _place(holder, where[-1], kind) if where else (1, 1)
    return Mistake(*place, message, _by_override(where, changed))


def _message(problem: dict[str, Any], where: Path_) -> str:
    name = ".".join(str(part) for part in where)
    match problem["type"]:
        case "extra_forbidden":
            known = _known_keys(where[:-1])
            close = difflib.get_close_matches(str(where[-1])[:60], known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"here may stand: {', '.join(known)}"
            return f"unknown key {_short(_without_secrets(str(where[-1])))}; {hint}"
        case "missing":
            return f"{name!r} is missing"
        case "value_error":
            return f"{name}: {problem['ctx']['error']}" if name else str(problem["ctx"]["error"])
    said = f"input should be {_KINDS[problem['type']]}" if problem["type"] in _KINDS else str(problem["msg"])
    given = problem.get("input")
    shown = f", not {_short(given)}" if isinstance(given, (str, int, float, bool)) or given is None else ""
    return f"{name}: {said[0].lower()}{said[1:]}{shown}"


def _short(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 63:
        return "a number that large"  # Python refuses to write out huge ones
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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


def _place(holder: Any, key: Any, kind: str) -> tuple[int, int]:
    """Line and column, from 1, of a key or value; of its holder where ruamel did not record it."""
    if isinstance(holder, CommentedMap):
        key = next((known for known in holder if str(known) == str(key)), key)
        kind = "key" if kind == "value" and holder.get(key) is None else kind  # null may be written as nothing at all
    elif kind == "value":
        kind = "item"
    try:
        line, column = getattr(holder.lc, kind)(key)
    except (AttributeError, KeyError, TypeError, IndexError):
        lc = getattr(holder, "lc", None)
        return (lc.line + 1, lc.col + 1) if lc is not None and lc.line is not None else (1, 1)
    return line + 1, column + 1
