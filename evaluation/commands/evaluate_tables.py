"""How an evaluation looks on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isnan
from typing import TYPE_CHECKING, Any

from consensus.terminal import count, dollars, percent, plain
from evaluation.audit.result import Figure, Unit
from evaluation.commands.audit_tables import shown, table
from evaluation.head_to_head.analysis import JUDGES_ONLY

if TYPE_CHECKING:
    from rich.console import Console

    from evaluation.head_to_head.analysis import ByPeople, HeadToHead
    from evaluation.head_to_head.run import Spending
    from evaluation.parts import Part
    from evaluation.rewards.analysis import Rewards

LEVEL = 0.05
TOGETHER = (
    "[dim]parts: intervals hold for all of them together, p is Holm's that the share is a coin's; * below .05. In brackets: 95 % "
    "intervals, by whole prompts[/]"
)


def show(console: Console, found: dict[str, Any], command: str) -> None:
    """Print what was found; figures are in `found`, see `evaluate`."""
    if found["rewards"]:
        rewards(console, found["rewards"])
    if contest := found.get("head_to_head"):
        if found["rewards"]:
            console.print("")
        head_to_head(console, contest)
        spent: Spending = found["spent"]
        cost = f", {dollars(spent.cost_usd)}" if spent.cost_usd is not None else ""
        failed = f", {count(spent.failures)} failed" if spent.failures else ""
        console.print(f"asked: {count(spent.answers)} answers, {count(spent.votes)} votes{failed}{cost}")
        _ending(console, found, command)


def rewards(console: Console, found: Rewards) -> None:
    """Rewards on held-out pairs, beside length and a coin."""
    one = found.all
    console.print(
        f"[bold]Rewards of {plain(found.checkpoint)}[/] against its base, on {count(one.items)} held-out pairs of "
        f"{count(one.prompts)} prompts. The better completion is the one by {found.judged_by}."
    )
    if found.undecided:
        console.print(f"{count(found.undecided)} pairs are left out: nobody says which completion is better")
    names = (
        "reward_accuracy",
        "length_only",
        "coin",
        "beyond_length",
        "reward_margin",
        "reward_better",
        "reward_worse",
    )
    titles = ["", "pairs", "accuracy", "length alone", "a coin", "beyond length", "margin", "better", "worse"]
    kinds = [("all", one), ("on people's gold", found.gold), ("on the panel's labels", found.labels)]
    rows = [[name, count(part.items), *_figures(part, names)] for name, part in kinds if part]
    table(console, "Reward accuracy", titles, rows)
    _parts(console, "By category", found.categories, names, titles)
    short = ("reward_accuracy", "reward_margin", "reward_better", "reward_worse")
    _parts(
        console,
        "By how long the better completion is beside the worse one",
        found.lengths,
        short,
        ["", "pairs", "accuracy", "margin", "better", "worse"],
    )


def head_to_head(console: Console, found: HeadToHead) -> None:
    """Win rate by the judges, and by people where they answered."""
    one = found.all
    same = f" ({count(found.same)} of them the same answer)" if found.same else ""
    console.print(
        f"[bold]{plain(found.candidate)} against {plain(found.baseline)}[/] on {count(one.items)} held-out prompts: "
        f"{count(found.wins)} won, {count(found.ties)} tied{same}, {count(found.losses)} lost"
    )
    if found.unanswered or found.unjudged:
        console.print(
            f"[yellow]left out[/]: {count(found.unanswered)} prompts without both answers, {count(found.unjudged)} without every "
            "vote"
        )
    mark = "[bold]" if not found.by_people else ""
    console.print(f"{mark}win rate {_share(one['win_rate'])}{'[/]' if mark else ''}  [yellow]{JUDGES_ONLY}[/]")
    if found.by_people:
        _people(console, found.by_people)
    else:
        console.print(
            "[dim]--review FILE writes pairs for people to answer; with their answers the win rate is corrected[/]"
        )
    console.print(
        f"answers: {found.candidate_length.value:.0f} and {found.baseline_length.value:.0f} tokens in the mean; the candidate's is "
        f"the longer one on {_share(one['longer'])}"
    )
    _parts(console, "By category", found.categories, ("win_rate", "longer"), ["", "prompts", "win rate", "longer"])


def _people(console: Console, found: ByPeople) -> None:
    how = "asked by how the votes stand" if found.by_votes else "a random sample"
    console.print(
        f"[bold]win rate {_share(found.corrected)}[/]  corrected by people: {count(found.answers)} answers, {how}; judges' weight "
        f"{found.weight:.2f}"
    )
    narrower = _width(found.people) / _width(found.corrected) if _width(found.corrected) else float("nan")
    worth = f"; judges make the interval {narrower:.2f} times narrower" if not isnan(narrower) else ""
    console.print(f"         {_share(found.people)}  people's word alone{worth}")
    console.print(
        f"people agree with the panel's verdict on {_share(found.agreement)} of the answers where both decide"
    )


def show_plan(console: Console, plan: dict[str, Any], command: str) -> None:
    """Print what would be done."""
    if plan["rewards_of"]:
        console.print(
            f"rewards of run {plain(plan['rewards_of'])} on its held-out pairs: no call, its model is loaded here"
        )
    contest = plan["head_to_head"]
    if not contest:
        console.print(f"next: [bold]{plain(command)}[/]")
        return
    names = f"{plain(contest['candidate'])} against {plain(contest['baseline'])}"
    console.print(f"head to head: {names} on {count(contest['prompts'])} held-out prompts")
    rows = [
        [
            need["judge"],
            role,
            count(need["calls"]),
            f"{count(need['tokens_in'])} / {count(need['tokens_out'])}",
            dollars(need["dollars"]),
            dollars(need["ceiling_dollars"]),
        ]
        for role, needs in (("answers", contest["answers"]), ("judges", contest["judges"]))
        for need in needs
    ]
    table(console, "Still to be asked", ["who", "", "calls", "tokens in / out", "cost", "at most"], rows, left=(0, 1))
    console.print(
        f"{count(contest['calls'])} calls, {dollars(contest['cost_usd'])}; at most {dollars(contest['most_usd'])} if every reply "
        "is as long as it may be. Tokens are estimated at four characters each. Nothing was called or spent."
    )
    if contest["unpriced"]:
        console.print(f"[yellow]no price known for[/] {plain(', '.join(contest['unpriced']))}; give one under 'price:'")
    most = contest["most_usd"]
    cap = f" --max-cost {ceil(most * 100) / 100:.2f}" if most and not contest["unpriced"] else ""
    console.print(f"next: [bold]{plain(command)}{cap}[/]")


def _parts(console: Console, title: str, parts: Sequence[Part], names: Sequence[str], titles: Sequence[str]) -> None:
    if not parts:
        return
    rows = [[part.name, count(part.items), _p(part.p), *_figures(part, names)] for part in parts]
    table(console, title, [*titles[:2], "p", *titles[2:]], rows)
    console.print(TOGETHER)


def _figures(part: Part, names: Sequence[str]) -> list[str]:
    return [shown(part[name], _UNITS.get(name, "share")) for name in names]


_UNITS: dict[str, Unit] = {
    "beyond_length": "points",
    "reward_margin": "number",
    "reward_better": "number",
    "reward_worse": "number",
}


def _share(figure: Figure) -> str:
    return shown(figure, "share") if figure.defined else percent(None)


def _p(value: float) -> str:
    return "–" if isnan(value) else "<.001*" if value < 0.001 else f"{value:.3f}{'*' if value < LEVEL else ' '}"


def _width(figure: Figure) -> float:
    return figure.high - figure.low if figure.bounded else 0.0


def _ending(console: Console, found: dict[str, Any], command: str) -> None:
    run = found["run"]
    for name, why in run["down"].items():
        console.print(f"[red]{plain(name)} was given up[/]: {plain(why[:300])}")
    if run["out_of_budget"]:
        console.print("[yellow]stopped at --max-cost[/]; raise it to go on")
    if run["interrupted"]:
        console.print("[yellow]interrupted[/]; everything that was answered is stored")
    if not run["complete"]:
        console.print(f"the figures are those so far, and not kept; to go on where it was: [bold]{plain(command)}[/]")
    if found["review"]:
        written = found["review"]
        console.print(
            f"{count(written['pairs'])} pairs for people are in {plain(written['file'])}: fill in 'gold' (a, b or tie), and name "
            "the file under evaluation.gold"
        )
