"""The field report's experiment: the same pairs labelled by one noisy judge and by a panel, trained alike, judged on gold.

python -m tests.benchmarks.field_report FOLDER [--data FILE] [--model MODEL] [--trained 480] [--test 200] [--batch 8]

The pairs are those of a file of {prompt, chosen, rejected}, else made up. The model is by default one of two layers with random
weights, that learns in a minute on one core what there is to learn from the surface of texts (length, words); any that
`training.model` takes, at hours for SmolLM2-135M.

Three simulated judges with the report's faults (median repeat flip 19, 15 and 12 % with a tail, first slot 7, 5 and 2 points too
often, a fifth of ties, some errors shared) label the same pairs. The same model is then trained for the same number of steps on as
many pairs: by what one judge said, by what two of three agreed on, by the panel's chances (calibrated on the pairs that people
looked at), and by gold. It is looked at on pairs of prompts that it never saw. What is done stays in FOLDER, so the same command
goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consensus.cycle_votes import read
from consensus.cyclefile import load as load_cycle
from consensus.nouns import digest
from consensus.sections.training import Training
from consensus.statistics.intervals import Interval, mean_interval, wilson
from consensus.store import Store
from evaluation.demo_pairs import demo_pairs

SEEDS, LABELLED, PEOPLE = 5, 1000, 100
JUDGES = """judges:
  - {provider: simulated, model: one, price: {input: 3, output: 15},
     extra: {accuracy: 0.73, flip_rate: 0.19, position_bias: 0.07, ties: 0.2, shared: 0.1}}
"""
PANEL = (
    JUDGES
    + """  - {provider: simulated, model: two, price: {input: 2.5, output: 10},
     extra: {accuracy: 0.78, flip_rate: 0.15, position_bias: 0.05, ties: 0.2, shared: 0.1}}
  - {provider: simulated, model: three, price: {input: 1.25, output: 10},
     extra: {accuracy: 0.81, flip_rate: 0.12, position_bias: 0.02, ties: 0.2, shared: 0.1}}
"""
)
REST = "store: {name}.duckdb\ninput: {{pairs: train.jsonl}}\naudit: {{pairs: 100000, repeats: 2, orders: one}}\n"
ARMS = {"one judge": "single", "2 of 3": "panel", "soft": "panel", "gold": "panel"}


@dataclass(frozen=True)
class Drawn:
    """The pairs of one seed, as rows {prompt, chosen, rejected, pair_id}."""

    train: list[dict[str, Any]]
    test: list[dict[str, Any]]


@dataclass(frozen=True)
class Budget:
    """What a seed has: pairs to train on and to look at afterwards, and pairs of a step."""

    trained: int
    test: int
    batch: int


def source(file: Path | None, test: int) -> list[dict[str, Any]]:
    """Preferences with gold: of a file, or made up."""
    if file is not None:
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    sides = {"a": ("completion_a", "completion_b"), "b": ("completion_b", "completion_a")}
    rows = []
    for pair in demo_pairs(LABELLED + SEEDS * test):
        chosen, rejected = (getattr(pair, side) for side in sides[str(pair.gold)])
        rows.append({"pair_id": pair.pair_id, "prompt": pair.prompt, "chosen": chosen, "rejected": rejected})
    return rows


def draw(rows: list[dict[str, Any]], seed: int, n_test: int) -> Drawn:
    """Whole prompts are held out, others by every seed, until there are enough pairs to test on."""
    prompts = sorted({digest(row["prompt"]) for row in rows})
    order = np.random.default_rng(17).permutation(len(prompts))
    part = np.array_split(order, SEEDS)[seed]
    held_out = {prompts[k] for k in part.tolist()}
    rng = np.random.default_rng([17, seed])
    mixed = [rows[k] for k in rng.permutation(len(rows)).tolist()]
    test = [row for row in mixed if digest(row["prompt"]) in held_out]
    return Drawn([row for row in mixed if digest(row["prompt"]) not in held_out][:LABELLED], test[:n_test])


def consensus(*words: str) -> dict[str, Any]:
    """What a command prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "consensus.cli", *words, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def label(folder: Path, drawn: Drawn, seed: int) -> dict[str, dict[str, Any]]:
    """Label the pairs to train on by one judge and by the panel: what was kept and spent, and how often it would come again."""
    with (folder / "train.jsonl").open("w", encoding="utf-8") as out:
        for row in drawn.train:
            swap = int(digest(row["pair_id"])[:2], 16) & 1
            a, b = (row["rejected"], row["chosen"]) if swap else (row["chosen"], row["rejected"])
            pair = {"pair_id": row["pair_id"], "prompt": row["prompt"], "completion_a": a, "completion_b": b}
            out.write(json.dumps({**pair, "gold": "b" if swap else "a"}) + "\n")
    figures = {}
    for name, judges in (("single", JUDGES), ("panel", PANEL)):
        file = folder / f"{name}.yaml"
        # A judge's draws are hashes of its name, so that another name is another judge with the same faults.
        text = judges + REST.format(name=name)
        for model in ("one", "two", "three"):
            text = text.replace(f"model: {model},", f"model: {model}-{seed}, ")
        file.write_text(text + f"cycle: {{name: {name}, seed: {seed}}}\n", "utf-8")
        said = consensus("label", str(file))
        spent = said["cost_usd"]
        consensus("audit", str(file), "--ask")
        again = consensus("audit", str(file))["panel"]["figures"]["same_label_if_kept_twice"]["value"]
        figures[name] = {"kept": said["retention"], "usd_per_10k": 1e4 * spent / said["pairs"], "same_again": again}
        figures[name]["right"] = said["gold"]["share"]
    return figures


