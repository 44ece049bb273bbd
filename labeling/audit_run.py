"""An audit's calls: what `audit --ask` does, without its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from rich.console import Console

from consensus.anchors import Anchors, AnchorSet, pair_tests
from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Ballot, Pair
from consensus.store import Store, Stored
from labeling.audit_plan import audit_ballots, open_ballots, own_order, sample
from labeling.cycle_run import Errand, ask, hashes
from labeling.labeler import Outcome
from labeling.panel import Panel
from labeling.plan import Need, Work, needs
from labeling.rubric import Rubric


@dataclass(frozen=True)
class Calls:
    """Calls that are wanted.

    Attributes:
        cycle: under whose name votes are stored; for a side run a name of its own.
        payer: the name of the cycle whose budget it is.
        judges: those that are asked.
        wanted: every pair in question with its ballots, as the store stands, whether something of it is open or not.
        anchors: the number of the set that is looked at, if one is.
    """

    cycle: Cycle
    payer: str
    judges: tuple[str, ...]
    wanted: Callable[[Store], Iterator[Work]]
    anchors: int | None = None

    def needs(self, store: Store, rubric: Rubric) -> list[Need]:
        """What is still to be asked, and what it costs; no call, no key."""
        return needs(_open(self.wanted(store)), Panel(self._asked, rubric).priced())

    async def run(self, store: Store, rubric: Rubric, *, console: Console, max_cost: float | None = None) -> Outcome:
        """Ask what is open; see `cycle_run.ask`."""
        side = self.cycle.name if self.cycle.name != self.payer else None
        if side:
            Anchors(store).begin(side, self.payer, self.anchors)
        done, wanted, pairs = Counter[str](), Counter[str](), 0
        for work in self.wanted(store):
            pairs += 1
            done.update(ballot.judge for ballot in work.votes)
            wanted.update({seat.judge: len(seat.ballots) for seat in work.line})
        errand = Errand(
            cycle=self._asked,
            payer=self.payer,
            work=lambda reader, _: _open(self.wanted(reader)),
            truth=lambda reader: (work.pair for work in self.wanted(reader)),
            totals={name: (wanted[name], done[name]) for name in self.judges},
            pairs=pairs,
        )
        outcome = await ask(store, errand, rubric, console=console, max_cost=max_cost)
        if side and self.anchors is not None and outcome.complete:
            Anchors(store).end(side, self.payer, self.anchors)
        return outcome

    @property
    def _asked(self) -> Cycle:
        """A cycle of these judges alone: no other's key is needed."""
        kept = tuple(judge for judge in self.cycle.judges if judge.label in self.judges)
        return self.cycle.model_copy(update={"judges": kept})


def _open(works: Iterator[Work]) -> Iterator[Work]:
    return (work for work in works if work.wave())


def audit_calls(
    store: Store,
    cycle: Cycle,
    rubric: Rubric,
    *,
    judge: str | None = None,
    pair_id: str | None = None,
    repeats: int | None = None,
) -> Calls:
    """The calls of the cycle's audit, or of a test of one pair.

    Args:
        judge: ask this one alone.
        pair_id: ask this pair alone, in the order of each judge's own ballot.
        repeats: how often; by default as often as the cycle's audit asks.
    Raises:
        UsageError: there is no such judge or pair.
    """
    judges = judges_asked(cycle, judge)
    if pair_id is not None:
        return _pair_calls(store, cycle, rubric, pair_id, judges, repeats or cycle.audit.repeats)
    audit = cycle.audit.model_copy(update={"repeats": repeats or cycle.audit.repeats})
    chosen, known = sample(store, cycle), hashes(cycle, rubric)

    def wanted(reader: Store) -> Iterator[Work]:
        for pair, stored in reader.work_on(cycle.name, chosen, known):
            yield open_ballots(pair, audit_ballots(pair.pair_id, judges, cycle, audit), stored, cycle.rule)

    return Calls(cycle, cycle.name, judges, wanted)


