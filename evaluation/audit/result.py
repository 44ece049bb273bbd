"""What an audit says: figures of the judges and of the panel, and what follows from them.

Audit                a cycle
├── JudgeAudit       one judge: figures by name, its distribution of flips, the pairs it flips on most
├── PanelAudit       all judges together: figures, agreement of every two (people included), labels kept and lost
└── Finding          one thing to know, and what to do about it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal

Unit = Literal["share", "points", "ratio", "number", "seconds", "dollars", "p"]
PEOPLE = "people"
"""The name under which gold stands beside the judges."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its interval.

    Attributes:
        name: as `--fail-on` and --json know it, see `evaluation/audit/names.py` for unit and meaning.
        value, low, high: in the figure's unit; nan where undefined. A value may be known where its bounds are not.
        n: the units (cells, pairs, votes) that it rests on.
        reason: why the value, or else its interval, is nan; empty where both are numbers or no interval is meant.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return self.value == self.value

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return self.low == self.low and self.high == self.high


@dataclass(frozen=True, slots=True)
class UnstablePair:
    """A request on which a judge often contradicts itself.

    Attributes:
        shown: `ab` or `ba`, the order it was shown in.
        differing, n: valid votes that are not the commonest verdict, and all of them.
    """

    pair_id: str
    shown: str
    differing: int
    n: int


@dataclass(frozen=True, slots=True)
class JudgeAudit:
    """One judge.

    Attributes:
        judge: its name.
        votes: its answers, abstentions included.
        figures: by name, in the order in which they are shown.
        flips: requests (judge, pair, order) asked more than once by their repeat flip rate, in bins of 5 points from 0 to 50 %
            and above: 11 counts, the first of exactly-0-to-5 %; as counted, which for few repeats is coarser than the truth.
        repeats: valid votes of the typical such request; nan where none was asked twice.
        unstable: the requests with the highest repeat flip rates, above 40 %, at most ten.
    """

    judge: str
    votes: int
    figures: Mapping[str, Figure]
    flips: tuple[int, ...] = ()
    repeats: float = float("nan")
    unstable: tuple[UnstablePair, ...] = ()

    def __getitem__(self, name: str) -> Figure:
        return self.figures[name]


@dataclass(frozen=True, slots=True)
class Between:
    """Two judges, or a judge and people (`PEOPLE`, always as the second).

    Attributes:
        agreement, kappa: of the verdicts, ties included.
        error_correlation: of single votes, on pairs with gold; None beside people.
        common_errors: of the label's votes, of the pairs on which one of the two errs the share on which both do; None as before.
    """

    one: str
    other: str
    agreement: Figure
    kappa: Figure
    error_correlation: Figure | None = None
    common_errors: Figure | None = None


@dataclass(frozen=True, slots=True)
class PanelAudit:
    """All judges together.

    Attributes:
        figures: by name, in the order in which they are shown.
        between: every two judges once, then every judge and people where there is gold.
        decisive: by judge, how often its vote decides: leaving it out changes the label's verdict.
        pairs, kept: pairs of the cycle, and those with a label.
        reasons: pairs by the reason of their label (`consensus.nouns.Reason`).
        components: the variance split by its parts (`pair`, `pair_judge`, ...).
        purchase: what another call is best spent on, one sentence; empty where the votes cannot tell.
    """

    figures: Mapping[str, Figure]
    between: tuple[Between, ...]
    decisive: Mapping[str, Figure]
    pairs: int
    kept: int
    reasons: Mapping[str, int]
    components: Mapping[str, Figure] = field(default_factory=dict)
    purchase: str = ""

    def __getitem__(self, name: str) -> Figure:
        return self.figures[name]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know.

    Attributes:
        check: what was looked at, e.g. `position_bias`.
        judge: whom it is about; None is the panel.
        accuses: whether it is a test, of which an innocent panel fails any in at most 5 % of audits; else a remark.
        says: what was found, in words a newcomer understands.
        advice: what to do about it.
        figure: on which it rests; of a test with the interval that holds for all tests together.
        brief: of a test, what is found in two or three words, for a list of judges.
    """

    check: str
    judge: str | None
    accuses: bool
    says: str
    advice: str
    figure: Figure | None = None
    brief: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit of a cycle.

    Attributes:
        votes: answers it rests on.
        judges: in the order of the cycle file.
        findings: the gravest first.
    """

    cycle: str
    votes: int
    judges: tuple[JudgeAudit, ...]
    panel: PanelAudit
    findings: tuple[Finding, ...]

    def kept(self) -> dict[str, Any]:
        """The figures as the store keeps them, see `consensus.audits`."""
        return {
            "judges": {
                one.judge: {name: _numbers(figure) for name, figure in one.figures.items()} for one in self.judges
            },
            "panel": {name: _numbers(figure) for name, figure in self.panel.figures.items()},
        }

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints, beside its `schema_version`; what is nan here is null there."""
        return asdict(self)


def _numbers(figure: Figure) -> dict[str, float | int | None]:
    told = {"value": figure.value, "low": figure.low, "high": figure.high}
    return {name: value if isfinite(value) else None for name, value in told.items()} | {"n": figure.n}
