"""The panel's rule: which ballots make a pair's label, and what their votes add up to.

The view `labels` in the store says the same in SQL, for millions of votes at once; tests hold the two together.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from consensus.nouns import Ballot, Label, Reason, Shown, Verdict, Vote


@dataclass(frozen=True, slots=True)
class Rule:
    """How votes become a label.

    Attributes:
        min_agree: verdicts for one side that keep a pair.
        drop_if_split: drop a pair on which no side reaches `min_agree`; else the side that leads is kept.
        both_orders: every judge is asked in both orders, and abstains where its two verdicts differ.
        rotate: show completion b first for half of the ballots; else completion a is always first.
        per_pair: judges asked on each pair; None asks all.
    """

    min_agree: int = 2
    drop_if_split: bool = True
    both_orders: bool = False
    rotate: bool = True
    per_pair: int | None = None


@lru_cache(maxsize=1024)
def hash_bytes(pair_id: str) -> tuple[int, int]:
    """The first two bytes of SHA-256(pair_id): they decide order and seats, need no state, and are reproducible."""
    first, second = hashlib.sha256(pair_id.encode()).digest()[:2]
    return first, second


def seats(pair_id: str, judges: int, per_pair: int | None) -> list[int]:
    """The judges' places that are asked about a pair: a window of `per_pair` that starts at a hash of the pair.

    Over many pairs every judge is asked equally often, and neighbours keep alternating orders.
    """
    asked = judges if per_pair is None else min(per_pair, judges)
    start = hash_bytes(pair_id)[1] % judges
    return sorted((start + k) % judges for k in range(asked)) if asked < judges else list(range(judges))


def shown(pair_id: str, seat: int, *, rotate: bool = True) -> Shown:
    """The order in which the judge at `seat` sees the pair: balanced over pairs, alternating over the seats of one."""
    odd = (hash_bytes(pair_id)[0] + seat) & 1
    return Shown.BA if rotate and odd else Shown.AB


def label_ballots(pair_id: str, judges: Sequence[str], rule: Rule) -> list[Ballot]:
    """The ballots whose votes make the pair's label, in the order of the judges' places."""
    ballots = []
    for seat in seats(pair_id, len(judges), rule.per_pair):
        first = shown(pair_id, seat, rotate=rule.rotate)
        orders = [first, first.other] if rule.both_orders else [first]
        ballots += [Ballot(pair_id, judges[seat], order) for order in orders]
    return ballots


def majority(verdicts: Iterable[Verdict | None], rule: Rule, *, missing: int = 0) -> Label:
    """The label of one pair.

    Args:
        verdicts: one per judge that voted; None is a judge whose two orders contradict each other. Judges that failed
            or were not asked are left out.
        missing: how many those are; a pair that they could still decide has too few votes, it is not split.
    """
    count = Counter(verdicts)
    a, b, tie, unstable = count[Verdict.A], count[Verdict.B], count[Verdict.TIE], count[None]
    n_votes, decided, most = count.total(), a + b + tie, max(a, b)
    leader = None if a == b else (Verdict.A if a > b else Verdict.B)

    if leader and most >= rule.min_agree:
        verdict, reason = leader, Reason.AGREED
    elif most + missing >= rule.min_agree:
        verdict, reason = None, Reason.TOO_FEW_VOTES
    elif decided < rule.min_agree:
        verdict, reason = None, Reason.UNSTABLE if decided + unstable >= rule.min_agree else Reason.TOO_FEW_VOTES
    elif tie >= rule.min_agree and tie > most:
        verdict, reason = Verdict.TIE, Reason.TIE
    elif leader and not rule.drop_if_split:
        verdict, reason = leader, Reason.PLURALITY
    else:
        verdict, reason = None, Reason.SPLIT
    strongest = {Verdict.TIE: tie}.get(verdict, most) if verdict else max(a, b, tie)
    return Label(verdict, reason, strongest / n_votes if n_votes else None, n_votes)


def verdicts_by_judge(votes: Mapping[Ballot, Verdict], rule: Rule) -> list[Verdict | None]:
    """One verdict per judge: with both orders, None where they contradict, and nothing where one is still missing."""
    by_judge: dict[str, list[Verdict]] = {}
    for ballot, verdict in votes.items():
        by_judge.setdefault(ballot.judge, []).append(verdict)
    if not rule.both_orders:
        return [verdict for said in by_judge.values() for verdict in said]
    return [said[0] if said[0] == said[1] else None for said in by_judge.values() if len(said) == 2]


def label(votes: Iterable[Vote], pair_id: str, judges: Sequence[str], rule: Rule) -> Label:
    """The label of a pair from all votes on it; what the rule does not count (repeats, the other order) is for audits."""
    asked = label_ballots(pair_id, judges, rule)
    verdicts = verdicts_by_judge({v.ballot: v.verdict for v in votes if v.ballot in set(asked)}, rule)
    return majority(verdicts, rule, missing=len({ballot.judge for ballot in asked}) - len(verdicts))
