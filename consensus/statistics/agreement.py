"""How judges agree with each other, err together, and what they are worth as a panel.

A judge's opinion on a pair is how its votes on it (both orders, all repeats) are spread over a, b and tie; agreement is the chance
that one vote of each is the same. With one vote per judge and pair these are the textbook's statistics.

A lazily labeled pair shows its last judge's vote only where the first two differed or by lot, so pairs of judges are weighted by
the inverse of their chance to be seen together, and `planned` says how many judges a complete pair has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from consensus.statistics.clusters import Floats, Ints, tally
from consensus.statistics.condorcet import effective_judges, majority_accuracy
from consensus.statistics.estimate import Bools, Estimate, estimate, ratio, share_of, undefined
from consensus.statistics.votes import Cells, Votes


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Opinions of all judges on the pairs that have votes.

    Attributes:
        opinion: share of a judge's valid votes for a, for b, of ties, shape [n_pairs, n_judges, 3]; 0 where it has none.
        valid: whether the judge has a vote that is no abstention, shape [n_pairs, n_judges].
        weight: inverse chance of having been asked, shape [n_pairs, n_judges]; 1 where there is no vote.
        pair, cluster, gold: index, prompt and gold of each pair, shape [n_pairs].
        planned: judges that a complete pair has, if votes were asked lazily; None takes those that voted.
    """

    opinion: Floats
    valid: Bools
    weight: Floats
    pair: Ints
    cluster: Ints
    gold: Ints
    planned: int | None = None

    @classmethod
    def of(cls, votes: Votes, cells: Cells, *, planned: int | None = None) -> Panel:
        """The panel of all judges of the votes."""
        pairs, row = np.unique(cells.pair, return_inverse=True)
        judges = len(votes.judges)
        place = row * judges + cells.judge
        shape = (len(pairs), judges)
        count = np.stack([tally(place, column, shape[0] * judges) for column in cells.count[:, :3].T], axis=1)
        weight = np.full(shape[0] * judges, np.inf)
        np.minimum.at(weight, place, cells.once)
        total = count.sum(axis=1)
        opinion = np.divide(count, total[:, None], out=np.zeros_like(count), where=total[:, None] > 0)
        return cls(
            opinion.reshape(*shape, 3),
            (total > 0).reshape(shape),
            np.where(np.isinf(weight), 1.0, weight).reshape(shape),
            pairs,
            votes.cluster[pairs],
            votes.gold[pairs],
            planned,
        )

    @property
    def judges(self) -> int:
        """How many judges the panel has."""
        return int(self.valid.shape[1])

    def only(self, judges: list[int]) -> Panel:
        """The panel of some of the judges."""
        return Panel(
            self.opinion[:, judges],
            self.valid[:, judges],
            self.weight[:, judges],
            self.pair,
            self.cluster,
            self.gold,
            None if self.planned is None else min(self.planned, len(judges)),
        )

    def together(self, one: int, other: int) -> Floats:
        """Weight of each pair on which both judges have an opinion, else 0, shape [n_pairs]."""
        both = self.valid[:, one] & self.valid[:, other]
        return np.where(both, np.maximum(self.weight[:, one], self.weight[:, other]), 0.0)


def pairwise_agreement(panel: Panel, one: int, other: int) -> Estimate:
    """Chance that a vote of one judge and a vote of another on the same pair are the same verdict."""
    weight = panel.together(one, other)
    same = (panel.opinion[:, one] * panel.opinion[:, other]).sum(axis=1)
    return share_of(panel.cluster, weight * same, weight, reason="these judges share no pair")


def mean_agreement(panel: Panel) -> Estimate:
    """Chance that two judges of the panel give the same verdict on a pair, over all two judges and all pairs they share."""
    same, together, _, _ = _coincidences(panel)
    return share_of(panel.cluster, same, together, reason="no pair has opinions of two judges")


def with_people(panel: Panel) -> Panel:
    """The panel with people as its last judge, who says what gold says."""
    gold = panel.gold[:, None] == np.array([1, -1, 0])
    known = gold.any(axis=1, keepdims=True)
    return Panel(
        np.concatenate([panel.opinion, gold[:, None, :].astype(float)], axis=1),
        np.concatenate([panel.valid, known], axis=1),
        np.concatenate([panel.weight, np.ones_like(known, dtype=float)], axis=1),
        panel.pair,
        panel.cluster,
        panel.gold,
    )


def cohen_kappa(panel: Panel, one: int, other: int) -> Estimate:
    """Agreement of two judges beyond what their own shares of a, b and tie give by chance, in [-1, 1].

    Undefined where both always give one and the same verdict. Source: Cohen 1960, Educ. Psychol. Meas. 20.
    """
    weight = panel.together(one, other)
    x, y = panel.opinion[:, one], panel.opinion[:, other]
    return estimate(
        panel.cluster,
        [weight, weight * (x * y).sum(axis=1), *(weight[:, None] * x).T, *(weight[:, None] * y).T],
        _cohen,
        n=int((weight > 0).sum()),
        reason="these judges share no pair, or give only one verdict",
    )