def arms(folder: Path, drawn: Drawn) -> dict[str, list[dict[str, Any]]]:
    """The rows that each arm trains on: the side it takes for better first, with the chance that it gives."""
    from consensus.chances import sides

    texts = {row["pair_id"]: row for row in drawn.train}
    # Every arm takes the pairs in the same order, so that most of those it trains on are the others' too.
    made: dict[str, list[dict[str, Any]]] = {"gold": [row_of(row) for row in drawn.train]}
    for arm, name in (("one judge", "single"), ("2 of 3", "panel")):
        with Store(folder / f"{name}.duckdb") as store:
            kept = [(item.pair, item.label) for item in store.labeled(name)]
        made[arm] = [row_of(texts[pair.pair_id], right=label.verdict == pair.gold) for pair, label in kept]
    cycle = load_cycle(folder / "panel.yaml")
    with Store(cycle.store) as store:
        found = read(store, cycle)
    ids = found.votes.pair_ids
    # People looked at the first of the pairs only, which calibrates; no arm trains on these.
    looked = np.isin(ids, [row["pair_id"] for row in drawn.train[:PEOPLE]])
    chance = sides(found, among=looked)
    right = np.where(found.votes.gold == 1, chance.p_a, 1 - chance.p_a)
    made["soft"] = [
        row_of(texts[name], right=p >= 0.5, p=max(p, 1 - p)) for name, p in zip(ids, right.tolist(), strict=True)
    ]
    place = {row["pair_id"]: k for k, row in enumerate(drawn.train)}
    return {
        arm: sorted((row for row in found if place[row["pair_id"]] >= PEOPLE), key=lambda row: place[row["pair_id"]])
        for arm, found in made.items()
    }


def row_of(row: dict[str, Any], *, right: bool = True, p: float = 1.0) -> dict[str, Any]:
    """A row to train on; where the label is wrong, the sides change places."""
    chosen, rejected = (row["chosen"], row["rejected"]) if right else (row["rejected"], row["chosen"])
    messages = {"prompt": turns("user", row["prompt"]), "chosen": turns("assistant", chosen)}
    return {
        **messages,
        "rejected": turns("assistant", rejected),
        "tools": None,
        "p_chosen": p,
        "pair_id": row["pair_id"],
    }


def turns(role: str, text: Any) -> list[dict[str, Any]]:
    """A text as chat messages."""
    return [{"role": role, "content": text}] if isinstance(text, str) else text


