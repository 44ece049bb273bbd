"""Which prompts of the traffic are judged: a seeded sample by strata, that knows how much traffic each prompt stands for.

Prompts that say the same, or nearly the same, are drawn once. Chance comes from hashes of seed and trace, not from the order in
which the traces came: more traffic adds to a sample, and changes little of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from consensus.near import groups
from labeling.traces.chat import Message
from labeling.traces.trace import Trace

Stratum = tuple[str | None, ...]
FIELDS = ("model", "tags", "conversation_id", "convention", "trace_id")


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


def sample(traces: Sequence[Trace], design: Design) -> Sample:
    """Draw prompts from traces.

    In two stages: of the calls with the same prompt one is taken, each with the same chance, and of a stratum's prompts as many
    as fall to it. `weight` is one over the product of both chances, so that the weighted sum of anything over the sample
    estimates its sum over the traffic without bias (Horvitz and Thompson 1952, J. Am. Stat. Assoc. 47), as long as every
    stratum has a prompt in it.

    Raises:
        ValueError: a field is in no trace; or the floors need more than the size.
    """
    timed = [trace for trace in traces if trace.started_at or not (design.since or design.until)]
    inside = [cut(trace, design.cut) for trace in timed if _in_window(trace, design)]
    _check_fields(inside, design)
    chosen: dict[Stratum, list[tuple[Trace, int]]] = {}
    calls: Counter[Stratum] = Counter()
    for same in _alike(inside, design.near):
        trace = min(same, key=lambda one: _priority(one, design, "one of the same"))
        chosen.setdefault(stratum(trace, design.by), []).append((trace, len(same)))
    for trace in inside:
        calls[stratum(trace, design.by)] += 1
    sizes = allocate({name: len(prompts) for name, prompts in chosen.items()}, design.size, design.floor)
    drawn: list[Drawn] = []
    for name, prompts in chosen.items():
        best = sorted(prompts, key=lambda prompt: _priority(prompt[0], design, "drawn"))[: sizes[name]]
        chance = math.nan if design.order == "newest" else sizes[name] / len(prompts) if sizes[name] else 0.0
        drawn += [Drawn(trace, name, alike / chance, alike) for trace, alike in best]
    strata = {
        name: StratumSize(count, len(chosen.get(name, ())), sizes.get(name, 0)) for name, count in calls.most_common()
    }
    return Sample(design, tuple(drawn), strata, len(traces), len(inside), len(traces) - len(timed))


def allocate(sizes: Mapping[Stratum, int], total: int | None, floor: int) -> dict[Stratum, int]:
    """How many of `total` fall to each stratum: in proportion to its size, but at least `floor` where it has so many.

    Raises:
        ValueError: the floors alone need more.
    """
    if total is None or total >= sum(sizes.values()):
        return dict(sizes)
    least = {name: min(floor, size) for name, size in sizes.items()}
    if sum(least.values()) > total:
        raise ValueError(
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


def stratum(trace: Trace, by: Sequence[str]) -> Stratum:
    """The values of a trace's fields, as text; None where it has none."""
    return tuple(_text(_field(trace, name)) for name in by)


def cut(trace: Trace, at: Literal["turn", "user"]) -> Trace:
    """A trace whose prompt ends with the last turn of a user (or a tool, as readers leave it)."""
    users = [place for place, message in enumerate(trace.prompt, 1) if message["role"] == "user"]
    if at == "turn" or not users or users[-1] == len(trace.prompt):
        return trace
    prompt, begun = trace.prompt[: users[-1]], trace.prompt[users[-1] :]
    return dataclasses.replace(trace, prompt=prompt, completion=begun + trace.completion)


def _in_window(trace: Trace, design: Design) -> bool:
    since, until, at = design.since, design.until, trace.started_at
    return (since is None or (at is not None and at >= since)) and (until is None or (at is not None and at < until))


def _check_fields(traces: Sequence[Trace], design: Design) -> None:
    for name in design.by:
        if traces and all(_field(trace, name) is None for trace in traces):
            known = Counter(key for trace in traces[:1000] for key in trace.metadata)
            outcomes = sorted({f"outcome.{outcome.name}" for trace in traces[:1000] for outcome in trace.outcomes})
            there = [*FIELDS[:2], *outcomes, *(key for key, _ in known.most_common(12))]
            raise ValueError(f"no trace has {name!r} to stratify by; there are: {', '.join(there)}")


def _field(trace: Trace, name: str) -> Any:
    if name in FIELDS:
        return getattr(trace, name) or None
    if name.startswith("outcome."):
        said = [outcome.value for outcome in trace.outcomes if outcome.name == name.removeprefix("outcome.")]
        return said[-1] if said else None
    return _inside(trace.metadata, name)


def _inside(values: Mapping[str, Any], name: str) -> Any:
    if name in values:
        return values[name]
    head, dot, tail = name.partition(".")
    inner = values.get(head) if dot else None
    return _inside(inner, tail) if isinstance(inner, dict) else None


def _text(value: Any) -> str | None:
    if isinstance(value, (tuple, list)):
        return ", ".join(sorted(str(one) for one in value)) or None
    return None if value is None else str(value)


def _alike(traces: Sequence[Trace], near: float | None) -> list[list[Trace]]:
    """The traces in groups of the same prompt, or nearly the same."""
    exact: dict[str, list[Trace]] = {}
    for trace in traces:
        exact.setdefault(trace.prompt_id, []).append(trace)
    same = list(exact.values())
    if near is None or len(same) < 2:
        return same
    merged: dict[int, list[Trace]] = {}
    for group, members in zip(groups([_spoken(one[0].prompt) for one in same], near), same, strict=True):
        merged.setdefault(int(group), []).extend(members)
    return list(merged.values())


def _spoken(prompt: list[Message]) -> str:
    """What was said without the system's part: most traffic shares that, and would be one near duplicate."""
    said = [message for message in prompt if message["role"] not in ("system", "developer")]
    return "\n".join(f"{message['role']}: {_words(message)}" for message in said or prompt)


def _words(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = " ".join(str(part.get("text") or part) for part in content)
    calls = [f"{call['function']['name']} {call['function']['arguments']}" for call in message.get("tool_calls") or ()]
    return " ".join([content, *calls])


def _priority(trace: Trace, design: Design, stage: str) -> tuple[float, bytes]:
    """The smaller, the sooner drawn: by chance, or by time and then by chance."""
    key = f"{design.seed}\0{stage}\0{trace.trace_id}\0{trace.span_id}\0{trace.prompt_id}\0{trace.started_at}"
    chance = hashlib.sha256(key.encode("utf-8", "replace")).digest()
    if design.order == "uniform":
        return 0.0, chance
    oldest = datetime.min.replace(tzinfo=UTC)
    return -((trace.started_at or oldest) - oldest).total_seconds(), chance
