"""`consensus ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def ingest(
    cycle: Path,
    /,
    *overrides: str,
    pairs: Path | None = None,
    votes: Path | None = None,
    column: Annotated[list[str] | None, Parameter(name="--map")] = None,
    json: bool = False,
) -> int:
    """Read pairs and recorded votes into the store; without a file, what the cycle file names under `input:`.

    Good rows are kept; refused ones are listed with their number and the reason. Ingesting a file twice adds nothing.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    overrides: str
        Settings that differ from the file, as key=value.
    pairs: Path
        Rows of prompt, completion_a, completion_b (JSONL, JSON, CSV, Parquet).
    votes: Path
        Recorded votes: rows of pair_id, judge, order, repeat, verdict, raw.
    column: list[str]
        Another name for a column of the pairs, as prompt=question; may be given again. See also `input.columns`.
    json: bool
        Print one JSON object.
    """
    from consensus.cycle import PAIR_COLUMNS
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.store import Store
    from consensus.terminal import emit, out
    from labeling.intake import ingest_input, ingest_pairs, ingest_votes
    from labeling.rubric import Rubric

    loaded = load(cycle, overrides)
    columns = dict(item.partition("=")[::2] for item in column or ())
    if not all(columns.values()):
        raise UsageError("--map is given as ours=theirs, e.g. --map prompt=question")
    if unknown := sorted(columns.keys() - set(PAIR_COLUMNS)):
        raise UsageError(f"--map {unknown[0]}=...: the columns of a pair are {', '.join(PAIR_COLUMNS)}")
    rubric = Rubric.of(loaded).system
    with Store(loaded.store) as store:
        store.register(loaded, rubric)
        done = [ingest_pairs(store, loaded, pairs, columns)] if pairs else []
        done += [ingest_votes(store, loaded, votes, rubric)] if votes else []
        if not pairs and not votes:
            done = ingest_input(store, loaded, rubric, columns)
        total = store.pair_count(loaded.name)
    if not done:
        raise UsageError(f"nothing to ingest: give --pairs or --votes, or name them under 'input:' in {cycle}")
    if json:
        emit({"cycle": loaded.name, "pairs": total, "files": [intake.figures() for intake in done]})
    else:
        for intake in done:
            for line in intake.lines():
                out().print(line, markup=False)
    return 1 if any(intake.refused for intake in done) and not any(intake.read for intake in done) else 0
