"""The figures of an audit by name: unit, title, and what each means in one line."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.audit.result import Unit


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a figure is read.

    Attributes:
        unit: share (0 to 1, shown as %), points (a difference of shares), ratio (odds, 1 is no effect), number, seconds,
            dollars, p (a p-value).
        title: what it is called in tables.
        says: one line for people who see it for the first time.
    """

    unit: Unit
    title: str
    says: str


JUDGE: dict[str, Meaning] = {
    "repeat_flip": Meaning(
        "share", "repeat flips", "identical calls whose verdict is not the commonest one; grows with repeats"
    ),
    "disagreement": Meaning("share", "disagreement", "chance that two identical calls give different verdicts"),
    "median_flip": Meaning("share", "median flips", "half of the requests flip less often than this (fitted)"),
    "tail_flip": Meaning("share", "tail above 40 %", "requests on which the judge all but tosses a coin (fitted)"),
    "position_consistency": Meaning(
        "share", "same in both orders", "chance that swapping the completions keeps the verdict"
    ),
    "order_sensitivity": Meaning(
        "points", "order sensitivity", "order flips beyond repeat flips: what order alone changes"
    ),
    "position_bias": Meaning("points", "position bias", "votes for the completion shown first beyond one half"),
    "first_share": Meaning("share", "first slot", "decided votes for the completion shown first, as counted"),
    "primacy": Meaning("share", "leans first", "pairs on which the judge takes whatever is shown first"),
    "recency": Meaning("share", "leans second", "pairs on which the judge takes whatever is shown second"),
    "mcnemar_p": Meaning("p", "McNemar's p", "chance of leaning so unevenly if order did nothing"),
    "preference_fairness": Meaning(
        "number", "preference fairness", "-1 all for the first slot, +1 all for the second (Shi et al.)"
    ),
    "abstention": Meaning("share", "abstains", "answers without a readable verdict"),
    "failure": Meaning("share", "fails", "ballots that got no answer"),
    "tie": Meaning("share", "ties", "verdicts that call it a tie"),
    "length_preference": Meaning(
        "ratio", "odds per doubling", "how the odds of a vote grow when its completion is twice as long"
    ),
    "length_beyond_gold": Meaning("ratio", "odds, gold fixed", "the same, with what people chose held fixed"),
    "longer_share": Meaning("share", "longer one chosen", "decided votes for the longer completion"),
    "gold_longer_share": Meaning(
        "share", "people choose longer", "people's choices that are the longer completion, on the same pairs"
    ),
    "longer_than_people": Meaning(
        "points", "beyond people", "votes for the longer completion beyond people's on the same pairs"
    ),
    "latent_accuracy": Meaning(
        "share", "worth without gold", "chance that a decided vote is right, as the other judges' votes suggest"
    ),
    "self_preference": Meaning(
        "points", "own family", "votes for completions of its own model family beyond other judges' votes for them"
    ),
    "accuracy": Meaning("share", "agrees with gold", "decided votes that name the completion people chose"),
    "latency": Meaning("seconds", "s/call", "median seconds per call"),
    "cost": Meaning("dollars", "$/vote", "dollars per answer, failed calls included"),
}  # and score_<axis>, the correlation of an axis' scores with the verdict

PANEL: dict[str, Meaning] = {
    "agreement": Meaning("share", "agreement", "chance that two judges give the same verdict"),
    "fleiss_kappa": Meaning("number", "Fleiss' kappa", "agreement beyond chance: 0 chance, 1 always the same"),
    "alpha": Meaning(
        "number",
        "Krippendorff's alpha",
        "agreement beyond chance, for judges that miss pairs: 0 chance, 1 always the same",
    ),
    "error_correlation": Meaning(
        "number", "error correlation", "how far judges err on the same pairs: 0 independently"
    ),
    "effective_judges": Meaning("number", "effective judges", "independent judges that the panel is worth"),
    "all_wrong": Meaning("share", "all wrong together", "pairs with gold on which every judge is wrong"),
    "all_wrong_if_independent": Meaning("share", "all wrong by chance", "the same, did the judges err independently"),
    "panel_accuracy": Meaning("share", "majority is right", "pairs with gold on which enough judges are right"),
    "condorcet_accuracy": Meaning("share", "right by chance", "the same, did the judges err independently"),
    "label_accuracy": Meaning("share", "labels agree with gold", "kept labels that name the completion people chose"),
    "retention": Meaning("share", "kept", "pairs with a label"),
    "same_outcome": Meaning(
        "share", "S_all: same outcome", "chance that labeling again ends alike: same label, or dropped again"
    ),
    "same_label_if_kept_twice": Meaning(
        "share", "S_both: same label", "chance of the same label, where both labelings keep the pair"
    ),
    "same_label_if_kept_once": Meaning(
        "share", "S_1: kept again, same", "chance that a kept pair is kept again with the same label"
    ),
    "churn": Meaning("share", "churn", "pairs kept by either of two labelings that only one keeps"),
    "reliability": Meaning(
        "share", "reliability", "variance of the panel's mean verdict that comes again in a second labeling"
    ),
    "latent_gain": Meaning(
        "points", "model beyond majority", "labels of the latent model that agree with gold, beyond the majority's"
    ),
    "calibration": Meaning(
        "number", "calibration factor", "below 1 the latent model is too sure of itself: judges share errors"
    ),
    "calibrated_p_chosen": Meaning(
        "share", "mean p_chosen", "mean chance that a kept label is right, by the calibrated model"
    ),
}

PARTS = {
    "pair": "the pair: what all judges see in it",
    "pair_judge": "pair and judge: what one judge sees in it",
    "pair_order": "pair and order: the same for all judges",
    "pair_judge_order": "pair, judge and order",
    "residual": "the call: differs when asked again",
}
"""What each part of the verdicts' variance is."""