def _cohen(sums: Floats) -> Floats:
    total = sums[..., 0]
    expected = ratio((sums[..., 2:5] * sums[..., 5:8]).sum(axis=-1), total * total)
    return _beyond_chance(ratio(sums[..., 1], total), expected)


def _beyond_chance(observed: Floats, expected: Floats) -> Floats:
    room = 1 - expected
    return ratio(observed - expected, np.where(room > 1e-12, room, 0.0))


def fleiss_kappa(panel: Panel) -> Estimate:
    """Agreement of all judges beyond chance, every pair counted once, in [-1, 1].

    Undefined where only one verdict is ever given. Source: Fleiss 1971, Psychol. Bull. 76.
    """
    same, together, opinions, size = _coincidences(panel)
    scale = size * (size - 1)
    return estimate(
        panel.cluster,
        [ratio(same, scale), ratio(together, scale), *opinions.T],
        _fleiss,
        n=int((together > 0).sum()),
        reason=_NO_AGREEMENT,
    )


def _fleiss(sums: Floats) -> Floats:
    verdicts = sums[..., 2:]
    chance = ratio((verdicts**2).sum(axis=-1), verdicts.sum(axis=-1) ** 2)
    return _beyond_chance(ratio(sums[..., 0], sums[..., 1]), chance)


def krippendorff_alpha(panel: Panel) -> Estimate:
    """Krippendorff's alpha for nominal data: 1 - observed/expected disagreement, in [-1, 1]; any judge may miss any pair.

    Undefined where only one verdict is ever given.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.
    """
    same, together, opinions, size = _coincidences(panel)
    return estimate(
        panel.cluster,
        [ratio(same, size - 1), ratio(together, size - 1), *opinions.T],
        _alpha,
        n=int((together > 0).sum()),
        reason=_NO_AGREEMENT,
    )


def _alpha(sums: Floats) -> Floats:
    verdicts = sums[..., 2:]
    total = verdicts.sum(axis=-1)
    chance = ratio((verdicts * (verdicts - 1)).sum(axis=-1), total * (total - 1))
    return _beyond_chance(ratio(sums[..., 0], sums[..., 1]), chance)


_NO_AGREEMENT = "no pair has opinions of two judges, or only one verdict is ever given"


def _coincidences(panel: Panel) -> tuple[Floats, Floats, Floats, Floats]:
    """Per pair: weight of its ordered pairs of judges that agree, of all of them, opinions by verdict, number of judges.

    Pairs with fewer than two opinions count for nothing.
    """
    same, together = np.zeros(len(panel.pair)), np.zeros(len(panel.pair))
    for one, other in combinations(range(panel.judges), 2):
        weight = panel.together(one, other)
        together += 2 * weight
        same += 2 * weight * (panel.opinion[:, one] * panel.opinion[:, other]).sum(axis=1)
    seen = panel.valid.sum(axis=1)
    opinions = np.einsum("pj,pjc->pc", panel.weight * (seen > 1)[:, None], panel.opinion)
    return same, together, opinions, np.maximum(seen, max(2, panel.planned or 0)).astype(float)


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """How often each judge's vote is right and wrong on pairs where people chose a completion.

    Attributes:
        right, wrong: share of the judge's valid votes, shape [n_pairs, n_judges]; ties are neither.
        valid, weight: as in Panel.
        cluster: shape [n_pairs].
    """

    right: Floats
    wrong: Floats
    valid: Bools
    weight: Floats
    cluster: Ints

    @classmethod
    def of(cls, panel: Panel) -> Errors:
        """The errors of a panel."""
        known = np.abs(panel.gold) == 1
        for_a, for_b = panel.opinion[known, :, 0], panel.opinion[known, :, 1]
        a_is_right = (panel.gold[known] == 1)[:, None]
        right, wrong = np.where(a_is_right, for_a, for_b), np.where(a_is_right, for_b, for_a)
        return cls(right, wrong, panel.valid[known], panel.weight[known], panel.cluster[known])

    @property
    def judges(self) -> int:
        """How many judges the panel has."""
        return int(self.valid.shape[1])

    @property
    def whole(self) -> Floats:
        """Weight of each pair on which every judge has an opinion, else 0, shape [n_pairs]."""
        return np.where(self.valid.all(axis=1), self.weight.max(axis=1, initial=0.0), 0.0)

    def pairwise(self, one: int, other: int) -> list[Floats]:
        """Columns for the correlation of two judges' errors in decided votes: weight, each one's errors, common errors."""
        decided = self.right + self.wrong
        known = (decided[:, one] > 0) & (decided[:, other] > 0)
        weight = np.where(known, np.maximum(self.weight[:, one], self.weight[:, other]), 0.0)
        x, y = ratio(self.wrong[:, one], decided[:, one]), ratio(self.wrong[:, other], decided[:, other])
        x, y = np.nan_to_num(x), np.nan_to_num(y)
        return [weight, weight * x, weight * y, weight * x * y]


