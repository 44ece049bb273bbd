"""Which of TRL's losses a setting stands for, and what a pair's own chance adds to it.

With z = beta (log-ratio of chosen - log-ratio of rejected) and L(z) = softplus(-z), a label that is right with chance p has
the loss p L(z) + (1 - p) L(-z) = L(z) + (1 - p) z. So TRL's `sigmoid` plus a linear term is the whole of it; p = 1 adds exact
zeros. With one p for all pairs this is cDPO; rDPO is TRL's `robust`.

TRL 1.16 ignores `label_smoothing` with `sigmoid` without a word, which is why cDPO cannot be had from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consensus.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consensus.sections.training import Training


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss in TRL's words.

    Attributes:
        name: TRL's `loss_type`.
        smoothing: TRL's `label_smoothing`.
        chances: of each row, the chance that its chosen side is right, for the linear term; None where TRL's loss stands alone.
    """

    name: str
    smoothing: float
    chances: tuple[float, ...] | None


EXO_SMOOTHING = 1e-3  # the EXO paper's own; TRL refuses 0


def loss(settings: Training, rows: Sequence[Mapping[str, Any]]) -> Loss:
    """The loss of these rows.

    Raises:
        UsageError: a combination that would train something else than it says.
    """
    certain = all(row["p_chosen"] == 1 for row in rows)
    match settings.loss:
        case "soft":
            if bad := [row["pair_id"] for row in rows if not 0 <= row["p_chosen"] <= 1]:
                raise UsageError(f"p_chosen is a chance from 0 to 1, which it is not for {bad[0]!r} ({len(bad)} pairs)")
            return Loss("sigmoid", 0.0, tuple(row["p_chosen"] for row in rows))
        case "dpo":
            return Loss("sigmoid", 0.0, None)
        case "cdpo":
            return Loss("sigmoid", 0.0, (1 - _noise(settings),) * len(rows))
        case "rdpo":
            return Loss("robust", _noise(settings), None)
        case "aot" | "aot_unpaired" if settings.policy == "soft" and not certain:
            raise UsageError(
                f"'loss: {settings.loss}' sorts the log-ratios of a batch, so a pair has no chance of its own there; "
                "use 'loss: soft', or 'policy: hard'"
            )
        case name:
            return Loss(name, (settings.noise or EXO_SMOOTHING) if name == "exo_pair" else 0.0, None)


def _noise(settings: Training) -> float:
    if settings.noise is None:
        raise UsageError(f"'loss: {settings.loss}' needs 'noise', the share of labels that are wrong")
    return settings.noise
