"""`consensus ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consensus.cycle import Cycle
    from labeling.intake import Intake
    from labeling.trace_intake import TraceIntake


def ingest(
    cycle: Path,
    /,
    *overrides: str,
    pairs: Path | None = None,
    votes: Path | None = None,
    traces: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    outcomes: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    column: Annotated[list[str] | None, Parameter(name="--map")] = None,
    json: bool = False,
) -> int:
    """Read pairs, recorded votes, production traces or outcomes; without a file, what the cycle file names under `input:`.

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
    outcomes: list[Path]
        What production measured: rows of checkpoint, metric, value, and n or request_id; or of checkpoint, request_id, and a
        column for every metric (JSONL, JSON, CSV, Parquet).
    column: list[str]
        Another name for a column of the pairs (or traces, or outcomes), as prompt=question; may be given again. See also
        `input.columns`.
    json: bool
        Print one JSON object.
    """
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.prompt_store import Prompts
    from consensus.store import Store
    from consensus.terminal import emit, out
    from labeling.intake import ingest_input, ingest_outcomes, ingest_pairs, ingest_votes
    from labeling.rubric import Rubric
    from labeling.trace_intake import ingest_traces

    loaded = load(cycle, overrides)
    flags = {"pair": pairs, "trace": traces, "outcome": outcomes}
    given = bool(votes or any(flags.values()))
    files = loaded.input
    named = flags if given else {"pair": files.pairs, "trace": files.traces, "outcome": files.outcomes}
    loaded = _mapped(loaded, [what for what, found in named.items() if found], column or (), given_files=given)
    rubric = Rubric.of(loaded).system
    done: list[Intake | TraceIntake] = []
    with Store(loaded.store) as store:
        store.register(loaded, rubric)
        if not given:
            done += ingest_input(store, loaded, rubric)
            if files.traces:
                done.append(ingest_traces(store, loaded, files.traces))
        if pairs:
            done.append(ingest_pairs(store, loaded, pairs))
        if votes:
            done.append(ingest_votes(store, loaded, votes, rubric))
        if traces:
            done.append(ingest_traces(store, loaded, traces))
        done += [ingest_outcomes(store, file, loaded.input.outcome_columns) for file in outcomes or ()]
        total, prompts = store.pair_count(loaded.name), Prompts(store).count(loaded.name)
    if not done:
        raise UsageError(
            "nothing to ingest: give --pairs, --votes, --traces or --outcomes, or name files under 'input:' in "
            + str(cycle)
        )
    if json:
        read = [intake.figures() for intake in done]
        emit({"cycle": loaded.name, "pairs": total, "prompts": prompts, "files": read})
    else:
        for intake in done:
            for line in intake.lines():
                out().print(line, markup=False)
    return 1 if any(intake.lost for intake in done) and not any(intake.found for intake in done) else 0


def _mapped(cycle: Cycle, kinds: Sequence[str], given: Sequence[str], *, given_files: bool) -> Cycle:
    """The cycle with --map's names beside those of its file, for the columns of what is read."""
    from consensus.errors import UsageError
    from consensus.sections.inputs import COLUMNS, article

    if not given:
        return cycle
    if given_files and len(kinds) > 1:
        raise UsageError(
            "--map goes with one of --pairs, --traces and --outcomes; for several, use 'input.columns', 'input.trace_columns' "
            "and 'input.outcome_columns'"
        )
    what = kinds[0] if kinds else "pair"
    columns = dict(item.partition("=")[::2] for item in given)
    if not all(columns.values()):
        raise UsageError("--map is given as ours=theirs, e.g. --map prompt=question")
    if unknown := sorted(columns.keys() - set(COLUMNS[what])):
        raise UsageError(f"--map {unknown[0]}=...: the columns of {article(what)} are {', '.join(COLUMNS[what])}")
    name = "columns" if what == "pair" else f"{what}_columns"
    both = {**getattr(cycle.input, name), **columns}
    return cycle.model_copy(update={"input": cycle.input.model_copy(update={name: both})})
