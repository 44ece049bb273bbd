"""How an audit looks on a terminal: what to know first, then the judges, the worst first, then the panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from consensus.nouns import Reason
from consensus.terminal import count, plain
from evaluation.audit.gate import Ruling
from evaluation.audit.names import JUDGE, PANEL, PARTS
from evaluation.audit.result import PEOPLE, Audit, Figure, Finding, JudgeAudit, PanelAudit, Unit

if TYPE_CHECKING:
    from rich.console import Console

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_NAME = 26
Row = Sequence[str]
GROUPS = {
    "position_bias": "favour a slot (share of votes for it)",
    "order_sensitivity": "change their minds with the order alone (share of pairs)",
    "disagreement": "contradict themselves on identical calls (share of two calls that differ)",
    "abstention": "often give no readable verdict (share of answers)",
    "longer_than_people": "like length (points of votes for the longer one that errors do not explain)",
    "self_preference": "like their own model family (points beyond neutral judges)",
    "common_errors": "err together (share of their errors that are common)",
}
"""What a finding about several judges begins with."""


def show(console: Console, audit: Audit, rulings: Sequence[Ruling], *, gated: bool) -> None:
    """Print an audit, and what the limits of `--fail-on` say of it."""
    judges, panel = audit.judges, audit.panel
    console.print(
        f"[bold]{plain(audit.cycle)}[/]: {count(audit.votes)} votes of {len(judges)} judges on {count(panel.pairs)} pairs. "
        "In brackets: 95 % intervals, by whole prompts."
    )
    _findings(console, audit.findings)
    _steadiness(console, judges)
    _order(console, judges)
    _habits(console, judges)
    _scores(console, judges)
    _calls(console, judges)
    _panel(console, panel)
    _agreement(console, judges, panel)
    _labels(console, panel)
    _unknown(console, audit)
    if gated:
        _gate(console, rulings)


def shown(each: Figure, unit: Unit) -> str:
    """A figure in few characters, `12.3 % (8.1–17.0)`; a dash where it is undefined."""
    if not each.defined:
        return "–"
    one = _NUMBERS[unit]
    to = "–" if each.low >= 0 else " to "
    between = f" ({_bare(each.low, unit)}{to}{_bare(each.high, unit)})" if each.bounded else ""
    return one(each.value) + between


_NUMBERS: dict[Unit, Callable[[float], str]] = {
    "share": lambda x: f"{100 * x:.1f} %",
    "points": lambda x: f"{100 * x:+.1f}",
    "ratio": lambda x: f"×{x:.2f}",
    "number": lambda x: f"{x:.2f}",
    "seconds": lambda x: f"{x:.2f} s",
    "dollars": lambda x: f"${x:.5f}",
    "p": lambda x: f"{x:.3f}" if x >= 0.001 else f"{x:.0e}",
}


def _bare(value: float, unit: Unit) -> str:
    return f"{100 * value:.1f}" if unit in ("share", "points") else f"{value:.2f}"


def _findings(console: Console, findings: Sequence[Finding]) -> None:
    console.print("\n[bold]What to know[/]")
    if not any(finding.accuses for finding in findings):
        console.print("[green]✓[/] no judge fails a test (a panel without fault passes all of them in 95 % of audits)")
    for (check, accuses, advice), same in groupby(findings, key=lambda each: (each.check, each.accuses, each.advice)):
        group = list(same)
        mark = "[red]✗[/]" if accuses else "[yellow]•[/]"
        if accuses and len(group) > 1:
            who = ", ".join(f"{finding.judge} ({finding.brief})" for finding in group)
            says = [f"{GROUPS[check]}: {who}"]
        else:
            says = [finding.says for finding in group]
        for line in says:
            _say(console, f"{mark} {plain(line)}")
        _say(console, f"  [dim]→ {plain(advice)}[/]")


def _say(console: Console, line: str) -> None:
    """Text that is wrapped at the console's width."""
    console.print(line, soft_wrap=False)


def _steadiness(console: Console, judges: Sequence[JudgeAudit]) -> None:
    asked = [judge for judge in judges if judge["disagreement"].defined]
    if not asked:
        return
    rows = [
        [
            judge.judge,
            *_cells(judge, "disagreement", "repeat_flip", "median_flip", "tail_flip"),
            bars(judge.flips),
            f"{judge.repeats:g}",
        ]
        for judge in _worst(asked, lambda judge: judge["disagreement"].value)
    ]
    titles = ["judge", "two calls differ", "repeat flips", "median flips", "above 40 %", "flips 0→50 %", "n"]
    table(console, "Asked the same again", titles, rows)
    _say(
        console,
        "[dim]two calls differ: chance that identical calls disagree; repeat flips: rulings that are not the commonest; "
        "median, above 40 %: of the fitted distribution; n: calls of a typical request[/]",
    )


