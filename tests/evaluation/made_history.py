"""A made history: checkpoints whose offline scores go with production's word as closely as was planted."""

from __future__ import annotations

import numpy as np

from consensus.nouns import Ballot, Pair, Spent, Verdict, Vote
from consensus.outcomes import Outcome
from consensus.rule import shown
from consensus.scores import Score
from labeling.rubric import Rubric
from tests.consensus.cycles import cycle_of

NAMES = ("one", "two", "three")


def planted(values, rho, rng):
    """Numbers that have this rank correlation with the values, as nearly as any order of them."""
    ranks = np.argsort(np.argsort(values))
    centred = ranks - ranks.mean()

    def away(order):
        return abs(centred @ order / (centred @ centred) - rho)  # ranks without ties: this is Spearman's correlation

    order = ranks if rho >= 0 else len(ranks) - 1 - ranks
    best, off = order, away(order)
    for _ in range(1500):  # swaps that come nearer, and some that do not
        i, j = rng.integers(0, len(ranks), 2)
        tried = order.copy()
        tried[[i, j]] = tried[[j, i]]
        now = away(tried)
        if now < off:
            best, off = tried, now
        if off < 0.006:
            break
        if now <= away(order) or rng.random() < 0.1:
            order = tried
    return best.astype(float)


def score(k, metric, value, *, half=0.015, **more):
    return Score(f"run-{k + 1:02d}", f"cycle-{k + 1:02d}", metric, value, value - half, value + half, 400, 200, **more)


def measured(correlations, *, n=12, seed=0, half=0.015):
    """Scores of n checkpoints, one metric for each correlation, and what production says of them."""
    rng = np.random.default_rng(seed)
    truth = np.round(np.linspace(0.7, 0.86, n)[rng.permutation(n)], 4)
    outcomes = [Outcome(f"run-{k + 1:02d}", "tool_use_accuracy", float(value), n=4000) for k, value in enumerate(truth)]
    scores = [
        score(k, metric, 0.55 + 0.25 * place / n, half=half)
        for metric, rho in correlations.items()
        for k, place in enumerate(planted(truth, rho, rng))
    ]
    return scores, outcomes


def label(store, name, *, pairs=40, gold=True, seed=0, cost=0.002):
    """A labeled cycle of three judges that are right four times of five."""
    cycle, rng = cycle_of(NAMES, cycle={"name": name}), np.random.default_rng(seed)
    rubric = Rubric.of(cycle).system
    store.register(cycle, rubric)
    made = [
        Pair(f"{name}-{k}", f"{name} question {k // 2}", "one", "other", gold=Verdict.A if gold else None)
        for k in range(pairs)
    ]
    store.add_pairs(name, made)
    hashes = {judge.label: judge.config_hash(rubric) for judge in cycle.judges}

    votes = [
        Vote(
            Ballot(p.pair_id, judge, shown(p.pair_id, seat)),
            Verdict("ab"[int(rng.random() < 0.2)]),
            spent=Spent(cost_usd=cost),
        )
        for p in made
        for seat, judge in enumerate(NAMES)
    ]
    store.add(name, hashes, votes)
    return cycle
