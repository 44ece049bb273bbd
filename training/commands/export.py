"""`consensus export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def export(cycle: Path, /, *overrides: str, out: Path | None = None, json: bool = False) -> int:
    """Write the kept pairs as a preference dataset in TRL's conversational format.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    overrides: str
        Settings that differ from the file, as key=value; another rule may be run over the same votes.
    out: Path
        A file (.jsonl or .parquet), or a folder for a Hugging Face dataset with a card; by default a folder beside the store.
    json: bool
        Print one JSON object.
    """
    from consensus.cyclefile import load
    from consensus.errors import ConsensusError, UsageError
    from consensus.store import Store
    from consensus.summary import gold_sentence, summary
    from consensus.terminal import emit, plain
    from consensus.terminal import out as stdout
    from training.dataset import rows, write_jsonl, write_parquet

    loaded = load(cycle, overrides)
    if not loaded.store.exists():
        raise UsageError(f"there is no store {loaded.store} yet; 'consensus label {cycle}' makes it")
    target = out or loaded.store.parent / f"{loaded.name.replace('/', '-')}-dataset"
    if target.suffix not in ("", ".jsonl", ".parquet") and not target.is_dir():
        raise ConsensusError(f"cannot write {target}: a name ends in .jsonl or .parquet, or is a folder's")
    with Store(loaded.store) as store:
        store.use_rule(loaded)
        figures = summary(store, loaded.name)
        if not figures["kept"]:
            raise ConsensusError(f"cycle {loaded.name!r} has no kept pairs to export; see 'consensus status {cycle}'")
        data = rows(store.labeled(loaded.name))
        try:
            if target.suffix in (".jsonl", ".parquet"):
                target.parent.mkdir(parents=True, exist_ok=True)
                written = (write_jsonl if target.suffix == ".jsonl" else write_parquet)(data, target)
            else:
                written = _folder(target, data, figures, gold_sentence(figures["gold"]))
        except OSError as error:
            raise ConsensusError(f"cannot write {target}: {error.strerror or error}") from None
    if json:
        emit({"cycle": loaded.name, "rows": written, "path": str(target)})
    else:
        stdout().print(f"wrote {written:,} pairs to [bold]{plain(str(target))}[/]")
    return 0


def _folder(target: Path, data: Any, figures: dict[str, Any], sentence: str) -> int:
    from consensus.errors import UsageError
    from training.dataset import card, write_parquet

    card_file = target / "README.md"
    if card_file.exists() and "judge-consensus" not in card_file.read_text("utf-8", "replace"):
        raise UsageError(f"{card_file} is not a card of ours; choose a folder of its own with --out")
    (target / "data").mkdir(parents=True, exist_ok=True)
    written = write_parquet(data, target / "data" / "train.parquet")
    card_file.write_text(card(figures, sentence), "utf-8")
    return written
