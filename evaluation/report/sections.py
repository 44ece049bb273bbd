"""What stands in the report, part by part: words for people who see it for the first time, a picture, and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from consensus.nouns import Reason
from consensus.summary import WHY
from evaluation.audit.names import PARTS
from evaluation.audit.result import PEOPLE, Audit, Between, Figure, JudgeAudit
from evaluation.report.cells import DASH, Cell, Row, Table, bare, cell, counted, meaning, named, table, word
from evaluation.report.palette import GOOD, WARN, heat
from evaluation.report.specs import Bar, Histogram, Spec, Square, Whisker, bars, forest, heat_map, histograms

Sketch = Callable[[int], Spec]
"""A picture for a width in pixels."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report.

    Attributes:
        slug: its address within the page.
        says: paragraphs before the picture.
        sketch: None where nothing can be drawn; `missing` then says why.
        describes: the picture in one sentence, for who does not see it.
        after: paragraphs behind the tables.
    """

    slug: str
    title: str
    says: tuple[str, ...]
    tables: tuple[Table, ...]
    sketch: Sketch | None = None
    describes: str = ""
    missing: str = ""
    after: tuple[str, ...] = ()


def labels(audit: Audit) -> Section:
    """How many pairs were kept, and why the others were lost."""
    panel = audit.panel
    reasons = sorted(panel.reasons.items(), key=lambda item: (not Reason(item[0]).keeps, -item[1]))
    rows: list[Row] = []
    drawn = []
    for reason, n in reasons:
        keeps, why, share = Reason(reason).keeps, WHY[Reason(reason)], _share(n, panel.pairs)
        outcome = "kept" if keeps else "lost"
        rows.append([outcome, why, counted(n), Cell(share)])
        drawn.append(Bar(why, n, f"{n:,} {outcome} ({share})", GOOD if keeps else WARN))
    return Section(
        "labels",
        "Which pairs got a label, and why the others did not",
        (
            f"{panel.kept:,} of {panel.pairs:,} pairs are kept ({_share(panel.kept, panel.pairs)}). A pair is kept when "
            "enough judges name the same completion as the better one; the others are lost, each for one reason.",
        ),
        (table("Pairs by what became of them", ("outcome", "reason", "pairs", "share"), rows),),
        (lambda width: bars(drawn, width=width, title="pairs")) if drawn else None,
        "Bars of the pairs kept and lost by reason.",
        "The cycle has no pairs yet.",
    )


def flips(audit: Audit) -> Section:
    """How often identical calls get different answers."""
    asked = [judge for judge in audit.judges if sum(judge.flips)]
    drawn = [Histogram(judge.judge, [100 * n / sum(judge.flips) for n in judge.flips]) for judge in asked]
    names = ("disagreement", "repeat_flip", "median_flip", "tail_flip")
    tables = [_by_judge("Answers to identical calls, by judge", audit, names, repeats=True)]
    if asked:
        tables += [_bins(asked), _unstable(asked)]
    return Section(
        "flips",
        "Does a judge contradict itself when asked the same again?",
        (
            "The very same request, sent several times, can come back with different verdicts. A request's repeat flip rate "
            "is the share of its verdicts that are not its commonest one: 0 % always says the same, 50 % is a coin toss.",
            "The orange bars are the tail: requests that flip 40 % of the time or more, as counted. With few repeats a "
            "request counts coarsely, so the table also has the share above 40 % of a fitted distribution.",
        ),
        tuple(tables),
        (lambda width: histograms(drawn, width=width, title="repeat flip rate, %")) if drawn else None,
        "A histogram per judge of how often requests flip; bars from 40 % on are orange.",
        why_not(audit, "disagreement"),
        _not_drawn(audit, [judge.judge for judge in asked]) if asked else (),
    )


def position(audit: Audit) -> Section:
    """Whether the slot decides instead of the content."""
    names = ("position_bias", "first_share", "primacy", "recency", "mcnemar_p", "preference_fairness")
    return _forest_section(
        audit,
        "position",
        "Does a judge favour what it sees first?",
        (
            "Each judge sees the completions of a pair in one order or the other. A fair judge gives half of its votes to "
            "whichever is shown first. Right of the zero line it favours the first, left of it the second; the line through "
            "a dot is the range in which the true value lies with 95 % confidence.",
        ),
        names,
        "second slot ← points → first slot",
    )


def order(audit: Audit) -> Section:
    """What swapping the two completions changes."""
    return _forest_section(
        audit,
        "order",
        "Does swapping the two completions change its mind?",
        (
            "A judge may change its verdict when the same two completions are shown in the other order. Some of that is only "
            "chance, as it also contradicts itself on identical calls; order sensitivity is what the order adds. At zero, "
            "order does no harm beyond chance.",
        ),
        ("order_sensitivity", "position_consistency"),
        "changed by the order alone, points",
    )


def agreement(audit: Audit) -> Section:
    """Who agrees with whom, people included."""
    between, judges = audit.panel.between, [judge.judge for judge in audit.judges]
    value = {frozenset((each.one, each.other)): each.agreement for each in between}
    people = any(each.other == PEOPLE for each in between)
    squares = [
        square
        for row, name in enumerate([*judges, *([PEOPLE] if people else [])])
        for column, other in enumerate(judges)
        for square in [_square(row, column, name, None if name == other else value.get(frozenset((name, other))))]
    ]
    rows: list[Row] = [[each.one, each.other, *_of_two(each), counted(each.agreement.n)] for each in between]
    listed = table("Agreement of every two", ("judge", "and", *_BETWEEN, "n"), rows)
    without = "No pair has a person's answer (gold), so there is no row for people: nobody knows whether the judges are right."
    return Section(
        "agreement",
        "Who agrees with whom, and with people",
        (
            "The chance, in percent, that two judges give the same verdict on the same pair; the stronger the colour, the "
            "more. Judges are numbered as in the rows. Agreement is not correctness: judges can be wrong together. "
            + ("The last row is people." if people else without),
        ),
        (replace(listed, folded=len(rows) > _LONG),),
        (lambda width: heat_map(squares, width=width)) if any(each.agreement.defined for each in between) else None,
        "A grid of how often every two judges agree" + (", people in the last row." if people else "."),
        "There are no two judges with votes on the same pairs" + ("." if people else ", and no people's answers."),
    )


def panel(audit: Audit) -> Section:
    """What the judges are worth together."""
    found = audit.panel
    worth = named(found.figures, "effective_judges")
    n = len(audit.judges)
    if worth.defined:
        between = f" ({bare(worth.low, 'number')} to {bare(worth.high, 'number')})" if worth.bounded else ""
        first = f"The panel of {n} is worth {worth.value:.2f}{between} independent judges, as far as errors show: "
        first += "judges that err on the same pairs add less than their number."
    else:
        first = f"How many independent judges the panel of {n} is worth is not known: {worth.reason}."
    decisive: list[Row] = [[name, cell(each, "share"), counted(each.n)] for name, each in found.decisive.items()]
    parts: list[Row] = [
        [PARTS.get(name, name), cell(each, "number"), counted(each.n)] for name, each in found.components.items()
    ]
    tables = [table("The panel's figures", ("figure", "what it means", "value", "n"), _explained(found.figures))]
    if decisive:
        tables.append(table("Whose vote decides", ("judge", "labels that would change without it", "n"), decisive))
    if parts:
        tables.append(table("Where differences between verdicts come from", ("part", "variance", "n"), parts))
    after = (f"What another call is best spent on: {found.purchase}",) if found.purchase else ()
    return Section("panel", "What the panel is worth together", (first,), tuple(tables), after=after)


def everything(audit: Audit) -> list[Table]:
    """Every figure of every judge."""
    columns = ("figure", "what it means", "value", "n")
    return [
        replace(table(f"{judge.judge}: {judge.votes:,} votes", columns, _explained(judge.figures)), folded=True)
        for judge in audit.judges
    ]


def _explained(figures: Mapping[str, Figure]) -> list[Row]:
    return [[meaning(name).title, meaning(name).says, cell(each), counted(each.n)] for name, each in figures.items()]


_LONG = 12
"""Rows above which a list of pairs is folded."""
_BETWEEN = ("agreement", "kappa", "error correlation", "err together")
_BESIDE_PEOPLE = "needs two judges: people are taken to be right"


def _forest_section(
    audit: Audit, slug: str, title: str, says: tuple[str, ...], names: Sequence[str], axis: str
) -> Section:
    """Dots with intervals for the first of the names, a table for all."""
    name = names[0]
    accused = {finding.judge for finding in audit.findings if finding.accuses and finding.check == name}
    drawn = [_whisker(judge.judge, named(judge.figures, name), judge.judge in accused) for judge in audit.judges]
    marked = "An orange diamond marks a judge that fails the test even after allowing for the number of tests."
    return Section(
        slug,
        title,
        says + ((marked,) if accused else ()),
        (_by_judge(f"{_title(name)}, by judge", audit, names),),
        (lambda width: forest(drawn, width=width, title=axis)) if any(w.value is not None for w in drawn) else None,
        f"{_title(name)} of each judge with its interval, and a line at zero.",
        why_not(audit, name),
    )


def _whisker(judge: str, figure: Figure, marked: bool) -> Whisker:
    value = 100 * figure.value if figure.defined else None
    low, high = (100 * figure.low, 100 * figure.high) if figure.bounded else (None, None)
    return Whisker(judge, value, low, high, marked)


def _by_judge(caption: str, audit: Audit, names: Sequence[str], *, repeats: bool = False) -> Table:
    """Figures in columns; with what each means said in its head, and n of the first."""
    rows: list[Row] = []
    for judge in audit.judges:
        found = [named(judge.figures, name) for name in names]
        typical = [Cell(f"{judge.repeats:g}" if judge.repeats == judge.repeats else DASH)] if repeats else []
        rows.append([judge.judge, *(cell(figure) for figure in found), *typical, counted(found[0].n)])
    columns = ["judge", *(meaning(name).title for name in names), *(["calls per request"] if repeats else []), "n"]
    return table(caption, columns, rows, {meaning(name).title: meaning(name).says for name in names})


def _bins(judges: Sequence[JudgeAudit]) -> Table:
    columns = ("judge", *(f"{5 * k} to < {5 * k + 5} %" for k in range(10)), "50 % and more")
    rows: list[Row] = [[judge.judge, *(counted(n) for n in judge.flips)] for judge in judges]
    return replace(table("Requests by their repeat flip rate, as drawn", columns, rows), folded=True)


def _unstable(judges: Sequence[JudgeAudit]) -> Table:
    rows: list[Row] = [
        [
            judge.judge,
            each.pair_id,
            "a first" if each.shown == "ab" else "b first",
            Cell(f"{each.differing} of {each.n}"),
        ]
        for judge in judges
        for each in judge.unstable
    ]
    caption = "The tail by name: requests that flip most, above 40 % (at most ten a judge)"
    if not rows:
        rows = [[word("none"), word("no request flips more than 40 % of the time"), word(""), word("")]]
    found = table(caption, ("judge", "pair", "shown", "verdicts that differ"), rows)
    return replace(found, folded=len(rows) > _LONG)


def _square(row: int, column: int, name: str, figure: Figure | None) -> Square:
    label = name if name == PEOPLE else f"{row + 1} {name}"
    if figure is None or not figure.defined:
        return Square(label, str(column + 1), "" if row == column else DASH, "transparent", "currentColor")
    return Square(label, str(column + 1), f"{100 * figure.value:.0f}", *heat(figure.value))


def _of_two(each: Between) -> list[Cell]:
    beside_people = Cell(DASH, why=_BESIDE_PEOPLE)
    errors = cell(each.error_correlation, "number") if each.error_correlation else beside_people
    together = cell(each.common_errors, "share") if each.common_errors else beside_people
    return [cell(each.agreement, "share"), cell(each.kappa, "number"), errors, together]


def why_not(audit: Audit, name: str, subject: str = "") -> str:
    """Why nobody has a figure: each reason once."""
    reasons = dict.fromkeys(named(judge.figures, name).reason for judge in audit.judges)
    said = "; ".join(reason for reason in reasons if reason)
    return f"{subject or _title(name)} is not known: {said or 'there are no votes'}."


def _not_drawn(audit: Audit, drawn: Sequence[str]) -> tuple[str, ...]:
    missing = [judge for judge in audit.judges if judge.judge not in drawn]
    return tuple(f"Not drawn: {j.judge}, {named(j.figures, 'disagreement').reason}." for j in missing)


def _title(name: str) -> str:
    title = meaning(name).title
    return title[0].upper() + title[1:]


def _share(n: int, whole: int) -> str:
    return f"{100 * n / whole:.1f} %" if whole else DASH
