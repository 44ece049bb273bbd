"""What the latent model (`consensus.statistics.latent`) says of judges and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from consensus.chances import label_model
from consensus.statistics.calibration import p_chosen, platt
from consensus.statistics.decisive import dictator
from consensus.statistics.intervals import mean_interval
from consensus.statistics.latent import Latent
from evaluation.audit.figures import absent, of_interval
from evaluation.audit.material import Material
from evaluation.audit.result import Figure

_MODEL = "no interval: it rests on the model that judges err independently"


@dataclass(frozen=True, slots=True, eq=False)
class Believed:
    """The latent model's figures.

    Attributes:
        figures: of the panel, by name.
        judges: `latent_accuracy` of each.
        dictator: the judge that would outweigh all others if votes were weighted by it; None if there is none.
    """

    figures: Mapping[str, Figure]
    judges: tuple[Figure, ...]
    dictator: int | None

    @classmethod
    def of(cls, of: Material) -> Believed:
        """Fitted to the votes that make the labels, without gold; gold only calibrates it."""
        model, judges = label_model(of.label_votes), range(len(of.votes.judges))
        return cls(_figures(of, model), tuple(_judge(model, k) for k in judges), dictator(model.reliability))


def _judge(model: Latent, judge: int) -> Figure:
    value, n = float(model.reliability.accuracy[judge]), int(model.reliability.n[judge])
    if np.isnan(value):
        return absent("latent_accuracy", "no two other judges that share pairs with it and each other", n=n)
    return Figure("latent_accuracy", value, np.nan, np.nan, n, _MODEL)


def _figures(of: Material, model: Latent) -> dict[str, Figure]:
    gold = np.where(np.abs(of.votes.gold) == 1, of.votes.gold, 0)
    kept = of.kept == 1
    names = ("latent_gain", "calibration", "calibrated_p_chosen")
    if not (gold[kept] != 0).any():
        return {name: absent(name, "no kept pair has gold: an uncalibrated probability is none") for name in names}
    known = kept & (gold != 0)
    gain = (np.sign(model.llr) == gold).astype(float) - (of.label == gold)
    factor = platt(model.llr, gold, clusters=of.votes.cluster)
    chance = p_chosen(model.llr, np.where(kept, of.label, 0), factor.value)[kept]
    mean = mean_interval(chance, of.votes.cluster[kept])
    return {
        "latent_gain": of_interval("latent_gain", mean_interval(gain[known], of.votes.cluster[known])),
        "calibration": of_interval("calibration", factor),
        "calibrated_p_chosen": of_interval("calibrated_p_chosen", mean),
    }
