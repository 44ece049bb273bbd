"""Every figure of an audit of a million votes, with intervals: processor seconds and memory.

    python -m tests.benchmarks.audit_arithmetic [votes]

Five judges, both orders, four repeats, 25,000 pairs of 8,000 prompts.
"""

from __future__ import annotations

import resource
import sys
import time
from itertools import combinations

import numpy as np

from consensus.rule import Rule
from consensus.statistics.agreement import (
    Errors,
    Panel,
    all_wrong_together,
    cohen_kappa,
    condorcet_accuracy,
    effective_number_of_judges,
    fleiss_kappa,
    krippendorff_alpha,
    mean_error_correlation,
    pairwise_agreement,
    panel_accuracy,
)
from consensus.statistics.components import Design, Study, reliability
from consensus.statistics.consistency import Relabels, churn, same_label_if_kept_twice, same_outcome
from consensus.statistics.estimate import interval
from consensus.statistics.flipfit import median_flip_rate, tail_flip_share
from consensus.statistics.flips import mean_repeat_flip_rate, repeat_disagreement
from consensus.statistics.position import (
    Swaps,
    first_share,
    mcnemar,
    order_sensitivity,
    position_bias,
    position_consistency,
    preference_fairness,
    primacy_rate,
    recency_rate,
)
from consensus.statistics.preferences import length_preference, longer_share, self_preference
from consensus.statistics.rates import abstention_rate, accuracy, tie_rate
from consensus.statistics.votes import ABSTAIN, TIE, A, B, Cells, Votes

JUDGES, REPEATS = 5, 4


def simulated(pairs: int, rng: np.random.Generator) -> Votes:
    shape = (pairs, JUDGES, 2, REPEATS)
    pair, judge, order, repeat = (x.ravel() for x in np.indices(shape))
    margin = rng.normal(0, 1, (pairs, 1, 1, 1)) + rng.normal(0, 1, (pairs, JUDGES, 1, 1))
    reading = margin + 0.2 * np.array([1, -1])[:, None] + rng.normal(0, 1, shape)
    choice = np.where(np.abs(reading) < 0.1, TIE, np.where(reading > 0, A, B))
    choice[rng.random(shape) < 0.01] = ABSTAIN
    return Votes.of(
        pair=pair,
        judge=judge,
        first=order == 0,
        repeat=repeat,
        choice=choice.ravel(),
        judges=[f"judge-{j}" for j in range(JUDGES)],
        cluster=rng.integers(0, max(2, pairs // 3), pairs),
        gold=np.where(margin[:, 0, 0, 0] > 0, A, B),
        pair_ids=[f"pair-{k}" for k in range(pairs)],
    )


def figures(votes: Votes, rng: np.random.Generator) -> tuple[dict[str, object], int]:
    """Seconds by part, and how many intervals were made."""
    seconds: dict[str, float] = {}
    made = 0

    def timed(name, work):
        start = time.process_time()
        found = work()
        seconds[name] = seconds.get(name, 0.0) + time.process_time() - start
        return found

    def bounded(found):
        nonlocal made
        made += 1
        kind = "Wilson" if found.share else "BCa (flip fit)" if found.skewed else "jackknife"
        return timed(f"intervals: {kind}", lambda: interval(found, rng=rng))

    cells = timed("cells", lambda: Cells.of(votes))
    panel = timed("panel", lambda: Panel.of(votes, cells))
    log2_ratio, family = rng.normal(0, 1, votes.n_pairs), rng.integers(0, 3, (2, votes.n_pairs))
    per_cell = (repeat_disagreement, mean_repeat_flip_rate, position_bias, first_share, tie_rate, abstention_rate)
    per_swap = (
        position_consistency,
        primacy_rate,
        recency_rate,
        order_sensitivity,
        preference_fairness,
    )
    for judge in range(JUDGES):
        one = timed("judge", lambda judge=judge: cells.of_judge(judge))
        swaps = timed("judge", lambda one=one: Swaps.of(one))
        found = timed("judge", lambda one=one, swaps=swaps: [f(one) for f in per_cell] + [f(swaps) for f in per_swap])
        found += timed("judge", lambda one=one: [accuracy(votes, one), longer_share(one, log2_ratio)])
        found += timed("flip fit", lambda one=one: [median_flip_rate(one), tail_flip_share(one, model_based=True)])
        found.append(timed("judge", lambda j=judge: self_preference(panel, j, *family, np.array([0, 1, 2, 3, 4]))))
        timed("judge", lambda one=one, swaps=swaps: (mcnemar(swaps), length_preference(one, log2_ratio)))
        for each in found:
            bounded(each)
    errors = timed("panel", lambda: Errors.of(panel))
    found = timed("panel", lambda: [f(panel) for f in (krippendorff_alpha, fleiss_kappa)])
    per_error = (
        mean_error_correlation,
        effective_number_of_judges,
        all_wrong_together,
        panel_accuracy,
        condorcet_accuracy,
    )
    found += timed("panel", lambda: [f(errors) for f in per_error])
    for two in combinations(range(JUDGES), 2):
        found += timed("panel", lambda two=two: [pairwise_agreement(panel, *two), cohen_kappa(panel, *two)])
    study = timed("variance split", lambda: Study.of(cells, range(JUDGES)))
    found.append(timed("variance split", lambda: study.estimate(lambda c: reliability(c, Design(3, 1, 1)))))
    runs = timed("relabels", lambda: Relabels.of_votes(votes, Rule()))
    found += timed("relabels", lambda: [f(runs) for f in (same_outcome, same_label_if_kept_twice, churn)])
    for each in found:
        bounded(each)
    return seconds, made


def main() -> None:
    """Print what each part costs."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(1)
    votes = simulated(n // (JUDGES * 2 * REPEATS), rng)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, made = figures(votes, rng)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(votes.pair):,} votes, {votes.n_pairs:,} pairs, {made} intervals")
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{spent:7.2f} s  {name}")
    print(f"{sum(seconds.values()):7.2f} s  in all; peak {after:,.0f} MB ({before:,.0f} MB before it began)")


if __name__ == "__main__":
    main()
