"""Which ballots of a pair are asked next, and when its label is settled: no call is made that cannot change the label."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from consensus.nouns import Ballot, Label, Verdict, digest
from consensus.rule import Rule, hash_bytes, majority, seats, shown

_ANY = (Verdict.A, Verdict.B, Verdict.TIE, Verdict.ABSTAIN)
Said = Verdict | None  # None: contradicted itself between the orders


@dataclass(frozen=True, slots=True)
class Seat:
    """One judge on one pair: the ballots it is asked, first the one that its rotation gives it."""

    judge: str
    ballots: tuple[Ballot, ...]


def line_up(pair_id: str, judges: Sequence[str], rule: Rule, costs: Mapping[str, float] | None = None) -> list[Seat]:
    """The judges asked about a pair, in the order in which they are tried.

    Args:
        judges: the panel, in the order of the cycle file.
        costs: what a call to each judge costs; the cheapest are tried first. None tries everybody equally often.
    """
    places = seats(pair_id, len(judges), rule.per_pair)
    start = hash_bytes(pair_id)[1]
    places.sort(key=lambda place: (place - start) % len(judges))
    if costs is not None:
        places.sort(key=lambda place: costs.get(judges[place], 0.0))
    return [_seat(pair_id, judges[place], place, rule) for place in places]


def _seat(pair_id: str, judge: str, place: int, rule: Rule) -> Seat:
    first = shown(pair_id, place, rotate=rule.rotate)
    ballot = Ballot(pair_id, judge, first)
    return Seat(judge, (ballot, Ballot(pair_id, judge, first.other)) if rule.both_orders else (ballot,))


def audited(pair_id: str, seed: int, share: float) -> bool:
    """Whether a pair belongs to the random share that is always asked completely."""
    return int(digest(["audit", seed, pair_id])[:13], 16) < share * 16**13


def next_ballots(
    line: Sequence[Seat], votes: Mapping[Ballot, Verdict], given_up: Collection[Ballot], rule: Rule
) -> list[Ballot]:
    """The next wave of ballots of a pair; empty if its label is settled, or if nobody is left to ask.

    The smallest number of ballots that could settle the label: first second orders of judges that are on the leading side, if
    those could make it win, else further judges.

    Args:
        line: the pair's judges, in the order in which they are tried.
        votes: what was answered so far, of these ballots.
        given_up: ballots that brought no answer.
    """
    state = _State.of(line, votes, given_up)
    if state.settled(rule):
        return []
    if state.untouched and (short := rule.min_agree - state.best_side()) > 0:
        return [seat.ballots[0] for seat in state.untouched[:short]]
    return state.confirmations(rule) or [seat.ballots[0] for seat in state.untouched[:1]]


def inclusion(
    line: Sequence[Seat],
    votes: Mapping[Ballot, Verdict],
    rule: Rule,
    audit_share: float,
    *,
    known: Collection[Ballot] = (),
    given_up: Collection[Ballot] = (),
) -> dict[Ballot, float]:
    """How likely each vote of a pair was to be asked: 1 where the label was still open, else `audit_share`.

    A mean that weights each vote by the inverse is unbiased for the mean over all votes.

    Args:
        known: votes that were there before any was asked, as recorded ones are.
        given_up: ballots that brought no answer.
    Source: Horvitz & Thompson 1952, J. Am. Stat. Assoc. 47.
    """
    certain = {ballot: votes[ballot] for ballot in known}
    while wave := [b for b in next_ballots(line, certain, given_up, rule) if b in votes]:
        certain |= {ballot: votes[ballot] for ballot in wave}
    return {ballot: 1.0 if ballot in certain else audit_share for ballot in votes}


@dataclass(frozen=True, slots=True)
class _State:
    """A pair in the middle: judges that are done, judges with one order of two, judges not asked."""

    done: tuple[Said, ...]
    half: tuple[tuple[Ballot, Verdict], ...]  # the ballot that is missing, and what the other order said
    untouched: tuple[Seat, ...]
    lost: int  # judges with a ballot that brought no answer

    @classmethod
    def of(cls, line: Sequence[Seat], votes: Mapping[Ballot, Verdict], given_up: Collection[Ballot]) -> _State:
        done: list[Said] = []
        half, untouched, lost = [], [], 0
        for seat in line:
            said = [votes[ballot] for ballot in seat.ballots if ballot in votes]
            missing = [ballot for ballot in seat.ballots if ballot not in votes]
            if any(ballot in given_up for ballot in missing):
                lost += 1
            elif not said:
                untouched.append(seat)
            elif missing:
                half.append((missing[0], said[0]))
            else:
                done.append(said[0] if len(set(said)) == 1 else None)
        return cls(tuple(done), tuple(half), tuple(untouched), lost)

    def settled(self, rule: Rule) -> bool:
        """Whether verdict and reason are what they are now, whatever is still to come."""
        open_ = len(self.half) + len(self.untouched)
        now = _essence(majority(self.done, rule, missing=open_ + self.lost))
        halves = tuple(sorted((verdict for _, verdict in self.half), key=str))
        done = tuple(sorted(self.done, key=str))
        return _possible(done, halves, len(self.untouched), self.lost, rule) == {now}

    def best_side(self) -> int:
        """Judges on the stronger side, those that were asked in one order included."""
        said = [*self.done, *(verdict for _, verdict in self.half)]
        return max(said.count(Verdict.A), said.count(Verdict.B))

    def confirmations(self, rule: Rule) -> list[Ballot]:
        """Second orders to ask: as many as the leading side still needs, or one of any judge."""
        said = [verdict for _, verdict in self.half]
        size = {side: self.done.count(side) + said.count(side) for side in (Verdict.A, Verdict.B)}
        # Of two that are as strong, the one that was heard first: never the one that comes first in the alphabet.
        lead = next(side for side in (*said, *size) if size.get(side) == max(size.values()))
        leading = [ballot for ballot, verdict in self.half if verdict is lead]
        needed = rule.min_agree - self.done.count(lead)
        if leading and needed > 0:
            return leading[:needed]
        return [ballot for ballot, _ in self.half[:1]]


def _essence(label: Label) -> tuple[Verdict | None, str]:
    return label.verdict, label.reason.value


@lru_cache(maxsize=100_000)
def _possible(
    done: tuple[Said, ...], half: tuple[Verdict, ...], untouched: int, lost: int, rule: Rule
) -> frozenset[tuple[Verdict | None, str]]:
    """Every verdict and reason that the full panel could still come to."""
    if not half and not untouched:
        return frozenset({_essence(majority(done, rule, missing=lost))})
    if half:
        outcomes: tuple[Said, ...] = (half[0], None)
        rest, left = half[1:], untouched
    else:
        outcomes = (*_ANY, None) if rule.both_orders else _ANY
        rest, left = half, untouched - 1
    ahead = (tuple(sorted((*done, outcome), key=str)) for outcome in outcomes)
    return frozenset().union(*(_possible(after, rest, left, lost, rule) for after in ahead))