def _order(console: Console, judges: Sequence[JudgeAudit]) -> None:
    asked = [judge for judge in judges if judge["position_bias"].defined]
    if not asked:
        return
    rows = [
        [
            judge.judge,
            _cell(judge, "position_bias"),
            balance(judge["position_bias"].value),
            *_cells(judge, "position_consistency", "order_sensitivity", "mcnemar_p", "preference_fairness"),
        ]
        for judge in _worst(asked, lambda judge: abs(judge["position_bias"].value))
    ]
    titles = ["judge", "position bias", "2nd │ 1st", "same in both orders", "order alone", "McNemar p", "fairness"]
    table(console, "The order swapped", titles, rows)
    _say(
        console,
        "[dim]position bias: points beyond 50 % for the completion shown first; order alone: points by which swapping the "
        "order changes more rulings than asking again does[/]",
    )


def _habits(console: Console, judges: Sequence[JudgeAudit]) -> None:
    known = any(judge["accuracy"].defined for judge in judges)
    names = ["accuracy", "tie", "abstention", "longer_share", "longer_than_people", "length_preference"]
    names += ["self_preference", "latent_accuracy"]
    titles = ["judge", *(JUDGE[name].title for name in names)]
    rows = [
        [judge.judge, *_cells(judge, *names)]
        for judge in _worst(judges, lambda judge: -judge["accuracy"].value if known else judge["abstention"].value)
    ]
    table(console, "Right or wrong, and what it likes", titles, rows)
    people = judges[0]["gold_longer_share"]
    said = f" (people: {shown(people, 'share')})" if people.defined else ""
    _say(
        console,
        f"[dim]longer one chosen: of the decided votes{said}; odds per doubling: ×1.5 says that a completion twice as long "
        "has one and a half times the odds of a vote[/]",
    )


def _scores(console: Console, judges: Sequence[JudgeAudit]) -> None:
    names = [name for name in judges[0].figures if name.startswith("score_")]
    if names:
        rows = [[judge.judge, *(shown(judge[name], "number") for name in names)] for judge in judges]
        titles = ["judge", *(name.removeprefix("score_") for name in names)]
        table(console, "Correlation of the verdict with the scores on each axis", titles, rows)


def _calls(console: Console, judges: Sequence[JudgeAudit]) -> None:
    names = ("failure", "latency", "cost")
    if any(judge[name].defined for judge in judges for name in names):
        rows = [[judge.judge, count(judge.votes), *_cells(judge, *names)] for judge in judges]
        table(console, "Calls", ["judge", "votes", *(JUDGE[name].title for name in names)], rows)


def _panel(console: Console, panel: PanelAudit) -> None:
    rows = [
        [PANEL[name].title, shown(each, PANEL[name].unit), PANEL[name].says]
        for name, each in panel.figures.items()
        if each.defined
    ]
    table(console, "The panel", ["", "", ""], rows, left=(0, 2), head=False)


def _agreement(console: Console, judges: Sequence[JudgeAudit], panel: PanelAudit) -> None:
    """Agreement of every two, as whole percentages: with 16 judges it still fits."""
    if not panel.between:
        return
    value = {frozenset((each.one, each.other)): each.agreement for each in panel.between}
    names = [judge.judge for judge in judges]
    rows = []
    for number, name in enumerate([*names, PEOPLE], 1):
        cells = [value.get(frozenset((name, other))) for other in names]
        if any(cells):
            label = f"{number} {name}" if name != PEOPLE else PEOPLE
            rows.append([label, *("" if c is None or not c.defined else f"{100 * c.value:.0f}" for c in cells)])
    decides = [shown(panel.decisive[name], "share") for name in names]
    titles = ["agreement, %", *(str(number) for number in range(1, len(names) + 1))]
    table(console, "Who agrees with whom", titles, rows)
    rows = [[name, text] for name, text in zip(names, decides, strict=True)]
    table(console, "Whose vote decides", ["judge", "label would change without it"], rows)


