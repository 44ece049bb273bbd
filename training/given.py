"""Rows that were made elsewhere, such as judgments to train a judge on, in place of a cycle's labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from consensus.errors import UsageError
from consensus.nouns import digest
from training.dataset import messages
from training.preferences import Plan
from training.split import split, spoken

if TYPE_CHECKING:
    from consensus.sections.training import Training

_ROLES = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}


def given(cycle: str, file: Path, settings: Training) -> tuple[Plan, pa.Table]:
    """A plan of the file's rows, and the rows as `preference_store.texts` gives them.

    A row has `prompt`, `chosen`, `rejected` (text or chat messages), and may have `pair_id`, `p_chosen` (else 1), `tools`,
    `category`, and `prompt_id`: rows with the same one are never parted, though their prompts differ, as requests to judge one pair
    in its two orders do. What is held out is decided as for a cycle's labels otherwise.

    Raises:
        UsageError: the file cannot be read, or a row is none; with its number.
    """
    rows, seen = [], dict[str, int]()
    for number, one in _read(file):
        try:
            rows.append(row := _row(number, one))
        except ValueError as error:
            raise UsageError(f"row {number} of {file} {error}") from None
        if seen.setdefault(name := row["pair_id"], number) != number:
            raise UsageError(
                f"row {number} of {file} has the 'pair_id' {name!r} of row {seen[name]}; give each its own"
            )
    prompts = {(row["prompt_id"], row["prompt_chat"]): None for row in rows}
    names, texts = [name for name, _ in prompts], (spoken(text) for _, text in prompts)
    found = split(names, texts, share=settings.validation, near=settings.near)
    side = dict(zip(names, found.held_out.tolist(), strict=True))
    held_out = np.array([side[row["prompt_id"]] for row in rows], dtype=np.bool_)
    table = pa.Table.from_pylist(rows, _SCHEMA).append_column("held_out", pa.array(held_out))
    total = hashlib.sha256()
    for row, out in zip(rows, held_out.tolist(), strict=True):
        total.update(digest([row, out]).encode())
    plan = Plan(
        cycle=cycle,
        policy="soft" if any(row["p_chosen"] < 1 for row in rows) else "hard",
        because=f"rows of {file.name}, taken as they are" + _unread(rows, settings),
        table=table.select(["pair_id", "prompt_id", "p_chosen", "support", "category", "gold", "held_out"]),
        left_out=pa.table({"pair_id": pa.array([], pa.string()), "reason": pa.array([], pa.string())}),
        by_people=0,
        overruled=0,
        sizes={"given": (int((~held_out).sum()), int(held_out.sum()))},
        prompts=len(side),
        groups=found.groups,
        largest=found.largest,
        digest=total.hexdigest(),
    )
    return plan, table


def _unread(rows: Sequence[Mapping[str, Any]], settings: Training) -> str:
    unsure = sum(row["p_chosen"] < 1 for row in rows)
    if settings.reads_chances or not unsure:
        return ""
    return f"; {unsure:,} have a chance below 1, which 'loss: {settings.loss}' does not read"


_SCHEMA = pa.schema(
    [(name, pa.string()) for side in _ROLES for name in (side, f"{side}_chat")]
    + [(name, pa.string()) for name in ("tools", "pair_id", "prompt_id", "category", "gold")]
    + [("p_chosen", pa.float64()), ("support", pa.float64())]
)


def _read(file: Path) -> Iterator[tuple[int, Any]]:
    """The rows with their numbers, of JSON lines those in the file.

    Raises:
        UsageError: the file cannot be read, or a line is no JSON.
    """
    try:
        if file.suffix == ".parquet":
            import pyarrow.parquet as pq

            yield from enumerate(pq.read_table(file).to_pylist(), 1)
            return
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageError(f"cannot read the rows of {file}: {error}; they are JSON lines, or Parquet") from None
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield number, orjson.loads(line)
        except ValueError as error:
            raise UsageError(f"row {number} of {file} is no JSON: {error}; rows are JSON lines, or Parquet") from None


def _row(number: int, row: Any) -> dict[str, Any]:
    """A row of the table.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(row, Mapping) or any(not isinstance(row.get(side), (str, list)) for side in _ROLES):
        raise ValueError("has no 'prompt', 'chosen' and 'rejected' of text or chat messages")
    chance, category = row.get("p_chosen"), row.get("category")
    if chance is not None and not (isinstance(chance, (int, float)) and 0 <= chance <= 1):
        raise ValueError(f"has a 'p_chosen' that is no chance in [0, 1]: {chance!r}")
    if not isinstance(category, str | None):
        raise ValueError(f"has a 'category' that is no text: {category!r}")
    if not isinstance(name := row.get("pair_id"), str | int | None):
        raise ValueError(f"has a 'pair_id' that is no text: {name!r}")
    turns = {side: _json(_messages(row[side], role)) for side, role in _ROLES.items()}
    return {
        **{f"{side}_chat": text for side, text in turns.items()},
        "tools": _tools(row.get("tools")),
        "pair_id": f"row-{number}" if name in (None, "") else str(name),
        "prompt_id": str(row.get("prompt_id") or digest(turns["prompt"])[:16]),
        "category": category,
        "p_chosen": 1.0 if chance is None else float(chance),
    }


def _messages(said: Any, role: str) -> list[dict[str, Any]]:
    try:
        turns = messages(said, role)
    except (KeyError, TypeError, AttributeError):
        turns = [{}]
    if not all(isinstance(turn.get("role"), str) for turn in turns):
        raise ValueError("has messages without a 'role', or with a 'content' that is no text")
    return turns


def _tools(given: Any) -> str | None:
    """A list of tools, or its JSON, as JSON."""
    try:
        tools = orjson.loads(given) if isinstance(given, str) and given else given or None
    except ValueError:
        tools = given
    if tools is None:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise ValueError(f"has 'tools' that are no list of them, nor the JSON of one: {str(given)[:80]!r}")
    return given if isinstance(given, str) else _json(tools)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
