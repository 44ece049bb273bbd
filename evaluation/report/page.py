"""The page: a cycle's audit and settings in, one HTML text out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources

from consensus.cycle import Cycle
from evaluation.audit.result import Audit, Figure, Finding
from evaluation.production.history import History
from evaluation.report import sections
from evaluation.report.cells import DASH, Cell, bare, cell, meaning, named, shown
from evaluation.report.costs import costs
from evaluation.report.draw import svg
from evaluation.report.plain import sentences
from evaluation.report.progress import progress
from evaluation.report.sections import Section
from evaluation.report.specs import NARROW, WIDE

ILLEGIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # no text, or not to be written as UTF-8
LEVEL = 0.95
"""The level at which an audit's figures have their intervals."""


@dataclass(frozen=True, slots=True)
class About:
    """What the report says beside the audit.

    Attributes:
        settings: of the cycle, by name.
        spent: dollars of each judge, None without a price.
        made: when the report is made.
        version: of the program.
    """

    settings: Mapping[str, str]
    spent: Mapping[str, float | None]
    made: datetime
    version: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A section's picture for a desk and for a phone, as SVG."""

    wide: str
    narrow: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure to see first."""

    title: str
    value: Cell
    says: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do, and the findings that say so."""

    says: str
    tested: bool
    findings: tuple[Finding, ...]


def page(audit: Audit, about: About, history: History) -> str:
    """The report as HTML that refers to nothing outside itself."""
    from jinja2 import Environment, StrictUndefined

    files = resources.files("evaluation.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["unbroken"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    template = environment.from_string(files.joinpath("page.html.jinja").read_text("utf-8"))
    html = template.render(
        audit=audit,
        about=about,
        style=files.joinpath("page.css").read_text("utf-8"),
        tiles=tiles(audit, about),
        sentences=sentences(audit, history),
        sections=[(part, _drawn(part)) for part in parts(audit, about, history)],
        tested=any(finding.accuses for finding in audit.findings),
        advices=advices(audit.findings),
        evidence=evidence,
        everything=sections.everything(audit),
        level=f"{100 * LEVEL:g} %",
    )
    return ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", html)


def parts(audit: Audit, about: About, history: History) -> list[Section]:
    """The sections in their order: what became of the model first, then the votes it rests on."""
    return [
        *progress(history),
        sections.labels(audit),
        sections.flips(audit),
        sections.position(audit),
        sections.order(audit),
        sections.agreement(audit),
        sections.panel(audit),
        costs(audit, about.spent),
    ]


def _drawn(part: Section) -> Picture | None:
    return Picture(svg(part.sketch(WIDE)), svg(part.sketch(NARROW))) if part.sketch else None


def tiles(audit: Audit, about: About) -> list[Tile]:
    """What to see first: retention, people, independence, cost."""
    panel = audit.panel
    people, worth = named(panel.figures, "label_accuracy"), named(panel.figures, "effective_judges")
    spent = [dollars for dollars in about.spent.values() if dollars is not None]
    per_pair = Cell(bare(sum(spent) / panel.kept, "dollars")) if spent and panel.kept else Cell(DASH)
    whole = "in all" if len(spent) == len(audit.judges) else "in all, without judges whose price is not known"
    kept = Cell(shown(panel.kept / panel.pairs, "share")) if panel.pairs else Cell(DASH)
    return [
        Tile("pairs kept", kept, f"{panel.kept:,} of {panel.pairs:,}"),
        Tile(
            "labels agree with people",
            _without_note(people),
            people.reason or f"on {people.n:,} kept pairs with gold",
        ),
        Tile(
            "independent judges",
            _without_note(worth),
            worth.reason or f"is what the panel of {len(audit.judges)} is worth",
        ),
        Tile("per kept pair", per_pair, f"{bare(sum(spent), 'dollars')} {whole}" if spent else "no price is known"),
    ]


def advices(findings: Sequence[Finding]) -> list[Advice]:
    """Findings by what they advise, in their order."""
    by: dict[tuple[str, bool], list[Finding]] = {}
    for finding in findings:
        by.setdefault((finding.advice, finding.accuses), []).append(finding)
    return [Advice(says, tested, tuple(found)) for (says, tested), found in by.items()]


def evidence(finding: Finding) -> str:
    """The figure on which a finding rests."""
    if finding.figure is None:
        return ""
    found = cell(finding.figure)
    kind = "an interval that allows for all tests together" if finding.accuses else f"a {100 * LEVEL:g} % interval"
    return f"({meaning(finding.figure.name).title} {found.text}{f', {found.between}: {kind}' if found.between else ''})"


def _without_note(figure: Figure) -> Cell:
    return replace(cell(figure), why="")


def settings(cycle: Cycle) -> dict[str, str]:
    """The settings of a cycle that bear on its labels, in words."""
    rule = cycle.rule
    judges = {
        f"judge {seat}": f"{judge.label} ({judge.provider}/{judge.model}{_temperature(judge.called, judge.temperature)})"
        for seat, judge in enumerate(cycle.judges, 1)
    }
    return judges | {
        "judges asked about a pair": f"{cycle.asked_per_pair} of {len(cycle.judges)}",
        "verdicts that keep a pair": f"at least {rule.min_agree} for one side",
        "a pair on which judges split": "is dropped" if rule.drop_if_split else "is kept if one side leads",
        "orders": "both; a judge that contradicts itself abstains" if rule.both_orders else "one a judge",
        "order rotates": "yes" if rule.rotate else "no",
        "asking stops": "when the label is settled"
        if cycle.sampling.stop == "settled"
        else "when all judges were asked",
        "pairs always asked completely": f"{100 * cycle.sampling.audit_share:g} %",
        "seed": str(cycle.cycle.seed),
    }


def _temperature(called: bool, temperature: float | None) -> str:
    if not called:
        return ""
    return ", asked without a temperature" if temperature is None else f", temperature {temperature:g} as sent"
