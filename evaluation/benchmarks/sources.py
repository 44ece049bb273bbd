"""Where a benchmark comes from: a name on the Hugging Face hub, or a local file or folder of the same schema."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consensus.errors import UsageError
from consensus.nouns import Pair
from evaluation.benchmarks.rows import Benchmark, Row, id_of
from evaluation.benchmarks.schemas import SCHEMAS, Raw, schema_of
from labeling.rows import BadRow, read_rows


@dataclass(frozen=True, slots=True)
class Hub:
    """A dataset of the hub.

    Attributes:
        config: its configuration; None for the only one.
        splits: read one after the other, each a part of the benchmark; none takes all there are.
    """

    repo: str
    config: str | None = None
    splits: tuple[str, ...] = ()


HUB = {
    "rewardbench2": Hub("allenai/reward-bench-2", splits=("test",)),
    "llmbar": Hub("princeton-nlp/LLMBar", "LLMBar"),
    "judgebench": Hub("ScalerLab/JudgeBench"),
    "mtbench": Hub("lmsys/mt_bench_human_judgments", splits=("human",)),
}
ENDINGS = (".jsonl", ".ndjson", ".json", ".parquet", ".csv")


def read_benchmark(source: str) -> Benchmark:
    """A benchmark by its name, or out of a file, or a folder of files whose names (or whose folders') are its parts.

    Raises:
        UsageError: there is no such thing, it cannot be fetched, or its rows are not what their schema says.
    """
    if source in HUB:
        return _formed(source, list(_from_hub(source, HUB[source])))
    path = Path(source)
    if not path.exists():
        raise UsageError(f"there is no benchmark {source!r}: name one of {', '.join(HUB)}, or a file that is there")
    return _formed(f"{path.resolve().parent.name}/{path.stem}", list(_from_files(path)))


def _from_files(path: Path) -> Iterator[tuple[str, Raw]]:
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in ENDINGS)
    for file in files:
        part = file.parent.name if file.stem == "dataset" else file.stem  # LLMBar calls every file dataset.json
        for item in read_rows(file):
            if isinstance(item, BadRow):
                raise UsageError(f"{file}, row {item.row}: {item.reason}")
            yield part, item[1]


def _from_hub(name: str, hub: Hub) -> Iterator[tuple[str, Raw]]:
    try:
        import datasets
    except ImportError:
        raise UsageError(
            f"{name!r} is fetched by a package that is not installed (datasets); install it with "
            "pip install 'judge-consensus[train]', or name a local file of the benchmark instead"
        ) from None
    try:
        loaded: Any = datasets.load_dataset(hub.repo, hub.config)
    except Exception as error:  # noqa: BLE001 - the hub's client raises whatever its layers do
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"cannot fetch {name!r} from hf.co/datasets/{hub.repo}: {first[:300]}. On a machine without the network, fetch the "
            "dataset elsewhere and name its file (JSONL or Parquet) instead"
        ) from None
    for split in hub.splits or sorted(loaded):
        if split not in loaded:
            raise UsageError(f"hf.co/datasets/{hub.repo} has no split {split!r}, but {', '.join(sorted(loaded))}")
        for row in loaded[split]:
            yield split, row


def _formed(name: str, rows: list[tuple[str, Raw]]) -> Benchmark:
    if not rows:
        raise UsageError(f"the benchmark {name} has no rows")
    schema = schema_of(rows[0][1])
    if schema is None:
        known = "; ".join(f"{each.name}: {', '.join(each.columns)}" for each in SCHEMAS)
        there = ", ".join(sorted(map(str, rows[0][1]))[:12])
        raise UsageError(f"the first row of {name} has {there}, and that is no schema known here ({known})")
    try:
        found = schema.read(rows)
    except KeyError as error:
        raise UsageError(f"a row of {name} has no {error}, which {schema.name} has") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: {error}") from None
    items = tuple(found)
    ids = Counter(id_of(item) for item in items if not isinstance(item, BadRow))
    if twice := [row_id for row_id, n in ids.items() if n > 1]:
        raise UsageError(f"the id {twice[0]!r} stands on {ids[twice[0]]} rows of {name}; every row needs its own")
    return Benchmark(
        name,
        rows=tuple(item for item in items if isinstance(item, Row)),
        pairs=tuple(item for item in items if isinstance(item, Pair)),
        refused=tuple(item for item in items if isinstance(item, BadRow)),
    )
