"""A decision in words: for people who read it in a terminal or beside a pull request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite

from consensus.statistics.intervals import Interval
from consensus.statistics.paired import Verdict
from evaluation.gate.decision import POWER, Decision
from evaluation.gate.guards import Ruling, Standing

MARK = {Standing.KEPT: "✓", Standing.BROKEN: "✗", Standing.OPEN: "?"}
SIGN = {Verdict.PROMOTE: "✅", Verdict.REJECT: "⛔", Verdict.INCONCLUSIVE: "⚠️"}
HEADS = {Verdict.PROMOTE: "Promote", Verdict.REJECT: "Reject", Verdict.INCONCLUSIVE: "Inconclusive"}


def headline(decision: Decision) -> str:
    """The verdict in one line."""
    contest = decision.contest
    return f"{HEADS[decision.verdict]}: {contest.checkpoint} against {contest.baseline} on {contest.metric}"


def gain(decision: Decision) -> str:
    """What was seen, and on how much."""
    mean, unit = decision.test.mean, _unit(decision)
    on = f"{mean.n:,} items of {mean.clusters:,} prompts"
    against = f"{_value(decision, decision.value)} against {_value(decision, decision.reference)}"
    return f"gain {unit(decision.test.effect.value)}{_between(decision.test.effect, unit)}: {against}, on {on}"


def reasons(decision: Decision) -> list[str]:
    """Why it is so, one sentence each."""
    unit, margin = _unit(decision), decision.gate.min_effect
    found = [_of_gain(decision, unit(margin) if margin else "0")]
    for ruling in decision.rulings:
        if ruling.standing is Standing.BROKEN:
            found.append(f"{ruling.words} is broken: {said(ruling)}")
        elif ruling.holds_up:
            found.append(f"{ruling.words} cannot be said to hold: {said(ruling)}")
    return found


def advice(decision: Decision) -> list[str]:
    """What would decide, where nothing is decided."""
    if decision.verdict is not Verdict.INCONCLUSIVE:
        return []
    unit, found = _unit(decision), []
    if decision.no_look_left:
        found.append(
            "judge the checkpoint on new prompts in a cycle of another name; plan 'gate.looks' before the first look, five cost "
            "5 % more prompts than one"
        )
    elif isfinite(decision.detectable):
        found.append(f"here a true gain of {unit(decision.detectable)} is promoted in {POWER:.0%} of the cases")
    for needed in decision.needed:
        seen = ", the one that was seen," if needed.seen else ""
        found.append(
            f"a true gain of {unit(needed.effect)}{seen} takes {needed.prompts:,} prompts ({needed.items:,} items)"
        )
    return found


def notes(decision: Decision) -> Iterator[str]:
    """How the verdict was reached."""
    test = decision.test
    level = f"{decision.gate.confidence:.4g}"
    several = decision.gate.looks > 1 or decision.number > 1
    looks = f"look {decision.number} of {decision.gate.looks}" if several else "one look"
    errors = f"{_plain(decision.look.critical)} standard errors (a normal quantile; t's is used)"
    yield f"confidence {level}, {looks}; the gain must be {errors} above {decision.gate.min_effect:g}"
    yield (
        f"p {_plain(test.p)} (t by prompts), {_plain(test.sign_flip_p)} (sign flips of prompts); design effect "
        f"{_plain(test.design_effect)}: the items of a prompt are not independent"
    )
    if decision.contest.metric == "win":
        yield "win is by the judges alone: what all of them favour passes for a gain; win_corrected has people's answers in it"
    if decision.unpaired:
        yield f"{decision.unpaired:,} results are of items on which only one of the two was measured; they are left out"


def said(ruling: Ruling) -> str:
    """What was found for a guard."""
    if ruling.reason:
        return ruling.reason
    found = ruling.found
    return f"{found.value:.4g}, between {found.low:.4g} and {found.high:.4g}"


def markdown(decision: Decision) -> str:
    """A summary for a pull request."""
    lines = [f"### {SIGN[decision.verdict]} {_escaped(headline(decision))}", ""]
    lines += [f"**{_escaped(gain(decision))}**", ""]
    lines += [f"- {_escaped(line)}" for line in (*reasons(decision), *advice(decision))]
    if decision.rulings:
        lines += ["", "| guard | found | |", "| --- | --- | --- |"]
        lines += [
            f"| {_cell(ruling.words)} | {_cell(said(ruling))} | {MARK[ruling.standing]} {ruling.standing}"
            f"{'' if ruling.holds_up or ruling.standing is Standing.KEPT else ', passed over'} |"
            for ruling in decision.rulings
        ]
    lines += ["", *(f"<sub>{_escaped(line)}</sub><br>" for line in notes(decision))]
    return "\n".join(lines) + "\n"


def _of_gain(decision: Decision, margin: str) -> str:
    found = decision.test.effect
    if decision.no_look_left:
        planned = f"the planned looks ({decision.gate.looks}) are taken"
        return f"{planned}: with one more, {decision.gate.confidence:g} could not be promised"
    if not isfinite(found.low):
        return "the gain has no interval: there are fewer than two prompts, or all differences are equal"
    if decision.gain is Verdict.PROMOTE:
        return f"the gain is surely above {margin}"
    if decision.gain is Verdict.REJECT:
        return f"the gain is surely below {margin}"
    if found.low <= decision.gate.min_effect <= found.high:
        return f"the gain may be above or below {margin}"
    return f"the interval of the gain leaves out {margin}, but sign flips of so few prompts do not"


def _unit(decision: Decision) -> Callable[[float], str]:
    return (lambda x: f"{100 * x:+.1f} points") if decision.shares else (lambda x: f"{x:+.4g}")


def _value(decision: Decision, value: float) -> str:
    return f"{100 * value:.1f} %" if decision.shares else f"{value:.4g}"


def _between(found: Interval, unit: Callable[[float], str]) -> str:
    if not (isfinite(found.low) and isfinite(found.high)):
        return ""
    low, high = (unit(bound).partition(" ")[0] for bound in (found.low, found.high))
    return f" (between {low} and {high})"


def _plain(value: float) -> str:
    return f"{value:.3g}" if isfinite(value) else "–"


def _escaped(text: str) -> str:
    for sign in "\\`*_<>[]":
        text = text.replace(sign, "\\" + sign)
    return text.replace("\n", " ")


def _cell(text: str) -> str:
    return _escaped(text).replace("|", "\\|")
