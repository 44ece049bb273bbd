"""`consensus ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labeling.intake import Intake
    from labeling.trace_intake import TraceIntake


def ingest(
    cycle: Path,
    /,
    *overrides: str,
    pairs: Path | None = None,
    votes: Path | None = None,
    traces: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    column: Annotated[list[str] | None, Parameter(name="--map")] = None,
    json: bool = False,
) -> int:
    """Read pairs, recorded votes, or production traces; without a file, what the cycle file names under `input:`.

    Good rows are kept; refused ones are listed with their number and the reason. Ingesting a file twice adds nothing. Of traces,
    prompts are drawn as `input.prompts` says, for `consensus generate` to draw completions for.

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
    traces: list[Path]
        Exports of production traces that belong together: spans, requests with replies, chat messages (the format is told by
        their keys).
    column: list[str]
        Another name for a column of the pairs (or traces), as prompt=question; may be given again. See also `input.columns`.
    json: bool
        Print one JSON object.
    """
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.prompt_store import Prompts
    from consensus.store import Store
    from consensus.terminal import emit, out
    from labeling.intake import ingest_input, ingest_pairs, ingest_votes
    from labeling.rubric import Rubric
    from labeling.trace_intake import ingest_traces

    loaded = load(cycle, overrides)
    if pairs and traces and column:
        raise UsageError(
            "--map goes with --pairs or with --traces; for both, use 'input.columns' and 'input.trace_columns'"
        )
    of_traces = bool(traces or (loaded.input.traces and not loaded.input.pairs and not pairs))
    columns = _columns(column or (), of_traces=of_traces)
    rubric = Rubric.of(loaded).system
    done: list[Intake | TraceIntake] = []
    with Store(loaded.store) as store:
        store.register(loaded, rubric)
        if not pairs and not votes and not traces:
            done += ingest_input(store, loaded, rubric, None if of_traces else columns)
            if loaded.input.traces:
                done.append(ingest_traces(store, loaded, loaded.input.traces, columns if of_traces else None))
        if pairs:
            done.append(ingest_pairs(store, loaded, pairs, columns))
        if votes:
            done.append(ingest_votes(store, loaded, votes, rubric))
        if traces:
            done.append(ingest_traces(store, loaded, traces, columns))
        total, prompts = store.pair_count(loaded.name), Prompts(store).count(loaded.name)
    if not done:
        raise UsageError(
            f"nothing to ingest: give --pairs, --votes or --traces, or name them under 'input:' in {cycle}"
        )
    if json:
        files = [intake.figures() for intake in done]
        emit({"cycle": loaded.name, "pairs": total, "prompts": prompts, "files": files})
    else:
        for intake in done:
            for line in intake.lines():
                out().print(line, markup=False)
    return 1 if any(intake.lost for intake in done) and not any(intake.found for intake in done) else 0


def _columns(given: Sequence[str], *, of_traces: bool) -> dict[str, str]:
    from consensus.errors import UsageError
    from consensus.sections.inputs import PAIR_COLUMNS, TRACE_COLUMNS

    columns = dict(item.partition("=")[::2] for item in given)
    what, known = ("trace", TRACE_COLUMNS) if of_traces else ("pair", PAIR_COLUMNS)
    if not all(columns.values()):
        raise UsageError("--map is given as ours=theirs, e.g. --map prompt=question")
    if unknown := sorted(columns.keys() - set(known)):
        raise UsageError(f"--map {unknown[0]}=...: the columns of a {what} are {', '.join(known)}")
    return columns
