"""The figures of all judges together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter

import numpy as np

from consensus.rule import Rule
from consensus.statistics.agreement import (
    all_wrong_if_independent,
    all_wrong_together,
    cohen_kappa,
    common_errors,
    condorcet_accuracy,
    effective_number_of_judges,
    error_correlation,
    fleiss_kappa,
    krippendorff_alpha,
    mean_agreement,
    mean_error_correlation,
    pairwise_agreement,
    panel_accuracy,
    with_people,
)
from consensus.statistics.components import Components, Design, Study, predicted_consistency, reliability
from consensus.statistics.consistency import (
    Relabels,
    churn,
    same_label_if_kept_once,
    same_label_if_kept_twice,
    same_outcome,
)
from consensus.statistics.decisive import Ballots
from consensus.statistics.estimate import Estimate, share_of, undefined
from evaluation.audit.figures import figure
from evaluation.audit.latent import Believed
from evaluation.audit.material import Material
from evaluation.audit.names import PANEL
from evaluation.audit.result import PEOPLE, Between, Figure, PanelAudit

_PARTS = ("pair", "pair_judge", "pair_order", "pair_judge_order", "residual")
_WORTH = 0.01
"""Gain in predicted label consistency below which another call is not worth its price."""


def common(of: Material) -> dict[tuple[int, int], Estimate]:
    """Of every two judges, how often they err together where one of them errs."""
    return {two: common_errors(of.errors, *two) for two in combinations(range(len(of.votes.judges)), 2)}


def audit_panel(
    of: Material,
    reasons: Mapping[str, int],
    shared: Mapping[tuple[int, int], Estimate],
    believed: Believed,
    rng: np.random.Generator,
) -> PanelAudit:
    """The panel's audit.

    Args:
        reasons: pairs by the reason of their label.
        shared: of `common`.
        believed: of the latent model.
    """
    runs = Relabels.of_votes(of.votes, of.rule)
    study = _Split.of(of)
    found = {
        "agreement": mean_agreement(of.panel),
        "fleiss_kappa": fleiss_kappa(of.panel),
        "alpha": krippendorff_alpha(of.panel),
        "error_correlation": mean_error_correlation(of.errors),
        "effective_judges": effective_number_of_judges(of.errors),
        "all_wrong": all_wrong_together(of.errors),
        "all_wrong_if_independent": all_wrong_if_independent(of.errors),
        "panel_accuracy": panel_accuracy(of.errors, of.rule.min_agree),
        "condorcet_accuracy": condorcet_accuracy(of.errors, of.rule.min_agree),
        "label_accuracy": _label_accuracy(of),
        "retention": share_of(
            of.votes.cluster, of.kept.astype(float), np.ones(len(of.kept)), reason="the cycle has no pairs"
        ),
        "same_outcome": same_outcome(runs),
        "same_label_if_kept_twice": same_label_if_kept_twice(runs),
        "same_label_if_kept_once": same_label_if_kept_once(runs),
        "churn": churn(runs),
        "reliability": study.reliability,
    }
    figures = {**{name: figure(name, each, rng) for name, each in found.items()}, **believed.figures}
    ballots = Ballots.of(of.label_votes, of.rule)
    return PanelAudit(
        figures={name: figures[name] for name in PANEL},
        between=_between(of, shared, rng),
        decisive={
            name: figure("decisive", ballots.decides(judge, of.rule), rng) for judge, name in enumerate(of.votes.judges)
        },
        pairs=sum(reasons.values()),
        kept=int(of.kept.sum()),
        reasons=dict(reasons),
        components={part: figure(part, each, rng) for part, each in study.parts.items()},
        purchase=study.purchase(figures),
    )


def _label_accuracy(of: Material) -> Estimate:
    known = (np.abs(of.votes.gold) == 1) & (of.kept == 1)
    right = (of.label == of.votes.gold)[known].astype(float)
    return share_of(of.votes.cluster[known], right, np.ones(len(right)), reason="no kept pair has gold")


def _between(of: Material, shared: Mapping[tuple[int, int], Estimate], rng: np.random.Generator) -> tuple[Between, ...]:
    names = of.votes.judges
    found = [
        Between(
            names[one],
            names[other],
            figure("agreement", pairwise_agreement(of.panel, one, other), rng),
            figure("kappa", cohen_kappa(of.panel, one, other), rng),
            figure("error_correlation", error_correlation(of.errors, one, other), rng),
            figure("common_errors", shared[one, other], rng),
        )
        for one, other in combinations(range(len(names)), 2)
    ]
    if (of.votes.gold != 2).any():
        wider = with_people(of.panel)
        people = len(names)
        found += [
            Between(
                names[judge],
                PEOPLE,
                figure("agreement", pairwise_agreement(wider, judge, people), rng),
                figure("kappa", cohen_kappa(wider, judge, people), rng),
            )
            for judge in range(len(names))
        ]
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Split:
    """The variance split, and what it says to buy."""

    parts: Mapping[str, Estimate]
    reliability: Estimate
    found: Components | None
    rule: Rule
    judges: int

    @classmethod
    def of(cls, of: Material) -> _Split:
        judges = len(of.votes.judges)
        design = Design(min(of.rule.per_pair or judges, judges), 2 if of.rule.both_orders else 1, 1)
        if judges < 2:
            nothing = undefined("a variance split needs two judges")
            return cls(dict.fromkeys(_PARTS, nothing), nothing, None, of.rule, design.judges)
        study = Study.of(of.cells, range(judges))
        parts = {part: study.estimate(attrgetter(part)) for part in _PARTS}
        found = study.components() if len(study.cluster) else None
        return cls(parts, study.estimate(lambda c: reliability(c, design)), found, of.rule, design.judges)

    def purchase(self, figures: Mapping[str, Figure]) -> str:
        """What doubling the calls is best spent on: a swapped repeat of each, or as many further judges; or people."""
        if self.found is None or not np.isfinite(float(self.found.residual)):
            return ""
        orders = 2 if self.rule.both_orders else 1
        now = _again(self.found, Design(self.judges, orders, 1))
        options = {
            "another call of each judge" if orders == 2 else "a swapped repeat of each judge": _again(
                self.found, Design(self.judges, 2, 2 if orders == 2 else 1)
            ),
            "as many further judges like these": _again(self.found, Design(2 * self.judges, orders, 1)),
        }
        best = max(options, key=lambda name: options[name])
        shared = figures["all_wrong"]
        before, after, other = (f"{100 * x:.1f} %" for x in (now, options[best], min(options.values())))
        if options[best] - now < _WORTH:
            text = (
                f"Twice the calls would make the labels hardly more stable ({before} would come again, then {after}): "
                "what is still wrong is wrong for all judges, and only people's labels can show it."
            )
        else:
            text = (
                f"If you can pay twice the calls, buy {best}: {after} of the labels would come again instead of {before} "
                f"(the other choice: {other}; predictions are 2 to 4 points off)."
            )
        if shared.defined and shared.value > 0:
            text += f" No call helps on the {100 * shared.value:.1f} % of pairs where all judges are wrong together."
        return text


def _again(found: Components, design: Design) -> float:
    return float(predicted_consistency(reliability(found, design)))