def _labels(console: Console, panel: PanelAudit) -> None:
    console.print(f"\n[bold]Labels[/]: {count(panel.kept)} of {count(panel.pairs)} pairs are kept")
    for reason, n in sorted(panel.reasons.items(), key=lambda item: -item[1]):
        if not Reason(reason).keeps:
            console.print(f"  lost {count(n):>6}  {reason}")
    parts = [(part, each) for part, each in panel.components.items() if each.defined]
    total = sum(max(0.0, each.value) for _, each in parts)
    if total > 0:
        console.print("\n[bold]Where the rulings' variance comes from[/]")
        for part, each in sorted(parts, key=lambda item: -item[1].value):
            share = max(0.0, each.value) / total
            console.print(f"  {PARTS[part]:<44} {100 * share:5.1f} %  {'█' * round(24 * share)}")
    if panel.purchase:
        _say(console, f"→ {plain(panel.purchase)}")


def _unknown(console: Console, audit: Audit) -> None:
    """Why something is not known: each reason once, with what it is about."""
    reasons: dict[str, list[str]] = {}
    for judge in audit.judges:
        for name, each in judge.figures.items():
            _note(reasons, each, JUDGE[name].title if name in JUDGE else name)
    for name, each in audit.panel.figures.items():
        _note(reasons, each, PANEL[name].title)
    if reasons:
        console.print("\n[bold]What these votes cannot tell[/]")
    for reason, titles in reasons.items():
        _say(console, f"  [dim]{plain(', '.join(titles))}: {plain(reason)}[/]")


def _note(reasons: dict[str, list[str]], each: Figure, title: str) -> None:
    if each.reason and title not in reasons.setdefault(each.reason, []):
        reasons[each.reason].append(title)


def _gate(console: Console, rulings: Sequence[Ruling]) -> None:
    console.print("\n[bold]--fail-on[/]")
    for ruling in rulings:
        mark = "[red]✗[/]" if ruling.fails else "[yellow]?[/]"
        _say(console, f"{mark} {plain(ruling.says)}")
    if not any(ruling.fails for ruling in rulings):
        console.print("[green]✓[/] no limit is broken with certainty")


def bars(counts: Sequence[int]) -> str:
    """A distribution as a row of bars, the highest full; empty without counts, and a dot where there are none in a bin."""
    most = max(counts, default=0)
    return "".join("·" if n == 0 else _EIGHTHS[max(1, round(8 * n / most))] for n in counts) if most else ""


def balance(bias: float) -> str:
    """A bar to the left for the second slot, to the right for the first; full at 25 points."""
    width = 4
    size = min(width, round(abs(bias) / 0.25 * width + 0.499))
    bar = "█" * size
    return f"{bar if bias < 0 else '':>{width}}│{bar if bias > 0 else '':<{width}}"


def _worst(judges: Sequence[JudgeAudit], badness: Callable[[JudgeAudit], float]) -> list[JudgeAudit]:
    """The worst first; who cannot be compared, last."""
    return sorted(judges, key=lambda judge: (badness(judge) != badness(judge), -badness(judge)))


def _cell(judge: JudgeAudit, name: str) -> str:
    return shown(judge[name], JUDGE[name].unit)


def _cells(judge: JudgeAudit, *names: str) -> list[str]:
    return [_cell(judge, name) for name in names]


def table(
    console: Console, title: str, titles: Row, rows: Sequence[Row], *, left: Sequence[int] = (0,), head: bool = True
) -> None:
    """A table with as many columns as fit; those that do not, and empty ones, are left out, and named if they were not empty."""
    from rich.table import Table

    empty = {k for k in range(1, len(titles)) if all(row[k] in ("", "–") for row in rows)}
    width = 0
    fits: list[int] = []
    narrow: list[int] = []
    for k in (k for k in range(len(titles)) if k not in empty):
        widest = max(len(titles[k]), *(len(row[k]) for row in rows)) if rows else len(titles[k])
        width += (min(widest, _NAME) if k == 0 else widest) + 2
        (fits if width - 2 <= console.width or k in left else narrow).append(k)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=head)
    for k in fits:
        if k == 0:
            table.add_column(titles[k], no_wrap=True, overflow="ellipsis", max_width=_NAME)
        else:
            table.add_column(titles[k], justify="left" if k in left else "right", no_wrap=k not in left)
    for row in rows:
        table.add_row(*(plain(row[k]) for k in fits))
    console.print(f"\n[bold]{title}[/]")
    console.print(table)
    if narrow:
        console.print(f"[dim]a wider terminal also shows: {', '.join(titles[k] for k in narrow)}[/]")
