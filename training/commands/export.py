"""`consensus export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consensus.chances import Chances


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
    from consensus.chances import chances
    from consensus.cycle_votes import read
    from consensus.cyclefile import load
    from consensus.errors import ConsensusError, UsageError
    from consensus.store import Store
    from consensus.summary import gold_sentence, summary
    from consensus.terminal import emit, plain
    from consensus.terminal import out as stdout
    from training.dataset import card, rows, write_jsonl, write_parquet

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
        if [judge["judge"] for judge in figures["judges"]] != loaded.judge_names:
            raise UsageError(f"the votes of cycle {loaded.name!r} are of other judges than {cycle} names")
        sure = chances(read(store, loaded))
        data = rows(store.labeled(loaded.name), sure.by_pair)
        try:
            if target.suffix in (".jsonl", ".parquet"):
                target.parent.mkdir(parents=True, exist_ok=True)
                written = (write_jsonl if target.suffix == ".jsonl" else write_parquet)(data, target)
            else:
                written = _folder(target, data, card(figures, gold_sentence(figures["gold"]), _calibration(sure)))
        except OSError as error:
            raise ConsensusError(f"cannot write {target}: {error.strerror or error}") from None
    if json:
        emit(
            {
                "cycle": loaded.name,
                "rows": written,
                "path": str(target),
                "calibrated_on": len(sure.by_pair) and sure.gold,
            }
        )
    else:
        stdout().print(f"wrote {written:,} pairs to [bold]{plain(str(target))}[/]")
        stdout().print(_calibration(sure), markup=False)
    return 0


def _calibration(sure: Chances) -> str:
    from consensus.chances import FEWEST

    if not sure.by_pair:
        return f"p_chosen is null: {sure.gold:,} pairs have gold, and a calibration needs {FEWEST}."
    return (
        f"p_chosen is the chance that the label is right, by the votes' latent model calibrated on {sure.gold:,} pairs with gold "
        f"(factor {sure.factor:.2f}; below 1 as judges share errors)."
    )


def _folder(target: Path, data: Any, text: str) -> int:
    from consensus.errors import UsageError
    from training.dataset import write_parquet

    card_file = target / "README.md"
    if card_file.exists() and "judge-consensus" not in card_file.read_text("utf-8", "replace"):
        raise UsageError(f"{card_file} is not a card of ours; choose a folder of its own with --out")
    (target / "data").mkdir(parents=True, exist_ok=True)
    written = write_parquet(data, target / "data" / "train.parquet")
    card_file.write_text(text, "utf-8")
    return written
