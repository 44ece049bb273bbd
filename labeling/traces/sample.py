"""Which prompts of the traffic are judged: a seeded sample by strata, that knows how much traffic each prompt stands for.

Prompts that say the same, or nearly the same, are drawn once. Chance comes from hashes of seed and trace, not from the order in
which the traces came: more traffic adds to a sample, and changes little of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from labeling.traces.candidates import Candidate, Candidates
from labeling.traces.strata import Strata, Stratum, cut
from labeling.traces.trace import Trace


class Unfit(ValueError):
    """A sample cannot be drawn by this design; the message says why."""


@dataclass(frozen=True, slots=True)
class Design:
    """How a sample is drawn.

    Attributes:
        size: prompts; None takes all.
        by: fields whose values together make a stratum: model, tags, conversation_id, convention, `outcome.NAME`, or any name
            in the metadata (a dot goes into an object).
        floor: prompts from every stratum that has so many; with 0 small strata may be missed, and rates do not cover them.
        order: `uniform` at random, or the `newest`, which are no probability sample and have no weights.
        since, until: of the start of a call; the end is not included. Traces without a time are left out if either is given.
        near: the similarity from which prompts count as the same, in (0, 1); None compares them exactly.
        cut: where the answer begins: behind the last `turn` of a user or a tool, or behind the last of a `user`: then
            it is an agent's whole run, with its calls of tools and their results.
    """

    size: int | None = None
    by: tuple[str, ...] = ()
    floor: int = 1
    order: Literal["uniform", "newest"] = "uniform"
    since: datetime | None = None
    until: datetime | None = None
    near: float | None = 0.9
    cut: Literal["turn", "user"] = "turn"
    seed: int = 0

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in dataclasses.asdict(self).items()}

    @property
    def timed(self) -> bool:
        """Whether it matters when a call was."""
        return self.since is not None or self.until is not None

    def __post_init__(self) -> None:
        if self.near is not None and not 0 < self.near < 1:
            raise ValueError(f"near is a similarity between 0 and 1, not {self.near}; leave it out to compare exactly")
        if (self.size is not None and self.size < 1) or self.floor < 0:
            raise ValueError("a sample has at least one prompt, and a floor is not below 0")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A prompt of the sample.

    Attributes:
        trace: cut as the design says.
        weight: one over the chance with which this trace was drawn: the number of calls it stands for. nan if there was no
            chance in it (newest).
        alike: calls with the same prompt, this one included.
    """

    trace: Trace
    stratum: Stratum
    weight: float
    alike: int


