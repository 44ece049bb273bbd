"""Labeled cycles with a cycle file, for tests of what comes after labeling."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from consensus.cycle import Cycle
from consensus.cyclefile import load
from consensus.nouns import Ballot, Pair, Verdict, Vote
from consensus.rule import shown
from consensus.store import Store

NAME = "c"
WORDS = [f"w{k}" for k in range(200)]


def pairs(n: int, *, gold: int, per_prompt: int = 2) -> list[Pair]:
    """n pairs of which a is better in the even ones, the first so many with gold; the better completion says so."""
    rng = np.random.default_rng(1)
    made = []
    for k in range(n):
        if k % per_prompt == 0:
            prompt = " ".join(rng.choice(WORDS, 6))
        good, bad = f"yes {rng.choice(WORDS)} {k}", f"no {rng.choice(WORDS)} {k}"
        a, b = (good, bad) if k % 2 == 0 else (bad, good)
        made.append(Pair(f"p{k}", prompt, a, b, "math" if k % 3 else None, Verdict("ab"[k % 2]) if k < gold else None))
    return made


def cycle_file(folder: Path, training: str = "", judges: int = 3) -> Path:
    """A cycle file of recorded judges beside its store."""
    named = "".join(f"  - {{provider: recorded, model: j{k}}}\n" for k in range(judges))
    file = folder / "cycle.yaml"
    file.write_text(f"judges:\n{named}cycle: {{name: {NAME}}}\ntraining: {{{training}}}\n")
    return file


def labeled(
    folder: Path,
    given: Iterable[Pair],
    *,
    training: str = "",
    accuracy: Iterable[float] = (0.9, 0.8, 0.7),
    tie: float = 0.1,
) -> tuple[Path, Cycle]:
    """A cycle on disk whose judges voted, each in its own order, with these accuracies and this share of ties."""
    file, given, accuracy = cycle_file(folder, training), list(given), list(accuracy)
    cycle = load(file)
    rng = np.random.default_rng(2)
    votes = []
    for k, pair in enumerate(given):
        better = Verdict("ab"[k % 2])
        for seat, right in enumerate(accuracy):
            said = Verdict.TIE if rng.random() < tie else better if rng.random() < right else better.swapped()
            votes.append(Vote(Ballot(pair.pair_id, f"j{seat}", shown(pair.pair_id, seat)), said))
    fill(cycle, given, votes)
    return file, cycle


def said(
    folder: Path, given: Iterable[Pair], verdicts: dict[str, Iterable[str]], training: str = ""
) -> tuple[Path, Cycle]:
    """A cycle on disk whose judges said this of each pair, in their own order."""
    file = cycle_file(folder, training)
    cycle = load(file)
    votes = [
        Vote(Ballot(pair, f"j{seat}", shown(pair, seat)), Verdict(verdict))
        for pair, each in verdicts.items()
        for seat, verdict in enumerate(each)
    ]
    fill(cycle, list(given), votes)
    return file, cycle


def fill(cycle: Cycle, given: list[Pair], votes: list[Vote]) -> None:
    """Put pairs and votes into the cycle's store."""
    with Store(cycle.store) as store:
        store.register(cycle, "rubric")
        store.add_pairs(cycle.name, given)
        store.add(cycle.name, {j.label: j.config_hash("rubric") for j in cycle.judges}, votes)


def with_training(cycle: Cycle, **changed: Any) -> Cycle:
    """The cycle with other settings of training."""
    return cycle.model_copy(update={"training": cycle.training.model_copy(update=changed)})
