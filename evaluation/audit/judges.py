"""The figures of one judge."""

from __future__ import annotations

import numpy as np

from consensus.statistics.clusters import Floats
from consensus.statistics.estimate import Estimate, undefined
from consensus.statistics.flipfit import ENOUGH_REPEATS, median_flip_rate, tail_flip_share
from consensus.statistics.flips import mean_repeat_flip_rate, repeat_disagreement, repeat_flip_rate, typical_repeats
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
from consensus.statistics.preferences import (
    OddsRatio,
    gold_longer_share,
    length_preference,
    longer_share,
    longer_than_people,
    score_correlation,
    self_preference,
)
from consensus.statistics.rates import abstention_rate, accuracy, tie_rate
from consensus.statistics.votes import Cells
from consensus.store import JudgeTally
from evaluation.audit.figures import absent, counted, figure, of_interval
from evaluation.audit.material import Material
from evaluation.audit.names import JUDGE
from evaluation.audit.result import Figure, JudgeAudit, UnstablePair

UNSTABLE = 0.4
"""Repeat flip rate above which a request is all but a coin toss."""
_MOST_UNSTABLE = 10
_MODEL_BASED = "fewer than 10 repeats a request: rests on the form of the fitted distribution"


def estimates(of: Material, judge: int, *, distribution: bool = True) -> dict[str, Estimate]:
    """Every figure of a judge that is an estimate, by name.

    Args:
        distribution: whether to fit the distribution of flips, which takes most of the time.
    """
    cells = of.cells.of_judge(judge)
    swaps = Swaps.of(cells)
    found = {
        "repeat_flip": mean_repeat_flip_rate(cells),
        "disagreement": repeat_disagreement(cells),
        "position_consistency": position_consistency(swaps),
        "order_sensitivity": order_sensitivity(swaps),
        "position_bias": position_bias(cells),
        "first_share": first_share(cells),
        "primacy": primacy_rate(swaps),
        "recency": recency_rate(swaps),
        "preference_fairness": preference_fairness(swaps),
        "abstention": abstention_rate(cells),
        "tie": tie_rate(cells),
        "longer_share": longer_share(cells, of.log2_ratio),
        "gold_longer_share": gold_longer_share(of.votes.gold, of.log2_ratio, of.votes.cluster),
        "longer_than_people": longer_than_people(cells, of.votes.gold, of.log2_ratio),
        "self_preference": _self_preference(of, judge),
        "accuracy": accuracy(of.votes, cells),
    }
    if distribution:
        found |= {"median_flip": median_flip_rate(cells), "tail_flip": tail_flip_share(cells, model_based=True)}
    mine = of.votes.judge == judge
    clusters = of.votes.cluster[of.votes.pair[mine]]
    for axis, difference in of.scores.items():
        found[f"score_{axis}"] = score_correlation(
            difference[mine], of.votes.choice[mine], of.votes.weight[mine], clusters
        )
    return found


def audit_judge(
    of: Material, judge: int, found: dict[str, Estimate], latent: Figure, rng: np.random.Generator
) -> JudgeAudit:
    """A judge's audit from its estimates, and from what the latent model says of it."""
    cells = of.cells.of_judge(judge)
    figures = {name: figure(name, each, rng) for name, each in found.items()}
    repeats = typical_repeats(cells)
    if figures["tail_flip"].defined and repeats < ENOUGH_REPEATS:
        tail = figures["tail_flip"]
        figures["tail_flip"] = Figure(tail.name, tail.value, tail.low, tail.high, tail.n, tail.reason or _MODEL_BASED)
    test = mcnemar(Swaps.of(cells))
    leaning = test.primacy + test.recency
    figures["mcnemar_p"] = counted(
        "mcnemar_p", test.p_value if leaning else None, leaning, "no pair on which the order changes the verdict"
    )
    gold = np.where(np.abs(of.votes.gold) == 1, of.votes.gold, 0).astype(float)
    figures["length_preference"] = _odds("length_preference", length_preference(cells, of.log2_ratio))
    figures["length_beyond_gold"] = (
        _odds("length_beyond_gold", length_preference(cells, of.log2_ratio, control=gold))
        if gold.any()
        else absent("length_beyond_gold", "there is no gold")
    )
    figures["latent_accuracy"] = latent
    figures |= _called(of.tallies[judge])
    known = {name: figures[name] for name in JUDGE if name in figures}
    rest = {name: each for name, each in figures.items() if name not in known}
    return JudgeAudit(
        judge=of.votes.judges[judge],
        votes=int((of.votes.judge == judge).sum()),
        figures=known | rest,
        flips=_histogram(cells),
        repeats=repeats,
        unstable=_unstable(of, cells),
    )


def _self_preference(of: Material, judge: int) -> Estimate:
    if (of.family_a < 0).all() and (of.family_b < 0).all():
        return undefined("the pairs do not say which models wrote the completions (fields model_a and model_b)")
    return self_preference(of.panel, judge, of.family_a, of.family_b, of.families)


def _odds(name: str, found: OddsRatio) -> Figure:
    return absent(name, found.reason, n=found.odds.n) if found.reason else of_interval(name, found.odds)


def _called(tally: JudgeTally | None) -> dict[str, Figure]:
    if tally is None:
        reason = "recorded votes: nothing was asked here"
        return {name: absent(name, reason) for name in ("failure", "latency", "cost")}
    ballots = tally.votes + tally.failures
    cost = None if tally.cost_usd is None or not tally.votes else tally.cost_usd / tally.votes
    return {
        "failure": counted("failure", tally.failures / ballots if ballots else None, ballots, "nothing was asked yet"),
        "latency": counted("latency", tally.median_latency_s, tally.votes, "no call was timed"),
        "cost": counted("cost", cost, tally.votes, "no price is known"),
    }


def _flip_rates(cells: Cells) -> tuple[Cells, Floats]:
    repeated = cells.where(cells.valid > 1)
    return repeated, repeat_flip_rate(repeated.count[:, :3])


def _histogram(cells: Cells) -> tuple[int, ...]:
    _, rates = _flip_rates(cells)
    if not len(rates):
        return ()
    bins = np.minimum(np.floor(rates * 20 + 1e-9).astype(int), 10)
    return tuple(int(n) for n in np.bincount(bins, minlength=11))


def _unstable(of: Material, cells: Cells) -> tuple[UnstablePair, ...]:
    repeated, rates = _flip_rates(cells)
    high = np.flatnonzero(rates > UNSTABLE)
    worst = high[np.lexsort((repeated.pair[high], -repeated.valid[high], -rates[high]))][:_MOST_UNSTABLE]
    return tuple(
        UnstablePair(
            pair_id=of.votes.pair_ids[repeated.pair[k]],
            shown="ab" if repeated.first[k] else "ba",
            differing=round(rates[k] * repeated.valid[k]),
            n=int(repeated.valid[k]),
        )
        for k in worst
    )
