"""What the store has for a dataset: facts of all pairs in columns, and the texts of chosen ones, part by part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from consensus.statistics.clusters import Ints
from consensus.store import Store

PART = 10_000  # pairs whose texts are in memory at a time
_SIDES = ("prompt", "chosen", "rejected")


def facts(store: Store, cycle: str) -> pa.Table:
    """The cycle's pairs in the order they came, as `Store.pair_columns` has them, without any text.

    `row` (where the pair stands in the store), `pair_id`, `prompt_id`, `content_hash`, `category`, `gold` (null without), and of
    the label `verdict` (null without), `reason`, `support`.
    """
    return store.columns(
        """
        SELECT p.rowid AS row, p.pair_id, p.prompt_id, p.content_hash, p.category, p.gold, l.verdict, l.reason, l.support
        FROM cycle_pairs c JOIN pairs p USING (pair_id) LEFT JOIN (SELECT * FROM labels WHERE cycle = $cycle) l USING (pair_id)
        WHERE c.cycle = $cycle ORDER BY c.rowid
        """,
        {"cycle": cycle},
    )


def plain(store: Store, cycle: str) -> bool:
    """Whether prompts and completions of the cycle are all plain text, none chat messages."""
    chat = " OR ".join(f"NOT starts_with({name}, '\"')" for name in ("prompt", "completion_a", "completion_b"))
    found = store.columns(
        f"SELECT 1 FROM pairs JOIN cycle_pairs USING (pair_id) WHERE cycle = $cycle AND ({chat}) LIMIT 1",
        {"cycle": cycle},
    )
    return not len(found)


def prompts(store: Store, rows: Ints) -> Iterator[str]:
    """The prompts, as JSON, of pairs given by their increasing `row`."""
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        table = store.columns(
            "SELECT p.prompt FROM pairs p JOIN part ON p.rowid = part.row WHERE p.rowid BETWEEN $low AND $high ORDER BY p.rowid",
            {"low": int(part[0]), "high": int(part[-1])},
            part=pa.table({"row": part}),
        )
        yield from table["prompt"].to_pylist()


def texts(store: Store, chosen: pa.Table) -> Iterator[pa.Table]:
    """Pairs with their texts, a table of at most 10,000 at a time.

    Args:
        chosen: increasing `row`, and `a` (whether completion a is the chosen one); more columns are passed on.
    Returns:
        The same rows with `prompt`, `chosen`, `rejected` (the text where it is plain, else null), `prompt_chat`, `chosen_chat`,
        `rejected_chat` (messages as JSON where it is none, else null), and `tools` (JSON, null without).
    """
    chosen_side = "CASE WHEN t.a THEN p.completion_a ELSE p.completion_b END"
    sides = ("p.prompt", chosen_side, chosen_side.replace("WHEN t.a", "WHEN NOT t.a"))
    columns = ", ".join(
        f"CASE WHEN starts_with({side}, '\"') THEN ({side}) ->> '$' END AS {name}, "
        f"CASE WHEN NOT starts_with({side}, '\"') THEN {side} END AS {name}_chat"
        for name, side in zip(_SIDES, sides, strict=True)
    )
    for start in range(0, len(chosen), PART):
        part = chosen.slice(start, PART)
        ends = np.asarray(part["row"])[[0, -1]]
        yield store.columns(
            f"SELECT t.*, {columns}, CASE WHEN p.extra <> '{{}}' THEN p.extra ->> 'tools' END AS tools "
            "FROM pairs p JOIN part t ON p.rowid = t.row WHERE p.rowid BETWEEN $low AND $high ORDER BY p.rowid",
            {"low": int(ends[0]), "high": int(ends[1])},
            part=part,
        )
