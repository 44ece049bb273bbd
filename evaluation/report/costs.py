"""What a cycle cost, by judge and by kept pair."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.audit.result import Audit, JudgeAudit
from evaluation.report.cells import DASH, Cell, Row, bare, cell, counted, named, table
from evaluation.report.palette import GOOD
from evaluation.report.sections import Section, why_not
from evaluation.report.specs import Bar, bars

_NONE_KEPT = "no pair is kept"


def costs(audit: Audit, spent: Mapping[str, float | None]) -> Section:
    """Dollars by judge and by kept pair; `spent` is each judge's total, None without a price."""
    known = {judge: dollars for judge, dollars in spent.items() if dollars is not None}
    kept, total = audit.panel.kept, sum(known.values())
    drawn = [Bar(judge, dollars, _dollars(dollars, kept), GOOD) for judge, dollars in known.items()]
    rows: list[Row] = [_of_judge(judge, known.get(judge.judge), kept) for judge in audit.judges]
    if known:
        everyone = "all judges" if len(known) == len(audit.judges) else "all judges with a price"
        votes = sum(judge.votes for judge in audit.judges if judge.judge in known)
        rows.append([everyone, counted(votes), Cell(""), Cell(bare(total, "dollars")), _per_pair(total, kept)])
    return Section(
        "costs",
        "What it cost",
        (
            "US dollars for all calls of the cycle, failed ones and repeats included, and the same divided by the kept pairs.",
        ),
        (table("Dollars by judge", ("judge", "votes", "per vote", "in all", "per kept pair"), rows),),
        (lambda width: bars(drawn, width=width, title="US dollars")) if total else None,
        "Bars of dollars by judge.",
        why_not(audit, "cost", "What was spent") if not known else "Nothing was spent.",
    )


def _of_judge(judge: JudgeAudit, dollars: float | None, kept: int) -> Row:
    per_vote = cell(named(judge.figures, "cost"))
    if dollars is None:
        nothing = Cell(DASH, why=per_vote.why or "no price is known")
        return [judge.judge, counted(judge.votes), per_vote, nothing, nothing]
    return [judge.judge, counted(judge.votes), per_vote, Cell(bare(dollars, "dollars")), _per_pair(dollars, kept)]


def _per_pair(dollars: float, kept: int) -> Cell:
    return Cell(bare(dollars / kept, "dollars")) if kept else Cell(DASH, why=_NONE_KEPT)


def _dollars(dollars: float, kept: int) -> str:
    each = f", {bare(dollars / kept, 'dollars')} a kept pair" if kept else ""
    return f"{bare(dollars, 'dollars')}{each}"
