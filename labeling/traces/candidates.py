"""The prompts a sample is drawn from: of each that differs a few hundred bytes in memory, and one of its calls in a file."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from consensus.errors import ConsensusError
from consensus.near import Sketches, linked
from labeling.traces.strata import spoken
from labeling.traces.trace import Trace

_BUFFER = 2**16  # bytes
_OLDEST = datetime.min.replace(tzinfo=UTC)
_LATEST = (datetime.max.replace(tzinfo=UTC) - _OLDEST) // timedelta(microseconds=1)


@dataclass(slots=True)
class Candidate:
    """A prompt, with the one of its calls that is taken if the prompt is drawn.

    Attributes:
        among_same: the call's priority among those with the same prompt; the smaller, the sooner taken.
        among_all: its priority among the prompts of its stratum.
        stratum: that call's, by its number.
        at: where the call stands in the file.
        alike: calls with the same prompt.
    """

    among_same: bytes
    among_all: bytes
    stratum: int
    at: int
    alike: int = 1


class Candidates:
    """The prompts of the traffic, each once; a context manager.

    A call is set aside in a temporary file if it may be the one of its prompt that is taken. The file has no name where the
    system knows such files (not on Windows), and is gone with the process, however that ends.

    Args:
        near: sketch the prompts, so that near duplicates can be joined.
    """

    def __init__(self, seed: int, order: Literal["uniform", "newest"], *, near: bool) -> None:
        self._seed, self._order = seed, order
        self._known: dict[str, Candidate] = {}
        self._sketches = Sketches() if near else None
        self._aside = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - __exit__ closes it
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.close()

    def add(self, trace: Trace, stratum: int) -> None:
        """One more call.

        Raises:
            ConsensusError: there is no room to set it aside.
        """
        prompt_id = trace.prompt_id
        known, among_same = self._known.get(prompt_id), self._priority(trace, prompt_id, "one of the same")
        if known is not None:
            known.alike += 1
            if among_same >= known.among_same:
                return
        elif self._sketches:
            self._sketches.add(spoken(trace.prompt))
        found = Candidate(among_same, self._priority(trace, prompt_id, "drawn"), stratum, self._set_aside(trace))
        found.alike = known.alike if known else 1
        self._known[prompt_id] = found

    def distinct(self, near: float | None) -> list[Candidate]:
        """The prompts that differ; of those that are nearly the same one, with the calls of all."""
        found = list(self._known.values())
        if near is None or self._sketches is None or len(found) < 2:
            return found
        merged: dict[int, Candidate] = {}
        for group, one in zip(linked(self._sketches.all(), near).tolist(), found, strict=True):
            before = merged.get(group)
            alike = one.alike + (before.alike if before else 0)
            best = one if before is None or one.among_same < before.among_same else before
            best.alike = alike
            merged[group] = best
        return list(merged.values())

    def call(self, of: Candidate) -> Trace:
        """The call that stands for a prompt."""
        self._aside.seek(of.at)
        trace: Trace = pickle.load(self._aside)
        return trace

    def _set_aside(self, trace: Trace) -> int:
        data, at = pickle.dumps(trace, pickle.HIGHEST_PROTOCOL), self._end
        try:
            self._aside.write(data)
        except OSError as error:
            raise ConsensusError(
                f"cannot set traces aside in {tempfile.gettempdir()}: {error.strerror or error}; give a folder with room for "
                "them in the environment variable TMPDIR"
            ) from None
        self._end += len(data)
        return at

    def _priority(self, trace: Trace, prompt_id: str, stage: str) -> bytes:
        """The smaller, the sooner drawn: by chance, or by time and then by chance."""
        key = f"{self._seed}\0{stage}\0{trace.trace_id}\0{trace.span_id}\0{prompt_id}\0{trace.started_at}"
        chance = hashlib.sha256(key.encode("utf-8", "replace")).digest()[:16]
        if self._order == "uniform":
            return chance
        age = _LATEST - ((trace.started_at or _OLDEST) - _OLDEST) // timedelta(microseconds=1)
        return age.to_bytes(8, "big") + chance