@dataclass(frozen=True, slots=True)
class StratumSize:
    """A stratum in numbers: calls, distinct prompts, and those drawn."""

    calls: int
    distinct: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample and how it was drawn.

    Attributes:
        calls: all that were offered.
        in_window: of those, within the time window.
        untimed: left out since they say no time.
    """

    design: Design
    drawn: tuple[Drawn, ...]
    strata: Mapping[Stratum, StratumSize]
    calls: int
    in_window: int
    untimed: int

    def figures(self) -> dict[str, Any]:
        """How it was drawn, as JSON."""
        strata = [{"stratum": list(name), **dataclasses.asdict(size)} for name, size in self.strata.items()]
        counts = {"calls": self.calls, "in_window": self.in_window, "untimed": self.untimed, "drawn": len(self.drawn)}
        return {"design": self.design.figures(), **counts, "strata": strata}

    def lines(self, most: int = 12) -> Iterator[str]:
        """How it was drawn, for people."""
        distinct = sum(size.distinct for size in self.strata.values())
        yield (
            f"{len(self.drawn):,} prompts drawn ({self.design.order}, seed {self.design.seed}) of {distinct:,} distinct ones "
            f"in {self.in_window:,} calls"
        )
        if outside := self.calls - self.in_window - self.untimed:
            yield f"  {outside:,} calls are outside the time window"
        if self.untimed:
            yield f"  {self.untimed:,} calls say no time"
        for name, size in list(self.strata.items())[: most if self.design.by else 0]:
            values = ", ".join(f"{f}={v or '-'}" for f, v in zip(self.design.by, name, strict=True))
            yield f"  {values}: {size.drawn:,} of {size.distinct:,} distinct prompts in {size.calls:,} calls"
        if self.design.by and len(self.strata) > most:
            yield f"  ... and {len(self.strata) - most:,} more strata"
        if missed := [size.calls for size in self.strata.values() if not size.drawn]:
            yield f"  {len(missed):,} strata ({sum(missed):,} calls) have no prompt here: no rate covers them; raise the floor"


def sample(traces: Iterable[Trace], design: Design) -> Sample:
    """Draw prompts from traces, which come one at a time and are not kept.

    In two stages: of the calls with the same prompt one is taken, each with the same chance, and of a stratum's prompts as many
    as fall to it. `weight` is one over the product of both chances, so that the weighted sum of anything over the sample
    estimates its sum over the traffic without bias (Horvitz and Thompson 1952, J. Am. Stat. Assoc. 47), as long as every
    stratum has a prompt in it.

    Raises:
        Unfit: a field is in no trace; or the floors need more than the size.
        ConsensusError: there is no room to set traces aside.
    """
    n_calls = n_inside = n_untimed = 0
    strata = Strata(design.by)
    with Candidates(design.seed, design.order, near=design.near is not None) as candidates:
        for n_calls, trace in enumerate(traces, 1):  # noqa: B007 - the last number is how many there were
            if design.timed and trace.started_at is None:
                n_untimed += 1
            elif _in_window(trace, design):
                n_inside += 1
                whole = cut(trace, design.cut)
                candidates.add(whole, strata.number(whole))
        if strata.missing:
            raise Unfit(strata.missing)
        names = list(strata.calls)
        prompts: dict[Stratum, list[Candidate]] = {}
        for one in candidates.distinct(design.near):
            prompts.setdefault(names[one.stratum], []).append(one)
        sizes = allocate({name: len(found) for name, found in prompts.items()}, design.size, design.floor)
        drawn = [
            Drawn(candidates.call(one), name, one.alike / chance, one.alike)
            for name, found in prompts.items()
            for one, chance in _best(found, sizes[name], design)
        ]
    numbers = sorted(strata.calls.items(), key=lambda item: -item[1])
    by_size = {name: StratumSize(calls, len(prompts.get(name, ())), sizes.get(name, 0)) for name, calls in numbers}
    return Sample(design, tuple(drawn), by_size, n_calls, n_inside, n_untimed)


def _best(prompts: list[Candidate], size: int, design: Design) -> Iterator[tuple[Candidate, float]]:
    """As many prompts of a stratum as fall to it, each with its chance to be among them."""
    chance = math.nan if design.order == "newest" else size / len(prompts)
    for one in sorted(prompts, key=lambda prompt: prompt.among_all)[:size]:
        yield one, chance


def allocate(sizes: Mapping[Stratum, int], total: int | None, floor: int) -> dict[Stratum, int]:
    """How many of `total` fall to each stratum: in proportion to its size, but at least `floor` where it has so many.

    Raises:
        Unfit: the floors alone need more.
    """
    if total is None or total >= sum(sizes.values()):
        return dict(sizes)
    least = {name: min(floor, size) for name, size in sizes.items()}
    if sum(least.values()) > total:
        raise Unfit(
            f"a floor of {floor:,} in {len(sizes):,} strata needs {sum(least.values()):,} prompts, but the sample is to have "
            f"{total:,}; lower the floor, or stratify by less"
        )
    fixed: dict[Stratum, int] = {}
    while True:  # a stratum that is raised to its floor leaves less to the others
        rest = {name: size for name, size in sizes.items() if name not in fixed}
        left, whole = total - sum(fixed.values()), sum(rest.values())
        raised = {name: least[name] for name, size in rest.items() if left * size < least[name] * whole}
        if not raised:
            break
        fixed |= raised
    shares = {name: divmod(left * size, whole) for name, size in rest.items()}
    found = fixed | {name: share for name, (share, _) in shares.items()}
    order = sorted(shares, key=lambda name: (-shares[name][1], tuple(value or "" for value in name)))
    for name in order[: total - sum(found.values())]:
        found[name] += 1
    return found


def _in_window(trace: Trace, design: Design) -> bool:
    since, until, at = design.since, design.until, trace.started_at
    return (since is None or (at is not None and at >= since)) and (until is None or (at is not None and at < until))