def _pair_calls(
    store: Store, cycle: Cycle, rubric: Rubric, pair_id: str, judges: tuple[str, ...], repeats: int
) -> Calls:
    """Votes on a pair that was picked by hand are no random sample: those that the cycle has not are kept beside it."""
    known_of(store, cycle, rubric, pair_id)
    ballots = [
        Ballot(pair_id, judge, own_order(pair_id, judge, cycle).shown, repeat)
        for judge in judges
        for repeat in range(repeats)
    ]

    def wanted(reader: Store) -> Iterator[Work]:
        pair, stored = known_of(reader, cycle, rubric, pair_id)
        yield open_ballots(pair, ballots, stored, cycle.rule)

    return Calls(renamed(cycle, pair_tests(cycle.name)), cycle.name, judges, wanted)


def known_of(store: Store, cycle: Cycle, rubric: Rubric, pair_id: str) -> tuple[Pair, list[Stored]]:
    """A pair of the cycle with everything that is stored of it, tests included.

    Raises:
        UsageError: it is none of its pairs.
    """
    if pair_id not in store.known_pairs(cycle.name):
        raise UsageError(f"cycle {cycle.name!r} has no pair {pair_id!r}; --pair takes the pair_id of one of its pairs")
    names, known = (cycle.name, pair_tests(cycle.name)), hashes(cycle, rubric)
    (pair, paid), (_, tested) = chain.from_iterable(store.work_on(name, [pair_id], known) for name in names)
    return pair, [*paid, *tested]


def look_calls(store: Store, cycle: Cycle, rubric: Rubric, kept: AnchorSet) -> Calls:
    """The calls of a look at anchors, or of what is left of it: each once, of this cycle's judges that the anchors know by name.

    Raises:
        UsageError: they know none of them.
    """
    known = {ballot.judge for ballot in kept.ballots}
    judges = tuple(name for name in judges_asked(cycle, None) if name in known)
    if not judges:
        raise UsageError(
            f"the anchors are of the judges {', '.join(sorted(known))}, and none of them is on the panel of "
            f"{cycle.name!r}; audit --new-anchors keeps this cycle's own"
        )
    look = Anchors(store).next_look(cycle.name, kept)
    ballots: dict[str, list[Ballot]] = {}
    for ballot in kept.ballots:
        if ballot.judge in judges:
            ballots.setdefault(ballot.pair_id, []).append(ballot)

    def wanted(reader: Store) -> Iterator[Work]:
        for pair, stored in reader.work_on(look, list(ballots), hashes(cycle, rubric)):
            yield open_ballots(pair, ballots[pair.pair_id], stored, cycle.rule)

    return Calls(renamed(cycle, look), cycle.name, judges, wanted, kept.number)


def anchor_cells(store: Store, cycle: Cycle, rubric: Rubric) -> list[Ballot]:
    """What can be kept as anchors: every sampled pair in each judge's own order, if it was asked at least twice."""
    found = []
    for pair, stored in store.work_on(cycle.name, sample(store, cycle), hashes(cycle, rubric)):
        own = {(vote.ballot.judge, vote.ballot.shown) for vote in stored if vote.verdict and vote.ballot.repeat}
        ballots = (own_order(pair.pair_id, judge, cycle) for judge in judges_asked(cycle, None))
        found += [ballot for ballot in ballots if (ballot.judge, ballot.shown) in own]
    return found


def judges_asked(cycle: Cycle, only: str | None) -> tuple[str, ...]:
    """The judges that are called, or this one.

    Raises:
        UsageError: there is none, or none of that name.
    """
    called = tuple(judge.label for judge in cycle.judges if judge.called)
    if not called:
        raise UsageError("every judge of this cycle is recorded: nobody can be asked again; audit without --ask")
    if only is not None and only not in called:
        raise UsageError(f"no judge that can be asked is called {only!r}; those are {', '.join(called)}")
    return (only,) if only else called


def renamed(cycle: Cycle, name: str) -> Cycle:
    """The same cycle with its votes kept under another name."""
    return cycle.model_copy(update={"cycle": cycle.cycle.model_copy(update={"name": name})})
