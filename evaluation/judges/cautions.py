"""What forbids to read the table of judges as it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from evaluation.judges.judged import RULES, Orders, TieRule
from evaluation.judges.result import JudgeRow

NAMES: dict[TieRule, str] = {
    "strict": "ties are not right",
    "decisive": "ties are left out",
    "half": "a tie is half right",
}


def cautions(
    rows: Sequence[JudgeRow], *, decided: int, orders: Orders, trained: Mapping[str, int] | None = None
) -> Iterator[str]:
    """One sentence each.

    Args:
        trained: how many of the pairs a judge was trained on, if on any.
    """
    for judge, n in (trained or {}).items():
        yield f"{judge} was trained on {n:,} of these pairs: what it does on others, this does not show; split by prompt"
    if not decided:
        yield "no pair has gold a or b: nothing here shows which judge is right"
        return
    yield from ranking(rows)
    answered = {row.judge: decided - row.counts.missing for row in rows}
    if len(set(answered.values())) > 1 or any(row.counts.missing for row in rows):
        few = ", ".join(f"{judge} {n:,}" for judge, n in answered.items() if n < decided)
        order = " in both orders" if orders == "both" else ""
        yield (
            f"not every judge answered on all {decided:,} pairs with gold{order} ({few}): accuracies are of different pairs "
            "(where judging stopped early, of the hard ones), only the paired differences are of the same"
        )
    if unread := [row for row in rows if row.counts.unread]:
        words = ", ".join(f"{row.judge} {row.counts.unread:,}" for row in unread)
        yield f"answers that could not be read count as not right, on so many pairs: {words}"


def ranking(rows: Sequence[JudgeRow]) -> Iterator[str]:
    """Whether the rules for ties rank the judges differently."""
    known = [row for row in rows if all(row.accuracy[rule].defined for rule in RULES)]
    if len(known) < 2:
        return
    first = {rule: _best(known, rule) for rule in RULES}
    if len({row.judge for row in first.values()}) > 1:
        words = "; ".join(
            f"{NAMES[rule]}: {row.judge}, {100 * row.accuracy[rule].value:.1f} %" for rule, row in first.items()
        )
        yield f"who is first depends on how ties count ({words})"
    turned = [(one.judge, other.judge) for one, other in combinations(known, 2) if _turns(one, other)]
    if turned:
        named = ", ".join(f"{one} and {other}" for one, other in turned[:3])
        more = f" and {len(turned) - 3} more" if len(turned) > 3 else ""
        yield f"the order of {len(turned)} couples depends on how ties count: {named}{more}"


def _best(rows: Sequence[JudgeRow], rule: TieRule) -> JudgeRow:
    return max(rows, key=lambda row: row.accuracy[rule].value)


def _turns(one: JudgeRow, other: JudgeRow) -> bool:
    signs = {float(np.sign(round(one.accuracy[rule].value - other.accuracy[rule].value, 12))) for rule in RULES}
    return {1.0, -1.0} <= signs
