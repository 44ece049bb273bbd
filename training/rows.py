"""A plan's pairs with their texts, as Arrow files that are mapped into memory, not read: `datasets.Dataset` without a copy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from consensus.errors import UsageError
from consensus.statistics.estimate import Bools
from training.dataset import PLAIN, WITH_TOOLS, messages

if TYPE_CHECKING:
    from consensus.store import Store
    from training.preferences import Plan

Row = dict[str, Any]
Tokens = Callable[[Sequence[Row]], Sequence[int]]
"""How many tokens the prompt with the longer completion has, per row."""
_ROLES = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
_FACTS = ("p_chosen", "support", "pair_id", "prompt_id", "category", "gold")
TRAIN, HELD_OUT, LEFT_OUT = "train.arrow", "held_out.arrow", "left_out.jsonl"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a plan's pairs.

    Attributes:
        left_out: per reason (see `preferences.WHY`) how many pairs; which, is in `left_out.jsonl`.
        tokens: of the rows to train on, each the prompt with its longer completion; 0 where they were not counted.
        longest: of a row that is in.
    """

    train: int
    held_out: int
    left_out: Mapping[str, int]
    tokens: int
    longest: int


def write(store: Store, plan: Plan, folder: Path, **how: Any) -> Counts:
    """Write a plan's pairs, with their texts from the store; `how` as for `write_parts`."""
    from consensus.preference_store import plain, texts

    return write_parts(texts(store, plan.table), plan, folder, plain=plain(store, plan.cycle), **how)


def write_parts(
    parts: Iterable[pa.Table],
    plan: Plan,
    folder: Path,
    *,
    plain: bool,
    tokens: Tokens | None = None,
    max_length: int = 0,
    stop: bool = False,
) -> Counts:
    """Write `train.arrow`, `held_out.arrow` and `left_out.jsonl` into the folder.

    Args:
        parts: the plan's pairs with their texts, see `preference_store.texts`.
        plain: whether all of these are plain text, none chat messages.
        tokens: counts the tokens of rows; None takes rows of any length.
        max_length: tokens of a row at most.
        stop: refuse to go on where a row is longer, in place of leaving it out.
    Raises:
        UsageError: a row is too long, and `stop` is set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    schema = _schema(PLAIN if plain else WITH_TOOLS)
    counts: Counter[str] = Counter(plan.left_out["reason"].to_pylist())
    sizes, total, longest = [0, 0], 0, 0
    with (
        pa.OSFile(str(folder / TRAIN), "wb") as train_file,
        pa.OSFile(str(folder / HELD_OUT), "wb") as test_file,
        pa.ipc.new_stream(train_file, schema) as train,
        pa.ipc.new_stream(test_file, schema) as test,
        (folder / LEFT_OUT).open("wb") as left_out,
    ):
        for part in plan.left_out.to_batches(max_chunksize=10_000):
            left_out.writelines(orjson.dumps(row) + b"\n" for row in part.to_pylist())
        for part in parts:
            rows = _built(part, schema)
            why = _unfit(rows)
            length = np.zeros(len(rows), np.int64)
            if tokens:
                fit = np.flatnonzero(why == "")
                length[fit] = tokens(rows.take(fit).to_pylist())
                why[length > max_length] = "too_long"
                if stop and (why == "too_long").any():
                    raise UsageError(_too_long(part, length, max_length))
            for k in np.flatnonzero(why != "").tolist():
                named = {"pair_id": part["pair_id"][k].as_py(), "reason": why[k]}
                left_out.write(orjson.dumps(named | ({"tokens": int(length[k])} if length[k] else {})) + b"\n")
            counts.update(why[why != ""].tolist())
            held_out = np.asarray(part["held_out"])
            for place, (out, side) in enumerate(((train, ~held_out), (test, held_out))):
                chosen = rows.filter(pa.array(side & (why == "")))
                out.write_table(chosen)
                sizes[place] += len(chosen)
            total += int(length[(why == "") & ~held_out].sum())
            longest = max(longest, int(length[why == ""].max(initial=0)))
    return Counts(sizes[0], sizes[1], dict(counts), total, longest)


def counter(tokenizer: Any) -> Tokens:
    """Counts tokens as the trainer does: through the tokenizer's chat template."""
    from training.tokens import tokenize

    return lambda rows: [pair.length for pair in tokenize(rows, tokenizer)]


