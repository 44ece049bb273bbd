"""Have judges changed? Looks at anchors in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from consensus.anchors import Anchors, AnchorSet, AnchorVote, Look
from consensus.nouns import Verdict
from consensus.statistics.drift import anchor_hits, over_looks, wealth
from consensus.store import Store

LEVEL = 0.05  # chance of a false alarm ever, over all judges of a panel
KINDS = tuple(Verdict)
_WHO = {"served_by": "the model that answers", "fingerprint": "its fingerprint", "config_hash": "the judge's settings"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A judge's votes on the anchors at one look, beside the ones kept.

    Attributes:
        hits: anchors on which the new vote is (one of) the commonest of all; `expected` of them if nothing changed.
        e_value: how much a bet against "nothing changed" won on this look; below 1 it lost.
    """

    look: str
    cycle: str
    n: int
    hits: int
    expected: float
    e_value: float


def compare(reference: Sequence[AnchorVote], new: Sequence[AnchorVote], look: Look) -> Seen:
    """One judge's look: its votes on anchors that have kept ones, each against those.

    One vote per anchor, the last, as a second one's chance would not be independent: there are two if the judge's settings were
    changed in the middle of a look.
    """
    counts: dict[str, np.ndarray[Any, Any]] = {}
    for vote in reference:
        counts.setdefault(vote.ballot.pair_id, np.zeros(len(KINDS)))[KINDS.index(vote.verdict)] += 1
    known = list({vote.ballot.pair_id: vote for vote in new if vote.ballot.pair_id in counts}.values())
    if not known:
        return Seen(look.name, look.cycle, 0, 0, 0.0, 1.0)
    stored = np.array([counts[vote.ballot.pair_id] for vote in known])
    hits, chance = anchor_hits(stored, [KINDS.index(vote.verdict) for vote in known])
    e_value = float(wealth(hits, chance)[-1])
    return Seen(look.name, look.cycle, len(known), int(hits.sum()), float(chance.sum()), e_value)


def drift_figures(store: Store, kept: AnchorSet, judges: Sequence[str]) -> dict[str, Any]:
    """What all looks at the anchors say of these judges.

    A judge is alarmed of where its evidence over all looks reaches the number of judges / LEVEL, so that in a panel that does
    not change an alarm is ever raised with a chance of at most LEVEL, however often one looks.
    """
    anchors = Anchors(store)
    looks = anchors.looks(kept)
    reference = anchors.reference(kept)
    seen = [(look, anchors.votes(kept, look)) for look in looks]
    threshold = len(judges) / LEVEL
    return {
        "anchors": len({ballot.pair_id for ballot in kept.ballots}),
        "kept_from": kept.cycle,
        "kept_at": kept.created_at.isoformat(),
        "level": LEVEL,
        "threshold": threshold,
        "judges": [_judge(name, _of(reference, name), seen, threshold) for name in judges],
    }


def _judge(
    name: str, reference: list[AnchorVote], seen: Sequence[tuple[Look, list[AnchorVote]]], threshold: float
) -> dict[str, Any]:
    looks = [compare(reference, _of(votes, name), look) for look, votes in seen]
    looks = [look for look in looks if look.n]
    total = over_looks([look.e_value for look in looks])
    evidence = float(total[-1]) if len(total) else None
    last = next((_of(votes, name) for _, votes in reversed(seen) if _of(votes, name)), [])
    return {
        "judge": name,
        "reference_votes": len(reference),
        "looks": [
            {"look": look.look, "cycle": look.cycle, "votes": look.n, "hits": look.hits, "expected": look.expected}
            | {"e_value": look.e_value, "evidence": float(so_far)}
            for look, so_far in zip(looks, total, strict=True)
        ],
        "evidence": evidence,
        "alarm": evidence is not None and evidence >= threshold,
        "changed": changes(reference, last),
        "reason": "" if looks else "no votes were kept of it" if not reference else "it was not asked the anchors yet",
    }


def changes(before: Sequence[AnchorVote], now: Sequence[AnchorVote]) -> list[dict[str, Any]]:
    """What is new in who answers: names that the kept votes do not have; nothing where either side does not say."""
    found = []
    for field, words in _WHO.items():
        old, new = (_names(votes, field) for votes in (before, now))
        if old and new - old:
            found.append({"what": field, "words": words, "before": sorted(old), "now": sorted(new)})
    return found


def _names(votes: Iterable[AnchorVote], field: str) -> set[str]:
    return {getattr(vote, field) for vote in votes} - {None}


def _of(votes: Iterable[AnchorVote], judge: str) -> list[AnchorVote]:
    return [vote for vote in votes if vote.ballot.judge == judge]
