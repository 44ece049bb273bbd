"""What a run in batches knows, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from consensus.batches import Batch, Batches
from consensus.nouns import Ballot
from consensus.store import Store
from labeling.batches.judges import BatchJudge


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """How a run in batches ended.

    Attributes:
        submitted: requests that were submitted.
        votes, failures: what was collected.
        running: batches on their way, each with what was last heard of it.
        waiting: ballots in them.
        online: judges that take no batches: their open ballots, and why.
        down: judges to which no more could be submitted, and why.
        strays: results under unknown ids.
        out_of_budget: whether the budget stopped it.
    """

    submitted: int
    votes: int
    failures: int
    running: tuple[tuple[Batch, str], ...]
    waiting: int
    online: Mapping[str, tuple[int, str]]
    down: Mapping[str, str]
    strays: int = 0
    out_of_budget: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left to wait for, to submit, or to ask online."""
        return not (self.running or self.down or self.out_of_budget or any(n for n, _ in self.online.values()))


@dataclass
class State:
    """One run.

    Attributes:
        say: told what happens, a line each.
        judges: those that take batches.
        online: those that do not, and why; `left` counts their open ballots.
        heard: of open batches, by tag: what was last heard.
        stuck: open batches that asking again in this run does not help.
        down: judges that take no more in this run, and why.
        paused: judges that take no more until one of their batches has ended, and why.
        failed: ballots that failed in this run, to be asked again by the next.
    """

    store: Store
    cycle: str
    hashes: dict[str, str]
    say: Callable[[str], None]
    judges: dict[str, BatchJudge]
    online: dict[str, str]
    left: Counter[str] = field(default_factory=Counter)
    heard: dict[str, str] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    down: dict[str, str] = field(default_factory=dict)
    paused: dict[str, str] = field(default_factory=dict)
    failed: set[Ballot] = field(default_factory=set)
    submitted: int = 0
    votes: int = 0
    failures: int = 0
    strays: int = 0
    out_of_budget: bool = False

    @property
    def batches(self) -> Batches:
        """The store's."""
        return Batches(self.store)

    def open(self) -> list[Batch]:
        """The batches on their way."""
        return self.batches.open(self.cycle)

    @property
    def hopeful(self) -> bool:
        """Whether waiting can bring anything."""
        return any(batch.tag not in self.stuck for batch in self.open())

    def note(self, batch: Batch, said: str, *, stuck: bool = False) -> None:
        """Remember how a batch stands, and say it if it is new."""
        if said != self.heard.get(batch.tag):
            self.say(f"{batch.judge}: batch {batch.name}: {said}")
        self.heard[batch.tag] = said
        if stuck:
            self.stuck.add(batch.tag)

    def outcome(self) -> BatchOutcome:
        """How things stand."""
        return BatchOutcome(
            self.submitted,
            self.votes,
            self.failures,
            tuple((batch, self.heard.get(batch.tag, "")) for batch in self.open()),
            self.batches.waiting(self.cycle),
            {name: (self.left[name], why) for name, why in self.online.items()},
            {**self.paused, **self.down},
            self.strays,
            self.out_of_budget,
        )

    def figures(self) -> dict[str, Any]:
        """What `status` reads while the store is locked."""
        lines = [
            {
                "judge": batch.judge,
                "line": f"{batch.judge:<28} {batch.requests:,} requests, {self.heard.get(batch.tag, '')}",
            }
            for batch in self.open()
        ]
        return {"cycle": self.cycle, "progress": lines, "cost_usd": self.store.spent(self.cycle)}
