"""What the table of judges says.

JudgeTable           judges on the same pairs
├── JudgeRow         one judge: counts, accuracy under each rule for ties and by category, order, calls, cost
└── Couple           one judge against another: see `couples`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.audit.result import Figure
from evaluation.judges.calls import Calls, Cost
from evaluation.judges.couples import Couple
from evaluation.judges.judged import Counts, Orders, TieRule


@dataclass(frozen=True, slots=True)
class JudgeRow:
    """One judge; intervals are by whole prompts.

    Attributes:
        accuracy: by the rule for ties.
        categories: accuracy in each category, by the table's rule.
        mean_of_categories: their unweighted mean.
        consistency: pairs with two readable verdicts on which the orders agree.
        first_share: decided verdicts for the completion shown first.
        tie_share: readable verdicts that call it a tie.
        unread_share: answers that could not be read.
    """

    judge: str
    counts: Counts
    accuracy: Mapping[TieRule, Figure]
    categories: Mapping[str, Figure]
    mean_of_categories: Figure
    consistency: Figure
    first_share: Figure
    tie_share: Figure
    unread_share: Figure
    calls: Calls
    cost: Cost


@dataclass(frozen=True, slots=True)
class JudgeTable:
    """Judges on the same pairs.

    Attributes:
        pairs: in all; of them `decided` have gold a or b, `tied` gold tie.
        rule: by which categories and couples are worked out.
        orders: both: a verdict counts where the two orders agree; one: of one order.
        mix: tokens in to tokens out, for the dollars.
        judges: the most accurate first.
        warnings: what forbids to read the table as it stands.
    """

    name: str
    pairs: int
    decided: int
    tied: int
    prompts: int
    rule: TieRule
    orders: Orders
    mix: str
    judges: tuple[JudgeRow, ...]
    couples: tuple[Couple, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints, beside its `schema_version`; what is nan here is null there."""
        each = asdict(self)
        for couple, plain in zip(self.couples, each["couples"], strict=True):
            plain["real"] = couple.real
        return each
