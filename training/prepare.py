"""Before training: which run this is, and its rows. On the first process only."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from consensus.errors import ConsensusError, UsageError
from training import identity, manifest
from training.preferences import WHY, Plan, plan
from training.record import BEST, WEIGHTS
from training.rows import Counts, counter, write, write_parts

if TYPE_CHECKING:
    from consensus.audits import Audited
    from consensus.cycle import Cycle
    from consensus.store import Store
    from training.model import Loaded


def opened(cycle: Cycle) -> Store:
    """The cycle's store, with the rule of the cycle file.

    Raises:
        UsageError: there is none, or no such cycle in it, or its votes are of other judges.
    """
    from consensus.store import Store

    if not cycle.store.exists():
        raise UsageError(f"there is no store {cycle.store} yet; 'consensus label' makes it")
    store = Store(cycle.store)
    try:
        store.use_rule(cycle)
        if [tally.judge for tally in store.tallies(cycle.name)] != cycle.judge_names:
            raise UsageError(f"the votes of cycle {cycle.name!r} are of other judges than the cycle file names")
    except BaseException:
        store.close()
        raise
    return store


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is trained on: the cycle's labels, or rows of a file.

    Attributes:
        rows: of the file; None where the texts are in the store.
        panel: `consensus.summary.summary` of the cycle; None for a file.
        audit: the last audit of its judges; None without one.
    """

    plan: Plan
    rows: pa.Table | None = None
    panel: dict[str, Any] | None = None
    audit: Audited | None = None

    @classmethod
    def of(cls, cycle: Cycle) -> Material:
        """By the cycle's `training:` section.

        Raises:
            UsageError: as `opened`; or the file cannot be read.
            ConsensusError: nothing is left to train on.
        """
        from consensus.audits import last
        from consensus.summary import summary
        from training.given import given

        if cycle.training.rows is not None:
            found = cls(*given(cycle.name, cycle.training.rows, cycle.training))
        else:
            with opened(cycle) as store:
                found = cls(plan(store, cycle), None, summary(store, cycle.name), last(store, cycle.name))
        if not found.plan.train:
            raise ConsensusError(nothing_left(cycle, found.plan))
        return found

    def write(self, cycle: Cycle, loaded: Loaded, folder: Path) -> Counts:
        """Write the rows that the model can be trained on.

        Raises:
            UsageError: a row is too long, and that stops it.
            ConsensusError: nothing is left to train on.
        """
        settings = cycle.training
        how: dict[str, Any] = {
            "tokens": counter(loaded.tokenizer),
            "max_length": min(settings.max_length, loaded.longest or settings.max_length),
            "stop": settings.too_long == "stop",
        }
        if self.rows is not None:
            counts = write_parts([self.rows], self.plan, folder, plain=False, **how)
        else:
            with opened(cycle) as store:
                counts = write(store, self.plan, folder, **how)
        if not counts.train:
            raise ConsensusError(f"nothing is left to train on: {reasons(counts.left_out)}")
        return counts


def runs_folder(cycle: Cycle) -> Path:
    """Where the runs of a store stand."""
    return cycle.store.parent / "runs"


class Preparation:
    """A run that is about to begin, or to go on.

    Attributes:
        plan: what the cycle's labels give.
        identity: what makes it this run.
        folder: of the run.
        over: whether it ended before.
    Raises:
        UsageError: as `opened`; or the name is that of another run, or of one that is over and no longer whole.
        ConsensusError: nothing is left to train on.
    """

    def __init__(self, cycle: Cycle, *, beside: Path, name: str | None) -> None:
        self._cycle, self.material = cycle, Material.of(cycle)
        self.plan = self.material.plan
        run = identity.run_name(cycle.name, cycle.training, self.plan.digest) if name is None else name
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", run):
            raise UsageError(f"a run's name has up to 100 letters, digits, '.', '_' and '-', unlike {run[:120]!r}")
        self.folder = runs_folder(cycle) / run
        self.identity: dict[str, Any] = {
            "run": run,
            "cycle": cycle.name,
            "config": cycle.training.model_dump(mode="json"),
            "data_hash": self.plan.digest,
            "policy": self.plan.policy,
            "versions": identity.versions(beside),
            "seed": cycle.training.seed,
            "folder": f"runs/{run}",
        }
        self._before = manifest.read(self.folder)
        if self._before:
            self._compare(self._before)
        self.over = self._before.get("state") == "ended"
        if self.over and not (self.folder / "adapter" / WEIGHTS).exists():
            raise UsageError(
                f"the run {run!r} is over, but its adapter is not in {self.folder}/adapter; bring it back, or delete the folder "
                f"{self.folder} to train the run anew"
            )

    def _compare(self, before: dict[str, Any]) -> None:
        now = self._cycle.training.identity()
        lines = identity.difference({name: value for name, value in before["config"].items() if name in now}, now)
        if before["data_hash"] != self.plan.digest:
            lines.append("  the labels, or the rule over them")
        if lines:
            head = f"the run {before['run']!r} was begun with other settings or data:"
            raise UsageError("\n".join([head, *lines, "give the new run another --name"]))

    def rows(self, loaded: Loaded) -> None:
        """Write the rows and the manifest, unless an earlier start of the run did.

        Raises:
            UsageError: the model has other weights than when the run began, or a row is too long and that stops it.
            ConsensusError: nothing is left to train on.
        """
        if self._before and self._before["base"] != loaded.base:
            raise UsageError(
                f"the model {loaded.name!r} has other weights than when the run {self.identity['run']!r} began; give the new run "
                "another --name"
            )
        if not self._before:
            counts = self._written(loaded)
            figures = {
                name: getattr(self.plan, name)
                for name in ("because", "by_people", "overruled", "prompts", "groups", "largest")
            }
            found = {**asdict(counts), **figures, "panel": self.material.panel, "audit": self._audit()}
            for rest in ("checkpoints", BEST):  # of nobody knows which settings: a run without a manifest begins anew
                shutil.rmtree(self.folder / rest, ignore_errors=True)
            numbers = {"base": loaded.base, "numbers": loaded.numbers}
            self._before = {**self.identity, **numbers, "state": "begun", "stored": False, "data": found}
            manifest.write(self.folder, self._before)
        manifest.stored(self._cycle.store, self.folder, self._before, "begun")

    def _audit(self) -> dict[str, Any] | None:
        audit = self.material.audit
        return None if audit is None else {"votes": audit.votes, "at": f"{audit.at:%Y-%m-%d}", **audit.figures}

    def _written(self, loaded: Loaded) -> Counts:
        part = self.folder / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        counts = self.material.write(self._cycle, loaded, part)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        part.rename(self.folder / "data")
        return counts


def nothing_left(cycle: Cycle, found: Plan) -> str:
    """Why there is nothing to train on."""
    counts = Counter(found.left_out["reason"].to_pylist())
    lost = reasons(counts) if counts else "it has no pairs" if not found.held_out else "all pairs are held out"
    return f"nothing to train on in cycle {cycle.name!r}: {lost}. {found.because}"


def reasons(counts: Any) -> str:
    """How many pairs were left out, and why."""
    return "; ".join(f"{n:,} pairs: {WHY.get(reason, reason)}" for reason, n in counts.items())