def train(
    model: str, folder: Path, arm: str, rows: list[dict[str, Any]], drawn: Drawn, seed: int, budget: Budget
) -> list[float]:
    """Train, and the held-out margins by gold; kept, so that it is done once."""
    file = folder / f"{arm.replace(' ', '-')}.json"
    if not file.exists():
        from training.dpo import fit
        from training.model import load

        settings = Training(
            epochs=1, batch_size=budget.batch, learning_rate=1e-4, seed=seed, look_every=10_000, patience=None
        )
        test = [row_of(row) for row in drawn.test]
        fitted = fit(
            load(model or str(tiny(folder.parent / "model"))),
            rows[: budget.trained],
            test,
            settings,
            folder / arm.replace(" ", "-"),
        )
        assert fitted.after is not None
        file.write_text(json.dumps(fitted.after.margins.tolist()))
    margins: list[float] = json.loads(file.read_text())
    return margins


def tiny(folder: Path) -> Path:
    """The model of two layers, made once."""
    from tests.training.tiny import tiny_model

    return folder if folder.exists() else tiny_model(folder)


def shown(one: Interval) -> str:
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def main(folder: Path, data: Path | None, model: str, budget: Budget) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = source(data, budget.test)
    right: dict[str, list[float]] = {arm: [] for arm in ("length only", *ARMS)}
    prompt: list[str] = []
    figures = []
    for seed in range(SEEDS):
        place = folder / str(seed)
        place.mkdir(parents=True, exist_ok=True)
        drawn = draw(rows, seed, budget.test)
        if not (place / "labels.json").exists():
            (place / "labels.json").write_text(json.dumps(label(place, drawn, seed)))
        figures.append(json.loads((place / "labels.json").read_text()))
        made = arms(place, drawn)
        for arm in ARMS:
            margins = np.array(train(model, place, arm, made[arm], drawn, seed, budget))
            right[arm] += np.where(margins == 0, 0.5, margins > 0).tolist()
            print(f"seed {seed}, {arm}: {np.mean(margins > 0):.3f}", file=sys.stderr, flush=True)
        longer = np.array([len(str(row["chosen"])) - len(str(row["rejected"])) for row in drawn.test])
        right["length only"] += np.where(longer == 0, 0.5, longer > 0).tolist()
        prompt += [digest(row["prompt"]) for row in drawn.test]
    table = Table(
        *(
            "labels by",
            "same label again",
            "kept",
            "right, of kept",
            "$ per 10,000",
            "held-out gold",
            "beyond one judge",
        ),
        title=f"{LABELLED} pairs labelled, {budget.trained // budget.batch} steps of {budget.batch}, {SEEDS} seeds, "
        f"{len(prompt)} held-out pairs",
    )
    single = np.array(right["one judge"])
    for arm, outcome in right.items():
        cells = ["", "", "", ""]
        if arm in ("one judge", "2 of 3", "soft"):
            of = [one[ARMS[arm]] for one in figures]
            mean = {name: float(np.mean([one[name] for one in of])) for name in of[0]}
            whole = arm == "soft"
            cells = [f"{100 * mean['same_again']:.1f}", "100" if whole else f"{100 * mean['kept']:.1f}"]
            cells += ["" if whole else f"{100 * mean['right']:.1f}", f"{mean['usd_per_10k']:.2f}"]
        beyond = "" if arm == "one judge" else shown(mean_interval(np.array(outcome) - single, prompt))
        table.add_row(arm, *cells, shown(wilson(outcome, prompt)), beyond)
    Console(width=150).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where labels, adapters and margins are kept")
    parser.add_argument("--data", type=Path, help="JSON lines of {pair_id, prompt, chosen, rejected}; made up without")
    parser.add_argument("--model", default="", help="as in training.model")
    parser.add_argument("--trained", type=int, default=480, help="pairs that each arm trains on")
    parser.add_argument("--test", type=int, default=200, help="pairs of other prompts that each seed is judged on")
    parser.add_argument("--batch", type=int, default=8, help="pairs of a step")
    asked = parser.parse_args()
    main(asked.folder, asked.data, asked.model, Budget(asked.trained, asked.test, asked.batch))
