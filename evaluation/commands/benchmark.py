"""`consensus evaluate benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.benchmarks.parts import Judge


def benchmark(
    source: str,
    /,
    *,
    out: Path,
    train: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    seed: int = 0,
    near: float = 0.9,
    per_row: int = 3,
    cycle: Path | None = None,
    judge: str | None = None,
    verdict_only: bool = False,
    json: bool = False,
) -> int:
    """Split a benchmark by prompts, and write the pairs to be judged and the data to train a judge on.

    PART.pairs.jsonl is the `input: pairs:` of a cycle; train.answers.jsonl and train.judgments.jsonl are preference data for
    'consensus train' with training.task=judge. Sizes are about so many rows: every category gets its share, rounded down.

    Parameters
    ----------
    source: str
        A benchmark (rewardbench2, llmbar, judgebench, mtbench), or a file or folder of one of their schemas, or of pairs with gold.
    out: Path
        The folder to write.
    train: str
        Rows of the part that a judge is trained on: a number, or `rest` for all that no other part takes.
    validation: str
        Rows of a part to choose settings by.
    test: str
        Rows of the part on which judges are compared.
    seed: int
        Decides which rows go where, and which of a row's pairs are taken.
    near: float
        Prompts that are so similar, in (0, 1), go to one part; 0 keeps only the same ones together.
    per_row: int
        Pairs of a row at most that are trained on, so that no row and no category dominates; 0 takes all.
    cycle: Path
        The cycle file in which the trained judge will be asked: judgments are its requests, and reasons those of its panel, if its
        store has votes on these pairs. Without it no judgments are written.
    judge: str
        The name under which it will be asked; by default the cycle's first judge.
    verdict_only: bool
        Train the verdict alone, without the reasons of the panel: for a judge whose verdict is read off its first token.
    json: bool
        Print one JSON object.
    """
    from consensus.errors import ConsensusError, UsageError
    from consensus.terminal import emit, err
    from evaluation.benchmarks.parts import write_parts
    from evaluation.benchmarks.sources import read_benchmark

    if per_row < 0:
        raise UsageError(f"--per-row is a number of pairs, or 0 for all, not {per_row}")
    if not 0 <= near < 1:
        raise UsageError(f"--near is a similarity in (0, 1), or 0 for none, not {near}")
    if judge is not None and cycle is None:
        raise UsageError("--judge goes with --cycle: the cycle in which it will be asked")
    sizes = _sizes({"train": train, "validation": validation, "test": test})
    who = _judge(cycle, judge, reasons=not verdict_only) if cycle else None
    found = read_benchmark(source)
    for bad in found.refused:
        err().print(f"{source}, row {bad.row} is left out: {bad.reason}", markup=False)
    try:
        done = write_parts(found, out, sizes, seed=seed, near=near or None, most=per_row or None, judge=who)
    except OSError as error:
        raise ConsensusError(f"cannot write {out}: {error.strerror or error}") from None
    if who is not None and who.rubric.axes:
        err().print(
            "[yellow]the rubric asks for scores on axes, which the judgments do not have[/]: train with rubric: {axes: []}"
        )
    emit(done) if json else _show(out, done)
    return 0


def _sizes(given: dict[str, str | None]) -> dict[str, int | None]:
    from consensus.errors import UsageError

    sizes: dict[str, int | None] = {}
    for part, size in given.items():
        if size is None:
            continue
        if size != "rest" and not (size.isdecimal() and int(size) > 0):
            raise UsageError(f"--{part} is a number of rows, or rest, not {size!r}")
        sizes[part] = None if size == "rest" else int(size)
    if list(sizes.values()).count(None) > 1:
        raise UsageError("only one part can take the rest")
    return sizes


def _judge(cycle: Path, name: str | None, *, reasons: bool) -> Judge:
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.store import Store
    from evaluation.benchmarks.parts import Judge
    from evaluation.benchmarks.training_data import Reasons
    from labeling.rubric import Rubric

    loaded = load(cycle, ())
    if name is not None and name not in loaded.judge_names:
        raise UsageError(f"{cycle} has no judge {name!r}, but {', '.join(loaded.judge_names)}")
    given = Reasons()
    if reasons and loaded.store.exists():
        with Store(loaded.store) as store:
            given = Reasons.of(store.votes(loaded.name))
    return Judge(name or loaded.judge_names[0], Rubric.of(loaded), loaded.cycle.seed, given)


def _show(folder: Path, done: dict[str, Any]) -> None:
    from consensus.terminal import out, plain

    console = out()
    for part, each in done["parts"].items():
        categories = ", ".join(f"{name} {n:,}" for name, n in each["categories"].items())
        console.print(f"[bold]{part}[/]: {each['rows']:,} rows ({plain(categories)})")
    for name, each in done["files"].items():
        console.print(f"  {each['rows']:>7,}  {plain(str(folder / name))}")
