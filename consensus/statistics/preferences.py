"""What a judge likes besides quality: length, its own family's words, its own scores."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, nan

import numpy as np
from scipy.special import expit, stdtrit

from consensus.statistics.agreement import Panel
from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Estimate, estimate, prompt_sums, ratio, share_of, undefined
from consensus.statistics.intervals import Interval
from consensus.statistics.votes import Cells

_SEPARATED = 12.0  # log odds per unit beyond which a fit runs away: some column tells every choice


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """How a covariate moves the odds of a choice.

    Attributes:
        odds: odds ratio per unit, above 0, with its interval; nan where undefined.
        reason: why it is undefined; empty if it is a number.
    """

    odds: Interval
    reason: str = ""


def length_preference(
    cells: Cells, log2_ratio: Floats, *, control: Floats | None = None, level: float = 0.95
) -> OddsRatio:
    """By how much the odds of a decided vote grow when its completion is made twice as long against the other.

    Logistic regression of "chose a" on log2(length a / length b), with the order as a second covariate; no intercept, since the
    names a and b mean nothing.

    Args:
        cells: one judge's.
        log2_ratio: log2 of length of a over length of b, shape [n_pairs].
        control: held fixed as a third covariate, shape [n_pairs]: gold as +1 for a, -1 for b, 0 for none or a tie, so that what is
            found is a liking for length beyond what people like.
    """
    a, b = cells.count[:, 0], cells.count[:, 1]
    weight = cells.once / cells.count.sum(axis=1)
    columns = [log2_ratio[cells.pair], np.where(cells.first, 1.0, -1.0)]
    if len(set(cells.first.tolist())) < 2:
        del columns[1]  # with one order only, it would be the intercept
    if control is not None:
        columns.append(control[cells.pair])
    return odds_ratio(weight * a, weight * b, np.stack(columns, axis=1), cells.cluster, level=level)


def gold_length_preference(gold: Ints, log2_ratio: Floats, cluster: Ints, *, level: float = 0.95) -> OddsRatio:
    """The same odds for people's choices: the part of a judge's liking for length that people share.

    Args:
        gold: A, B or anything else, shape [n_pairs]; pairs without a chosen side are left out.
        log2_ratio, cluster: shape [n_pairs].
    """
    return odds_ratio((gold == 1) * 1.0, (gold == -1) * 1.0, log2_ratio[:, None], cluster, level=level)


def longer_share(cells: Cells, log2_ratio: Floats) -> Estimate:
    """Share of decided votes for the longer completion; pairs of equal length are left out."""
    sign = np.sign(log2_ratio[cells.pair])
    longer = np.where(sign > 0, cells.share[:, 0], cells.share[:, 1])
    weight = cells.once * (sign != 0)
    decided = cells.share[:, :2].sum(axis=1)
    return share_of(
        cells.cluster, weight * longer, weight * decided, reason="no decided vote on completions of unequal length"
    )


def longer_than_people(cells: Cells, gold: Ints, log2_ratio: Floats) -> Estimate:
    """How much oftener a judge votes for the longer completion than people do on the same pairs, in [-1, 1].

    A judge that only errs lies between people's share and one half. So where people choose the shorter one more often, one half
    is what it is compared with, and no judge that errs without regard to length is above 0.

    Args:
        gold, log2_ratio: shape [n_pairs].
    """
    said, sign = gold[cells.pair], np.sign(log2_ratio[cells.pair])
    a, decided = cells.share[:, 0], cells.share[:, :2].sum(axis=1)
    longer = np.where(sign > 0, a, decided - a)
    weight = cells.once * ((np.abs(said) == 1) & (np.abs(sign) == 1))
    return estimate(
        cells.cluster,
        [weight * longer, weight * decided * (sign == said), weight * decided],
        lambda sums: ratio(sums[..., 0], sums[..., 2]) - np.maximum(0.5, ratio(sums[..., 1], sums[..., 2])),
        n=int(np.count_nonzero(weight * decided)),
        reason="no decided vote on a pair with gold and completions of unequal length",
    )


def gold_longer_share(gold: Ints, log2_ratio: Floats, cluster: Ints) -> Estimate:
    """Share of people's choices that are the longer completion: the `longer_share` of a judge that says what they say."""
    known = (np.abs(gold) == 1) & (log2_ratio != 0)
    longer = np.sign(log2_ratio[known]) == gold[known]
    whole = np.ones(int(known.sum()))
    return share_of(cluster[known], longer * whole, whole, reason="no pair with gold and completions of unequal length")


