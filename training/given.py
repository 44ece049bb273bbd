"""Rows that were made elsewhere, such as judgments to train a judge on, in place of a cycle's labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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


def given(name: str, file: Path, settings: Training) -> tuple[Plan, pa.Table]:
    """A plan of the file's rows, and the rows as `preference_store.texts` gives them.

    A row has `prompt`, `chosen`, `rejected` (text or chat messages), and may have `pair_id`, `p_chosen` (else 1), `tools`,
    `category`, and `prompt_id`: rows with the same one are never parted, though their prompts differ, as requests to judge one pair
    in its two orders do. What is held out is decided as for a cycle's labels otherwise.

    Raises:
        UsageError: the file cannot be read, or a row is none; with its number.
    """
    rows = [_row(file, number, row) for number, row in enumerate(_read(file), 1)]
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
        cycle=name,
        policy="soft" if any(row["p_chosen"] < 1 for row in rows) else "hard",
        because=f"rows of {file.name}, taken as they are",
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


_SCHEMA = pa.schema(
    [(name, pa.string()) for side in _ROLES for name in (side, f"{side}_chat")]
    + [(name, pa.string()) for name in ("tools", "pair_id", "prompt_id", "category", "gold")]
    + [("p_chosen", pa.float64()), ("support", pa.float64())]
)


def _read(file: Path) -> list[Any]:
    try:
        if file.suffix == ".parquet":
            import pyarrow.parquet as pq

            found: list[Any] = pq.read_table(file).to_pylist()
            return found
        return [orjson.loads(line) for line in file.read_bytes().splitlines() if line.strip()]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageError(f"cannot read the rows of {file}: {error}; they are JSON lines, or Parquet") from None


def _row(file: Path, number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping) or any(not isinstance(row.get(side), (str, list)) for side in _ROLES):
        raise UsageError(f"row {number} of {file} has no 'prompt', 'chosen' and 'rejected' of text or chat messages")
    chance = row.get("p_chosen")
    if chance is not None and not (isinstance(chance, (int, float)) and 0 <= chance <= 1):
        raise UsageError(f"row {number} of {file} has a 'p_chosen' that is no chance in [0, 1]: {chance!r}")
    try:
        turns = {side: _json(messages(row[side], role)) for side, role in _ROLES.items()}
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"row {number} of {file} has messages without a 'role'") from None
    tools = row.get("tools")
    return {
        **{f"{side}_chat": text for side, text in turns.items()},
        "tools": tools if tools is None or isinstance(tools, str) else _json(tools),
        "pair_id": str(row.get("pair_id") or f"row-{number}"),
        "prompt_id": str(row.get("prompt_id") or digest(turns["prompt"])[:16]),
        "category": row.get("category"),
        "p_chosen": 1.0 if chance is None else float(chance),
    }


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
