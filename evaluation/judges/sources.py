"""Where the verdicts of the table come from: a cycle's store, or files of pairs and recorded votes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Ballot, Pair, Shown, Verdict
from consensus.sections.endpoints import Price
from consensus.store import Store
from evaluation.benchmarks.rows import Benchmark, pairs_of
from evaluation.judges.calls import Calls, calls_of
from evaluation.judges.judged import Judged
from labeling.cycle_run import hashes
from labeling.providers.routes import price
from labeling.recorded import to_vote
from labeling.rows import BadRow, read_rows
from labeling.rubric import Rubric
from training.rows import TRAIN

_CALL = ("prompt_tokens", "completion_tokens", "cost_usd", "latency_s", "created_at")
_COLUMNS = ("pair_id", "judge", "shown", "repeat", "verdict", *_CALL)  # not the replies: they are long


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Verdicts, and what is known of the calls that brought them.

    Attributes:
        calls, prices: by judge.
        trained: how many of the pairs a judge was trained on, where its adapter's run tells that it was on some.
    """

    name: str
    judged: Judged
    calls: Mapping[str, Calls]
    prices: Mapping[str, Price | None]
    trained: Mapping[str, int] = field(default_factory=dict)


def from_store(store: Store, cycle: Cycle, rubric: Rubric, benchmark: Benchmark | None = None) -> Found:
    """The votes of a registered cycle's judges, as they are set up now.

    Args:
        benchmark: the pairs that count, with its categories and gold; None takes the cycle's.
    Raises:
        UsageError: the cycle has none of the benchmark's pairs, or one of them with other texts.
    """
    known = {pair.pair_id: pair for pair, _ in store.work(cycle.name, {})}
    pairs = list(known.values())
    if benchmark is not None:
        pairs = [pair for pair in judged_pairs(benchmark) if pair.pair_id in known]
        if not pairs:
            raise UsageError(
                f"cycle {cycle.name!r} has no pair of {benchmark.name}; 'consensus evaluate benchmark' writes them, "
                "'consensus ingest' reads them"
            )
        _refuse_other_texts(pairs, known)
    asked, by_judge = hashes(cycle, rubric), defaultdict[str, list[dict[str, Any]]](list)
    for row in store.votes(cycle.name):
        if asked.get(row["judge"]) == row["config_hash"]:
            by_judge[row["judge"]].append({name: row[name] for name in _COLUMNS})
    said = (
        (Ballot(row["pair_id"], row["judge"], Shown(row["shown"]), row["repeat"]), Verdict(row["verdict"]))
        for rows in by_judge.values()
        for row in rows
    )
    return Found(
        benchmark.name if benchmark else cycle.name,
        Judged.of(pairs, cycle.judge_names, said),
        {judge: calls_of(by_judge[judge]) for judge in cycle.judge_names},
        {judge.label: price(judge) for judge in cycle.judges},
        {judge.label: n for judge in cycle.judges if judge.adapter and (n := trained_on(judge.adapter, pairs))},
    )


def from_files(benchmark: Benchmark, votes: Path) -> Found:
    """Recorded votes of whatever judges a file names, in the order of their names.

    Raises:
        UsageError: a row is no vote, none is on a pair of the benchmark, or two contradict each other.
    """
    pairs = judged_pairs(benchmark)
    known, said = {pair.pair_id for pair in pairs}, dict[Ballot, Verdict]()
    for ballot, verdict in _recorded(votes):
        if ballot.pair_id in known and said.setdefault(ballot, verdict) is not verdict:
            raise UsageError(
                f"{votes} has two verdicts of {ballot.judge!r} on {ballot.pair_id!r}, {ballot.shown}, repeat {ballot.repeat}"
            )
    if not said:
        raise UsageError(f"no vote of {votes} is on a pair of {benchmark.name}")
    judges = sorted({ballot.judge for ballot in said})
    return Found(benchmark.name, Judged.of(pairs, judges, said.items()), {}, {})


def judged_pairs(benchmark: Benchmark) -> Sequence[Pair]:
    """The pairs that a benchmark has judged: its own, or the first of each row."""
    return benchmark.pairs or [pair for row in benchmark.rows for pair in pairs_of(row)]


def trained_on(adapter: Path, pairs: Sequence[Pair]) -> int:
    """How many of the pairs an adapter was trained on; 0 where it does not stand in the folder of the run that made it."""
    import pyarrow as pa

    file = adapter.parent / "data" / TRAIN
    if not file.is_file():
        return 0
    try:
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as rows:
            names = {name for batch in rows for name in batch["pair_id"].to_pylist()}
    except (pa.ArrowException, KeyError):  # somebody else's file of that name
        return 0
    seen = {name.removesuffix(f"/{shown}") for name in names for shown in Shown} | names
    return sum(pair.pair_id in seen for pair in pairs)


def _refuse_other_texts(pairs: Sequence[Pair], known: Mapping[str, Pair]) -> None:
    """Gold is of a or b: a pair of the same name whose completions stand the other way round would turn it round."""
    for pair in pairs:
        stored = known[pair.pair_id]
        if (pair.prompt, pair.completion_a, pair.completion_b) != (
            stored.prompt,
            stored.completion_a,
            stored.completion_b,
        ):
            raise UsageError(
                f"the pair {pair.pair_id!r} has other texts in the cycle than in the benchmark; they are not the same"
            )


def _recorded(path: Path) -> Iterator[tuple[Ballot, Verdict]]:
    for item in read_rows(path):
        if isinstance(item, BadRow):
            raise UsageError(f"{path}, row {item.row}: {item.reason}")
        number, row = item
        try:
            vote = to_vote({**row, "raw": None})
        except ValueError as error:
            raise UsageError(f"{path}, row {number}: {error}") from None
        yield vote.ballot, vote.verdict