def odds_ratio(for_a: Floats, for_b: Floats, covariates: Floats, cluster: Ints, *, level: float = 0.95) -> OddsRatio:
    """Odds ratio per unit of the first covariate, from a logistic regression without intercept, robust to clusters.

    Args:
        for_a, for_b: weighted votes for each side, shape [n].
        covariates: shape [n, k]; names a and b swapped, all of them change sign.
        cluster: shape [n].
    Source: sandwich variance of Liang & Zeger 1986, Biometrika 73, with G/(G-1) and the t distribution of G - 1.
    """
    used = (for_a + for_b > 0) & np.isfinite(covariates).all(axis=1)
    a, total, x = for_a[used], (for_a + for_b)[used], covariates[used]
    nothing = Interval(nan, nan, nan, len(a))
    if not x[:, :1].any():
        return OddsRatio(nothing, "no decided vote on completions that differ in it")
    fitted = _logistic(a, total, x)
    if fitted is None:
        return OddsRatio(nothing, "it, order or gold tells every choice, or they cannot be told apart: no finite odds")
    beta, bread = fitted
    scores = prompt_sums(cluster[used], list((x * (a - total * expit(x @ beta))[:, None]).T))
    groups = len(scores)
    if groups < 2:
        return OddsRatio(Interval(exp(beta[0]), nan, nan, len(a)))
    influence = np.linalg.solve(bread, scores.T)[0]
    error = float(np.sqrt(groups / (groups - 1) * (influence @ influence)))
    reach = error * float(stdtrit(groups - 1, (1 + level) / 2))
    return OddsRatio(Interval(exp(beta[0]), exp(beta[0] - reach), exp(beta[0] + reach), len(a)))


def _logistic(a: Floats, total: Floats, x: Floats) -> tuple[Floats, Floats] | None:
    """Coefficients and information of a logistic regression of a of total, by Newton's method; None if there is no finite fit."""
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = expit(x @ beta)
        bread = (x * (total * p * (1 - p))[:, None]).T @ x
        if not np.linalg.cond(bread) < 1e12:
            return None
        step = np.linalg.solve(bread, x.T @ (a - total * p))
        beta = beta + np.clip(step, -1, 1)
        if np.abs(beta * np.abs(x).mean(axis=0)).max() > _SEPARATED:
            return None
        if np.abs(step).max() < 1e-9:
            return beta, bread
    return None


def self_preference(panel: Panel, judge: int, family_a: Ints, family_b: Ints, families: Ints) -> Estimate:
    """How much oftener a judge votes for its own family's completion than judges of other families do on the same pairs.

    Over pairs of which exactly one completion is the family's, in decided votes; the mean over the other judges, in [-1, 1].
    Quality cancels, as both saw the same pairs. A judge is compared only where the other completion is not of *its* family: two
    judges that each prefer their own would make each other look worse, and one that does so an innocent one.

    Args:
        panel: all judges.
        family_a, family_b: family of the model that made each completion, -1 if unknown, shape [n_pairs of the votes].
        families: family of each judge, -1 if unknown, shape [n_judges].
    """
    own = int(families[judge])
    a_own, b_own = family_a[panel.pair] == own, family_b[panel.pair] == own
    decided = panel.opinion[:, :, :2].sum(axis=2)
    known = ((a_own != b_own) & (own >= 0))[:, None] & (decided > 0)
    for_own = ratio(np.where(a_own[:, None], panel.opinion[:, :, 0], panel.opinion[:, :, 1]), decided)
    others = np.flatnonzero((families != own) & (families >= 0))
    columns = []
    for other in others:
        neutral = (family_a[panel.pair] != families[other]) & (family_b[panel.pair] != families[other])
        weight = panel.together(judge, int(other)) * known[:, judge] * known[:, other] * neutral
        columns += [weight * np.nan_to_num(for_own[:, judge] - for_own[:, other]), weight]
    reason = "no pair with one completion of this judge's family that a judge of another family (which wrote neither) decided"
    if not columns:
        return undefined(reason)
    n = int(np.any([column > 0 for column in columns[1::2]], axis=0).sum())
    return estimate(panel.cluster, columns, _mean_of_ratios, n=n, reason=reason)


def _mean_of_ratios(sums: Floats) -> Floats:
    each = ratio(sums[..., 0::2], sums[..., 1::2])
    known = ~np.isnan(each)
    return ratio(np.where(known, each, 0.0).sum(axis=-1), known.sum(axis=-1))


def score_correlation(difference: Floats, choice: Ints, weight: Floats, cluster: Ints) -> Estimate:
    """Correlation between an axis' scores, a's minus b's, and the verdict (+1, 0, -1), in [-1, 1], over votes with both.

    Args:
        difference: nan where the vote has no scores, shape [n_votes].
        choice: A, B, TIE or ABSTAIN; abstentions are left out, shape [n_votes].
        weight, cluster: shape [n_votes].
    """
    used = np.isfinite(difference) & (np.abs(choice) <= 1)
    x, y, w = difference[used], choice[used].astype(float), weight[used]
    return estimate(
        cluster[used],
        [w, w * x, w * y, w * x * x, w * y * y, w * x * y],
        _pearson,
        n=int(used.sum()),
        reason="no votes with scores, or scores or verdicts that never differ",
    )


def _pearson(sums: Floats) -> Floats:
    total = sums[..., 0]
    x, y, xx, yy, xy = (ratio(sums[..., k], total) for k in range(1, 6))
    spread = (xx - x * x) * (yy - y * y)
    return ratio(xy - x * y, np.sqrt(np.where(spread > 1e-12 * np.maximum(xx * yy, 1e-300), spread, 0.0)))
