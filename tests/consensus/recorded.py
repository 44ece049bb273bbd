"""Votes for tests: drawn at random, planted with a fault, or read from the recorded ones."""

from __future__ import annotations

import json

import numpy as np

from consensus.statistics.estimate import interval
from consensus.statistics.votes import ABSTAIN, NO_GOLD, TIE, A, B, Cells, Votes

CHOICE = {"a": A, "b": B, "tie": TIE, None: ABSTAIN}


def read(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def recorded_votes(folder):
    """The recorded votes of a folder in columns, the judges sorted by name."""
    pairs, votes = read(folder, "pairs"), read(folder, "votes")
    place = {pair["pair_id"]: index for index, pair in enumerate(pairs)}
    judges = sorted({vote["judge"] for vote in votes})
    _, prompt = np.unique([pair["prompt"] for pair in pairs], return_inverse=True)
    return Votes.of(
        pair=[place[vote["pair_id"]] for vote in votes],
        judge=[judges.index(vote["judge"]) for vote in votes],
        first=[vote["order"] == "ab" for vote in votes],
        repeat=[vote["repeat"] for vote in votes],
        choice=[CHOICE[vote["verdict"]] for vote in votes],
        judges=judges,
        cluster=prompt,
        gold=[CHOICE.get(pair["gold"], NO_GOLD) if pair["gold"] else NO_GOLD for pair in pairs],
        pair_ids=[pair["pair_id"] for pair in pairs],
    )


def random_votes(rng, *, pairs=12, judges=3, repeats=3, prompts=None, missing=0.2, weighted=False):
    """Votes of every kind, some missing: for laws and slow references. Weights are nested, as real ones are."""
    grid = np.stack(np.meshgrid(np.arange(pairs), np.arange(judges), [0, 1], np.arange(repeats)), axis=-1).reshape(
        -1, 4
    )
    grid = grid[rng.random(len(grid)) >= missing]
    pair, judge, first, repeat = grid.T
    quality = rng.normal(0, 1, pairs)
    reading = quality[pair] + 0.3 * np.where(first == 1, 1, -1) + rng.normal(0, 1, len(grid))
    choice = np.where(np.abs(reading) < 0.2, TIE, np.sign(reading)).astype(int)
    choice[rng.random(len(grid)) < 0.05] = ABSTAIN
    return Votes.of(
        pair=pair,
        judge=judge,
        first=first == 1,
        repeat=repeat,
        choice=choice,
        judges=[f"judge-{j}" for j in range(judges)],
        weight=1.0 + 3 * repeat if weighted else None,
        cluster=rng.integers(0, prompts or pairs, pairs),
        gold=rng.choice([A, B, TIE, NO_GOLD], pairs),
        pair_ids=[f"pair-{p}" for p in range(pairs)],
    )


def called(chance_of_a, first, *, rng, prompts=None, gold=None):
    """Votes without ties of one call each.

    Args:
        chance_of_a: shape [n_pairs, n_judges, n_calls].
        first: whether a was shown first, of the same shape; calls of one order are each other's repeats.
    """
    pairs, judges, _ = chance_of_a.shape
    pair, judge, call = (x.ravel() for x in np.indices(chance_of_a.shape))
    first = np.broadcast_to(first, chance_of_a.shape)
    before = np.cumsum(first, axis=2) - first
    repeat = np.where(first, before, call.reshape(first.shape) - before)
    return Votes.of(
        pair=pair,
        judge=judge,
        first=first.ravel(),
        repeat=repeat.ravel(),
        choice=np.where(rng.random(chance_of_a.shape) < chance_of_a, A, B).ravel(),
        judges=[f"judge-{j}" for j in range(judges)],
        cluster=np.arange(pairs) if prompts is None else prompts,
        gold=gold,
        pair_ids=[f"pair-{p}" for p in range(pairs)],
    )


def cells_of(votes, judge=0):
    return Cells.of(votes).of_judge(judge)


def covers(found, truth, rng):
    """Whether the 95 % interval of an estimate holds the truth."""
    bounds = interval(found, rng=rng, resamples=400)
    return bounds.low <= truth <= bounds.high
