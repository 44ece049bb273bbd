"""Bringing traces into the store: read, sampled, masked; and what was used, what was not, and why."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.prompt_store import Prompts
from consensus.prompts import Prompt
from consensus.store import Store
from labeling.traces.reading import Reading, read_traces
from labeling.traces.redact import Redactor
from labeling.traces.sample import Design, Drawn, Sample, Unfit, sample


@dataclass(frozen=True)
class TraceIntake:
    """What came of the traces.

    Attributes:
        prompts: in the cycle now; fewer than drawn where masking made some the same.
        new: whether it is another sample than the one that was there.
        masked: kinds of what was masked: how often.
    """

    reading: Reading
    sample: Sample
    prompts: int
    new: bool
    masked: Mapping[str, int]

    @property
    def found(self) -> bool:
        """Whether there was anything of use."""
        return self.prompts > 0

    @property
    def lost(self) -> bool:
        """Whether any record was not used."""
        return self.reading.records > self.reading.used or not self.prompts

    def figures(self) -> dict[str, Any]:
        """As `--json` prints it."""
        about = {"read": self.reading.figures(), "sample": self.sample.figures(), "masked": dict(self.masked)}
        return {"what": "traces", "prompts": self.prompts, "new": self.new, **about}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{', '.join(map(str, self.reading.files))}:"
        yield from (f"  {line}" for line in self.reading.lines())
        yield from (f"  {line}" for line in self.sample.lines())
        if merged := len(self.sample.drawn) - self.prompts:
            yield f"  {merged:,} of them are the same as another after masking"
        if self.masked:
            kinds = ", ".join(f"{n:,} × {kind}" for kind, n in sorted(self.masked.items(), key=lambda item: -item[1]))
            yield f"  masked: {kinds}"
        if not self.new and self.prompts:
            yield "  the cycle has exactly these prompts already"


def ingest_traces(
    store: Store, cycle: Cycle, files: Sequence[Path], columns: Mapping[str, str] | None = None
) -> TraceIntake:
    """Read traces, draw the prompts that the cycle file asks for, mask them, and make them the cycle's.

    Raises:
        UsageError: a file as a whole cannot be read, the sample cannot be drawn so, or the cycle has completions for another.
    """
    reading, redactor = Reading(), Redactor(cycle.input.redact)
    traces = read_traces(files, reading, {**cycle.input.trace_columns, **(columns or {})})
    try:
        drawn = sample(traces, design_of(cycle))
    except Unfit as error:
        raise UsageError(f"input.prompts: {error}") from None
    prompts = merged(redactor.prompt(_prompt(one, drawn.design)) for one in drawn.drawn)
    about = {
        "drawn": {**drawn.figures(), "redact": list(cycle.input.redact)},
        "read": reading.figures(),
        "masked": dict(redactor.masked),
    }
    new = bool(prompts) and Prompts(store).keep(cycle.name, prompts, about)
    return TraceIntake(reading, drawn, len(prompts), new, dict(redactor.masked))


def design_of(cycle: Cycle) -> Design:
    """How the cycle file wants its prompts drawn."""
    return Design(**dict(cycle.input.prompts), seed=cycle.cycle.seed)


def refuse_stale(store: Store, cycle: Cycle) -> None:
    """Prompts that the store has were drawn and masked as the cycle file says now.

    Raises:
        UsageError: the file says something else than when they were drawn.
    """
    known = Prompts(store).sample(cycle.name)
    if known is None:
        return
    before = {**known["drawn"]["design"], "redact": known["drawn"]["redact"]}
    now = {**json.loads(json.dumps(design_of(cycle).figures())), "redact": list(cycle.input.redact)}
    if different := [name for name in now if before.get(name) != now[name]]:
        lines = [f"  {name}: {before.get(name)} before, {now[name]} now" for name in different]
        raise UsageError(
            "\n".join(
                [
                    f"the prompts of cycle {cycle.name!r} were drawn by other settings than the cycle file's:",
                    *lines,
                    "'consensus ingest' draws them anew, or change these back",
                ]
            )
        )


def merged(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Each prompt once: one that stands for others, too, has their weight and calls beside its own."""
    found: dict[str, Prompt] = {}
    for prompt in prompts:
        if (first := found.get(prompt.prompt_id)) is None:
            found[prompt.prompt_id] = prompt
        else:
            both = None if first.weight is None or prompt.weight is None else first.weight + prompt.weight
            found[prompt.prompt_id] = replace(first, weight=both, alike=first.alike + prompt.alike)
    return list(found.values())


def _prompt(drawn: Drawn, design: Design) -> Prompt:
    trace = drawn.trace
    return Prompt(
        prompt_id=trace.prompt_id,
        messages=trace.prompt,
        tools=trace.tools,
        production=trace.completion,
        stratum=dict(zip(design.by, drawn.stratum, strict=True)),
        weight=None if math.isnan(drawn.weight) else drawn.weight,
        alike=drawn.alike,
        outcomes=[asdict(outcome) for outcome in trace.outcomes],
        model=trace.model,
        trace_id=trace.trace_id,
        span_id=trace.span_id,
        conversation_id=trace.conversation_id,
        started_at=trace.started_at,
    )
