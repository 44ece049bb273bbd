"""The table of judges as tables of words, the same for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consensus.terminal import count, dollars, percent
from evaluation.audit.result import Figure
from evaluation.judges.cautions import NAMES
from evaluation.judges.couples import Couple
from evaluation.judges.judged import RULES, TieRule
from evaluation.judges.result import JudgeTable

DASH = "–"
TITLES: dict[TieRule, str] = {"strict": "accuracy", "decisive": "decisive only", "half": "half credit"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table of words.

    Attributes:
        rows: each as long as `columns`; the first word says what it is about.
        note: how it is read.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def headline(table: JudgeTable) -> str:
    """What was judged, in one line."""
    tied = f" ({table.tied:,} whose gold is a tie are left out)" if table.tied else ""
    asked = "both orders, disagreement is a tie" if table.orders == "both" else "one order"
    return (
        f"{len(table.judges)} judges on {table.decided:,} of {table.pairs:,} pairs with gold{tied}, {table.prompts:,} prompts; "
        f"{asked}. In brackets: 95 % intervals, by whole prompts."
    )


def sheets(table: JudgeTable) -> list[Sheet]:
    """Everything there is to say, in order; sheets that would be empty are left out."""
    found = [
        _accuracy(table),
        _categories(table),
        _order(table),
        _cost(table),
        _couples(table),
        _orders_compared(table),
    ]
    return [sheet for sheet in found if sheet.rows]


def shown(each: Figure) -> str:
    """A share with its interval, `61.6 % (56.0–67.0)`."""
    if not each.defined:
        return DASH
    return percent(each.value) + (f" ({100 * each.low:.1f}–{100 * each.high:.1f})" if each.bounded else "")


def _accuracy(table: JudgeTable) -> Sheet:
    if not table.decided:
        return Sheet("", (), ())
    rows = []
    for row in table.judges:
        each = row.counts
        counts = tuple(f"{n:,}" for n in (each.right, each.wrong, each.tie, each.unread, each.missing))
        rows.append((row.judge, *counts, *(shown(row.accuracy[rule]) for rule in RULES)))
    columns = ("judge", "right", "wrong", "tie", "unread", "missing", *(TITLES[rule] for rule in RULES))
    note = "accuracy: a tie is not right; decisive only: ties are left out; half credit: a tie is half right; unread is never right"
    return _full(Sheet("Right and wrong, under three rules for ties", columns, tuple(rows), note))


def _categories(table: JudgeTable) -> Sheet:
    names = [name for name in table.judges[0].categories if any(row.categories[name].defined for row in table.judges)]
    if len(names) < 2:
        return Sheet("", (), ())
    rows = [(name, *(shown(row.categories[name]) for row in table.judges)) for name in names]
    rows.append(("mean of categories", *(shown(row.mean_of_categories) for row in table.judges)))
    rows.append(("mean of pairs", *(shown(row.accuracy[table.rule]) for row in table.judges)))
    note = f"{NAMES[table.rule]}; the mean of categories weighs each alike, whatever its size"
    return Sheet("By category", ("category", *(row.judge for row in table.judges)), tuple(rows), note)


def _order(table: JudgeTable) -> Sheet:
    rows = [
        (row.judge, shown(row.consistency), shown(row.first_share), shown(row.tie_share), shown(row.unread_share))
        for row in table.judges
    ]
    columns = ("judge", "same in both orders", "first slot", "says tie", "unread")
    note = "first slot: of decided verdicts, those for the completion shown first; says tie: of single verdicts"
    return _full(Sheet("What the order does", columns, tuple(rows), note))


def _cost(table: JudgeTable) -> Sheet:
    rows = []
    for row in table.judges:
        calls, cost = row.calls, row.cost
        tokens = DASH if calls.tokens_in != calls.tokens_in else f"{count(calls.tokens_in)} / {count(calls.tokens_out)}"
        dear = DASH if cost.times_cheaper != cost.times_cheaper else f"{cost.times_cheaper:.1f}×"
        speed = DASH if calls.per_second != calls.per_second else f"{calls.per_second:.2f}"
        latency = DASH if calls.latency != calls.latency else f"{calls.latency:.2f} s"
        money = (_dollars(calls.paid), _dollars(cost.per_1000), _dollars(cost.per_million))
        rows.append((row.judge, tokens, *money, dear, speed, latency))
    money_titles = ("$/1,000 paid", f"$/1,000 at {table.mix}", f"$/M tokens at {table.mix}", "cheaper than the dearest")
    columns = ("judge", "tokens in / out", *money_titles, "judgments/s", "s/judgment")
    note = f"a judgment is one call, a pair in both orders two; {table.mix}: tokens in to tokens out; judgments/s: all connections"
    return _full(Sheet("What a judgment takes", columns, tuple(rows), note))


def _couples(table: JudgeTable) -> Sheet:
    rows = tuple(_couple(each) for each in table.couples if each.difference.defined)
    note = (
        f"difference in accuracy on the same pairs ({NAMES[table.rule]}), in points; p: McNemar's exact test, by whole prompts "
        "where they have several pairs; held against all couples together (Holm), real below 0.05"
    )
    columns = ("couple", "difference", "only the first", "only the second", "McNemar p", "p", "p (Holm)", "real")
    return Sheet("Which differences are real", columns, rows, note)


def _couple(each: Couple) -> tuple[str, ...]:
    words = _points(each.difference)
    chances = (_chance(each.mcnemar_p), _chance(each.p), _chance(each.p_holm))
    return (
        f"{each.one} – {each.other}",
        words,
        f"{each.one_only:,}",
        f"{each.other_only:,}",
        *chances,
        "yes" if each.real else "no",
    )


def _orders_compared(table: JudgeTable) -> Sheet:
    rows = tuple(
        (f"{each.one} – {each.other}", _points(each.order["consistency"]), _points(each.order["first_share"]))
        for each in table.couples
    )
    note = (
        "differences of the shares above, on the same pairs, in points; every interval for itself, not for all together"
    )
    return _full(Sheet("What the order does, compared", ("couple", "same in both orders", "first slot"), rows, note))


def _points(gap: Figure) -> str:
    between = f" ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})" if gap.bounded else ""
    return f"{100 * gap.value:+.1f}{between}" if gap.defined else DASH


def _chance(p: float) -> str:
    if p != p:
        return DASH
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _dollars(value: float) -> str:
    return dollars(None if value != value else value)


def _full(sheet: Sheet) -> Sheet:
    """Without the columns in which nothing stands."""
    nothing = {DASH, "0"}
    kept = [
        k
        for k, title in enumerate(sheet.columns)
        if not all(row[k] in (nothing if title in ("unread", "missing") else {DASH}) for row in sheet.rows)
    ]
    if len(kept) < 2:
        return Sheet(sheet.title, sheet.columns, ())
    columns = tuple(sheet.columns[k] for k in kept)
    return Sheet(sheet.title, columns, tuple(tuple(row[k] for k in kept) for row in sheet.rows), sheet.note)


def markdown(table: JudgeTable) -> str:
    """The table in GitHub's Markdown."""
    return "\n".join(_markdown(table))


def _markdown(table: JudgeTable) -> Iterator[str]:
    yield from (f"# {_cell(table.name)}", "", headline(table), "")
    if table.warnings:
        yield from (*(f"- **Note:** {_cell(warning)}" for warning in table.warnings), "")
    for sheet in sheets(table):
        yield from (f"## {sheet.title}", "", _line(sheet.columns))
        yield "|" + "|".join([" --- ", *[" ---: "] * (len(sheet.columns) - 1)]) + "|"
        yield from (_line(row) for row in sheet.rows)
        yield from ("", *([sheet.note, ""] if sheet.note else []))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    """Words that are no Markdown, on one line."""
    for mark in "\\|*_`<>[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