def error_correlation(errors: Errors, one: int, other: int) -> Estimate:
    """Correlation of the errors of one call each of two judges (decided votes), in [-1, 1].

    Undefined where one of them never errs or always does. The noise of single calls is part of it: a judge that flips 20 % of the
    time cannot correlate above .2 to .3 with anybody.
    """
    columns = errors.pairwise(one, other)
    return estimate(
        errors.cluster, columns, _correlation, n=int((columns[0] > 0).sum()), reason="a judge has no errors to compare"
    )


def common_errors(errors: Errors, one: int, other: int) -> Estimate:
    """Of the pairs on which one of two judges errs, the share on which both do, in [0, 1]: 1 for a judge and its copy.

    Meant for one vote per judge and pair: for more, it is the ratio of the chances over one call each.
    """
    weight = errors.pairwise(one, other)[0]
    both = errors.wrong[:, one] * errors.wrong[:, other]
    either = errors.wrong[:, one] + errors.wrong[:, other] - both
    return share_of(errors.cluster, weight * both, weight * either, reason="neither of these judges errs")


def mean_error_correlation(errors: Errors) -> Estimate:
    """Mean over all two judges of the correlation of their errors; those for which it is undefined are left out."""
    return _over_judges(errors, _mean_correlation)


def effective_number_of_judges(errors: Errors) -> Estimate:
    """Independent judges that the panel is worth, by Kish's formula at the mean error correlation."""
    judges = errors.judges
    return _over_judges(errors, lambda sums: effective_judges(judges, _mean_correlation(sums)))


def _over_judges(errors: Errors, statistic: Callable[[Floats], Floats]) -> Estimate:
    if errors.judges < 2:
        return undefined("a panel of one")
    columns = [column for two in combinations(range(errors.judges), 2) for column in errors.pairwise(*two)]
    return estimate(
        errors.cluster, columns, statistic, n=len(errors.cluster), reason="no two judges have errors to compare"
    )


def _mean_correlation(sums: Floats) -> Floats:
    each = _correlation(sums.reshape(*sums.shape[:-1], -1, 4))
    known = ~np.isnan(each)
    return ratio(np.where(known, each, 0.0).sum(axis=-1), known.sum(axis=-1))


def _correlation(sums: Floats) -> Floats:
    total = sums[..., 0]
    x, y, both = (ratio(sums[..., k], total) for k in (1, 2, 3))
    spread = np.clip(x * (1 - x), 0, None) * np.clip(y * (1 - y), 0, None)
    return ratio(both - x * y, np.sqrt(np.where(spread > 1e-18, spread, 0.0)))


def all_wrong_together(errors: Errors) -> Estimate:
    """Chance that one call of each judge is wrong on all of them, on pairs where every judge has an opinion."""
    weight = errors.whole
    return share_of(errors.cluster, weight * errors.wrong.prod(axis=1), weight, reason=_NOT_WHOLE)


def all_wrong_if_independent(errors: Errors) -> Estimate:
    """What `all_wrong_together` would be for judges of the same accuracy that err independently."""
    return _from_means(errors, errors.wrong, lambda means: means.prod(axis=-1))


def panel_accuracy(errors: Errors, needed: int | None = None) -> Estimate:
    """Chance that at least `needed` (else more than half) of one call each of all judges are right; ties are not right."""
    weight = errors.whole
    return share_of(errors.cluster, weight * majority_accuracy(errors.right, needed), weight, reason=_NOT_WHOLE)


def condorcet_accuracy(errors: Errors, needed: int | None = None) -> Estimate:
    """What `panel_accuracy` would be for judges of the same accuracy that err independently (Condorcet)."""
    return _from_means(errors, errors.right, lambda means: majority_accuracy(means, needed))


def _from_means(errors: Errors, values: Floats, statistic: Callable[[Floats], Floats]) -> Estimate:
    weight = errors.whole
    return estimate(
        errors.cluster,
        [weight, *(weight[:, None] * values).T],
        lambda sums: statistic(ratio(sums[..., 1:], sums[..., :1])),
        n=int((weight > 0).sum()),
        reason=_NOT_WHOLE,
    )


_NOT_WHOLE = "no pair with gold on which every judge has an opinion"
