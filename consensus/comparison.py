"""Two panels over the same pairs: where their labels agree, and what each keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from consensus.errors import UsageError
from consensus.statistics.intervals import Interval, mean_interval, wilson
from consensus.terminal import count, dollars, percent, plain

if TYPE_CHECKING:
    from consensus.store import Store


def compare(store: Store, cycle: str, other: str) -> dict[str, Any]:
    """The labels of two cycles on the pairs that both have; intervals by whole prompts.

    `kept_more` is the share of pairs that this cycle keeps, minus the other's, in [-1, 1].

    Raises:
        UsageError: they have no pair in common.
    """
    rows = store.label_pairs(cycle, other)
    if cycle == other or not rows:
        raise UsageError(
            f"cycles {cycle!r} and {other!r} share no pairs; 'input.cycle' judges the pairs of another cycle again"
        )
    both = [row for row in rows if row.verdict and row.other]
    opposite = [row for row in both if row.verdict != row.other]
    known = [row for row in opposite if row.gold in ("a", "b")]
    same = wilson([row.verdict == row.other for row in both], [row.prompt_id for row in both])
    more = mean_interval([bool(r.verdict) - bool(r.other) for r in rows], [r.prompt_id for r in rows])
    return {
        "other": other,
        "shared": len(rows),
        "kept_both": len(both),
        "same": len(both) - len(opposite),
        "agree": _bounds(same),
        "kept_here_only": sum(bool(row.verdict and not row.other) for row in rows),
        "kept_there_only": sum(bool(row.other and not row.verdict) for row in rows),
        "kept_more": _bounds(more),
        "opposite_with_gold": len(known),
        "right_here": sum(row.verdict == row.gold for row in known),
        "spent_usd": store.spent(cycle),
        "other_spent_usd": store.spent(other),
    }


def _bounds(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def comparison_lines(figures: dict[str, Any]) -> Iterator[str]:
    """A comparison, for people."""
    other = plain(figures["other"])
    yield f"compared with [bold]{other}[/] on {count(figures['shared'])} shared pairs:"
    yield (
        f"  both keep {count(figures['kept_both'])}, and agree on {count(figures['same'])} of them, {_share(figures['agree'])}"
    )
    yield (
        f"  kept here alone {count(figures['kept_here_only'])}, there alone {count(figures['kept_there_only'])}; "
        f"the share that is kept differs by {_share(figures['kept_more'])}"
    )
    if n := figures["opposite_with_gold"]:
        yield f"  people: of {count(n)} pairs with gold that they label oppositely, {count(figures['right_here'])} are right here"
    yield f"  spent {dollars(figures['spent_usd'])} here, {dollars(figures['other_spent_usd'])} there"


def _share(bounds: dict[str, float]) -> str:
    value, low, high = bounds["value"], bounds["low"], bounds["high"]
    return percent(value) + (f" [{percent(low)}, {percent(high)}]" if low == low else "")