def dataset(file: Path) -> Any:
    """The rows of a file as a `datasets.Dataset`, mapped into memory; messages are built as they are read.

    Raises:
        UsageError: the file is not there, or not whole.
    """
    from datasets import Dataset

    try:
        return Dataset.from_file(str(file))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(
            f"cannot read the rows of the run in {file}: {error}; delete the folder {file.parent.parent} and train again"
        ) from None


def row(stored: Mapping[str, Any]) -> Row:
    """A row without the fields that only other rows' messages have: a template may ask whether a message has `tool_calls`."""
    return {
        name: [{k: v for k, v in turn.items() if v is not None} for turn in value] if name in _ROLES else value
        for name, value in stored.items()
    }


def _schema(turns: pa.DataType) -> pa.Schema:
    return pa.schema(
        [
            *((name, turns) for name in _ROLES),
            ("tools", pa.string()),
            ("p_chosen", pa.float64()),
            ("support", pa.float64()),
        ]
        + [("pair_id", pa.string()), ("prompt_id", pa.string()), ("category", pa.string()), ("gold", pa.string())]
    )


def _built(part: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = {
        name: _turns(part[name], part[f"{name}_chat"], role, schema.field(name).type) for name, role in _ROLES.items()
    }
    rest = {name: part[name] for name in ("tools", *_FACTS)}
    return pa.table(columns | rest).select(schema.names).cast(schema)


def _turns(text: pa.ChunkedArray, chat: pa.ChunkedArray, role: str, turns: pa.DataType) -> pa.Array:
    """A column of chat messages; where all of it is text, without a loop."""
    n = len(text)
    if not text.null_count and turns == PLAIN:
        inner = pa.StructArray.from_arrays(
            [pa.repeat(pa.scalar(role), n), text.combine_chunks().cast(pa.string())], fields=list(turns.value_type)
        )
        return pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), inner)
    both = zip(text.to_pylist(), chat.to_pylist(), strict=True)
    return pa.array([messages(json.loads(c) if t is None else t, role) for t, c in both], turns)


def _unfit(rows: pa.Table) -> np.typing.NDArray[np.object_]:
    """Why each row cannot be trained on, "" where it can."""
    why = np.full(len(rows), "", dtype=object)
    if rows.schema.field("prompt").type == PLAIN:
        same = np.asarray(pc.equal(_words(rows, "chosen"), _words(rows, "rejected")))
    else:
        same = np.array([a == b for a, b in zip(rows["chosen"].to_pylist(), rows["rejected"].to_pylist(), strict=True)])
    why[same.astype(np.bool_)] = "same"
    for name in _ROLES:
        why[_empty(rows, name)] = "empty"
    return why


def _words(rows: pa.Table, name: str) -> pa.Array:
    """Of each row its only message's text."""
    return rows[name].combine_chunks().flatten().field("content")


def _empty(rows: pa.Table, name: str) -> Bools:
    if rows.schema.field(name).type == PLAIN:
        return np.asarray(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(_words(rows, name))), 0))
    said = (any(one["content"].strip() or one["tool_calls"] for one in turns) for turns in rows[name].to_pylist())
    return ~np.fromiter(said, np.bool_, len(rows))


def _too_long(part: pa.Table, length: Any, most: int) -> str:
    over = np.flatnonzero(length > most)
    some = ", ".join(f"{part['pair_id'][k].as_py()} ({length[k]:,} tokens)" for k in over[:5].tolist())
    return (
        f"pairs are longer than training.max_length ({most:,} tokens), e.g. {some}; raise it, or leave them out "
        "(training.too_long=leave_out)"
    )
