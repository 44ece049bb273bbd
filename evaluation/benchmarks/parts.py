"""A benchmark's parts as files: the pairs to be judged, and what of the part `train` a judge is trained on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from consensus.errors import UsageError
from consensus.nouns import Pair, digest
from evaluation.benchmarks.rows import GROUP, Benchmark, Row, pairs_of, subset_of
from evaluation.benchmarks.splits import NEAR, split, together
from evaluation.benchmarks.training_data import Example, Reasons, answer_pairs, judgment_pairs
from labeling.rubric import Rubric
from training.dataset import write_jsonl

TRAIN = "train"
MANIFEST = "benchmark.json"


@dataclass(frozen=True, slots=True)
class Judge:
    """Who is trained on judgments, and what it will be asked.

    Attributes:
        name: under which it will be asked.
        seed: of the cycle in which it will be.
        reasons: of the panel that judged the pairs of the part `train`.
    """

    name: str
    rubric: Rubric
    seed: int
    reasons: Reasons


def parts_of(
    benchmark: Benchmark, sizes: Mapping[str, int | None], seed: int, near: float | None = NEAR
) -> dict[str, tuple[Row, ...] | tuple[Pair, ...]]:
    """The parts by name; all of the benchmark as `all` without sizes.

    Raises:
        UsageError: as `split`; or a part would be empty.
    """
    if not sizes:
        return {"all": benchmark.items}
    found: dict[str, tuple[Row, ...] | tuple[Pair, ...]]
    if benchmark.rows:
        found = dict(split(benchmark.rows, sizes, seed=seed, near=near).parts)
    else:
        found = dict(split(benchmark.pairs, sizes, seed=seed, near=near).parts)
    if empty := [part for part, size in sizes.items() if size and not found[part]]:
        raise UsageError(
            f"the part {empty[0]!r} of {sizes[empty[0]]:,} would be empty: it gets its share of every category, rounded down, and "
            "what shares a prompt or its answers is never parted; ask for a larger part"
        )
    return found


def write_parts(
    benchmark: Benchmark,
    folder: Path,
    sizes: Mapping[str, int | None],
    *,
    seed: int,
    most: int | None,
    judge: Judge | None,
    near: float | None = NEAR,
) -> dict[str, Any]:
    """Write the files, and the manifest that says what they are; what the manifest says.

    `{part}.pairs.jsonl` is what is judged, one pair a row; `train.answers.jsonl` and, for a judge, `train.judgments.jsonl` what is
    trained on, of each row up to `most` pairs (of each kind).

    Args:
        most: None takes all pairs of a row.
        judge: None writes no judgments.
        near: the similarity from which prompts hang together; None: only the same ones.
    Raises:
        UsageError: the parts are larger than the benchmark, or one would be empty.
    """
    parts = parts_of(benchmark, sizes, seed, near)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for part, items in parts.items():
        files[f"{part}.pairs.jsonl"] = _write(
            folder / f"{part}.pairs.jsonl", _pair_rows(expanded(items, most=1, seed=seed))
        )
    if TRAIN in parts:
        train = _named(expanded(parts[TRAIN], most=most, seed=seed, ties=True), together(parts[TRAIN], near=near))
        files["train.answers.jsonl"] = _write(folder / "train.answers.jsonl", answer_pairs(train))
        if judge is not None:
            examples = judgment_pairs(train, judge.rubric, judge=judge.name, seed=judge.seed, reasons=judge.reasons)
            files["train.judgments.jsonl"] = _write(folder / "train.judgments.jsonl", examples)
    manifest = {
        "benchmark": benchmark.name,
        "seed": seed,
        "near": near,
        "pairs_per_row": most,
        "parts": {
            part: {"rows": len(items), "categories": dict(Counter(map(subset_of, items)))}
            for part, items in parts.items()
        },
        "judge": None
        if judge is None
        else {"name": judge.name, "seed": judge.seed, "rubric": digest(judge.rubric.system)[:12]},
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return manifest


def expanded(items: Sequence[Row] | Sequence[Pair], *, most: int | None, seed: int, ties: bool = False) -> list[Pair]:
    """The pairs of rows, as `pairs_of`; pairs as they are."""
    found: list[Pair] = []
    for item in items:
        found += [item] if isinstance(item, Pair) else pairs_of(item, most=most, ties=ties, seed=seed)
    return found


def _named(pairs: Iterable[Pair], group: Mapping[str, str]) -> list[Pair]:
    """Pairs with the name of what they may not be parted from, by the id of their row or their own."""
    return [replace(pair, extra={**pair.extra, GROUP: group[pair.extra.get("row", pair.pair_id)]}) for pair in pairs]


def _pair_rows(pairs: Iterable[Pair]) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        own = {
            "pair_id": pair.pair_id,
            "prompt": pair.prompt,
            "completion_a": pair.completion_a,
            "completion_b": pair.completion_b,
        }
        yield own | {"category": pair.category, "gold": pair.gold} | dict(pair.extra)


def _write(file: Path, rows: Iterable[Example]) -> dict[str, Any]:
    """Write rows; how many, and a digest by which they are known again."""
    written = list(rows)
    write_jsonl(written, file)
    return {"rows": len(written), "sha256": digest(written)}
