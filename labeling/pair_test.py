"""One pair asked again and again: how often each judge contradicts itself on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import nan
from typing import Any

from consensus.nouns import Shown, Verdict
from consensus.statistics.flips import disagreement, flip_interval
from consensus.store import Stored

DECIDED = (Verdict.A, Verdict.B, Verdict.TIE)


def pair_figures(stored: Iterable[Stored], judges: Iterable[str]) -> list[dict[str, Any]]:
    """What each judge said in each order in which it saw the pair, as `cell_figures` sums it up."""
    said: dict[tuple[str, Shown], list[Verdict]] = {}
    for vote in {vote.ballot: vote for vote in stored}.values():
        if vote.verdict:
            said.setdefault((vote.ballot.judge, vote.ballot.shown), []).append(vote.verdict)
    return [
        {"judge": judge, "shown": shown.value, **cell_figures(said[judge, shown])}
        for judge in judges
        for shown in Shown
        if (judge, shown) in said
    ]


def cell_figures(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Identical calls in figures.

    `n` verdicts without abstentions, of which `flips` were not the commonest: a share of `flip_rate`, with its exact interval
    from `low` to `high`. `modal` is None where two verdicts are the commonest; `disagreement` is the chance that two calls
    differ, without bias. nan where nothing, or for the last one not twice, was said.
    """
    count = Counter(verdicts)
    decided = [count[verdict] for verdict in DECIDED]
    n, most = sum(decided), max(decided)
    rate = flip_interval(decided)
    leaders = [verdict.value for verdict, k in zip(DECIDED, decided, strict=True) if k == most]
    return {
        **{verdict.value: count[verdict] for verdict in Verdict},
        "n": n,
        "modal": leaders[0] if len(leaders) == 1 and n else None,
        "modal_share": most / n if n else nan,
        "flips": n - most,
        "flip_rate": rate.value,
        "low": rate.low,
        "high": rate.high,
        "disagreement": float(disagreement(decided)),
    }
