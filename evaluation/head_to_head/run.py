"""Playing a contest: both checkpoints answer, then the panel judges; and what that costs, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from consensus.anchors import Anchors
from consensus.nouns import Pair
from consensus.prompt_store import Prompts
from consensus.prompts import Prompt
from consensus.store import Store
from evaluation.head_to_head.contest import Contest
from labeling.cycle_run import Errand, ask, hashes
from labeling.generation_run import Draws, draw, price_of
from labeling.generator import USUAL_REPLY
from labeling.labeler import Outcome
from labeling.panel import Panel, PanelJudge
from labeling.plan import Need, Work, needs, open_work
from labeling.rubric import Rubric


@dataclass(frozen=True, slots=True)
class Spending:
    """What a contest has asked so far; dollars are None where nobody has a known price.

    Attributes:
        answers, votes, failures: of checkpoints, of judges, and of both together.
    """

    answers: int
    votes: int
    failures: int
    cost_usd: float | None


def priced(store: Store, contest: Contest, rubric: Rubric) -> tuple[list[Need], list[Need]]:
    """What is still to be asked of the checkpoints, and of the judges; no call, no key.

    Where an answer is still missing, its pair is taken to be judged, at a usual answer's length.
    """
    draws = [price_of(contest.drawings(store, each), contest.answering(each), each) for each in contest.contestants]
    judges = Panel(contest.judging, rubric).priced()
    return draws, needs(_expected(store, contest, hashes(contest.judging, rubric)), judges)


def total(every: Sequence[Need]) -> dict[str, Any]:
    """Calls, dollars (None without any price; `most` if every answer is as long as it may be), and whose price is not known."""
    return {
        "calls": sum(need.calls for need in every),
        "cost_usd": _sum(need.dollars for need in every),
        "most_usd": _sum(need.ceiling_dollars for need in every),
        "unpriced": [need.judge for need in every if need.calls and need.dollars is None],
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


async def play(
    store: Store, contest: Contest, rubric: Rubric, *, console: Console, max_cost: float | None = None
) -> Outcome:
    """Draw the answers that are missing, form the pairs, and ask the panel what it has not said yet.

    Whenever it is broken off, the next run goes on from there: what is stored is never asked again.

    Args:
        max_cost: US dollars for everything that the cycle ever asks, this included.
    Returns:
        How the last of its runs ended; one that was broken off is the last.
    Raises:
        UsageError: a checkpoint or judge has no key, `max_cost` is given and one has no price, or the panel is another one than
            when the first of these pairs was judged.
    """
    side, payer = contest.judging, contest.cycle.name
    store.register(side, rubric.system)
    Anchors(store).begin(side.name, payer)
    outcome = Outcome(0, 0, {})
    for contestant in contest.contestants:
        answering = contest.answering(contestant)
        Anchors(store).begin(answering.name, payer)
        open_draws = sum(1 for _ in contest.drawings(store, contestant))
        if open_draws:
            total = len(contest.prompts)
            draws = Draws(
                cycle=answering,
                payer=payer,
                generation=contestant,
                work=partial(contest.drawings, contestant=contestant),
                total=total,
                before=total - open_draws,
                prompts=total,
            )
            outcome = await draw(store, draws, console=console, max_cost=max_cost)
            if not outcome.complete:
                return outcome
    pairs = [meeting.pair for meeting in contest.meetings(store) if meeting.pair]
    store.add_pairs(side.name, pairs)
    errand = _errand(store, contest, rubric, pairs)
    if any(asked > done for asked, done in errand.totals.values()):
        outcome = await ask(store, errand, rubric, console=console, max_cost=max_cost)
    return outcome


def spending(store: Store, contest: Contest) -> Spending:
    """What the contest has asked; answers that other contests use as well are counted in each."""
    drawn = [Prompts(store).drawn(contest.answering(each).name) for each in contest.contestants]
    tallies = store.tallies(contest.judging.name)
    costs = [cost for cost in [d.cost_usd for d in drawn] + [t.cost_usd for t in tallies] if cost is not None]
    return Spending(
        answers=sum(each.completions for each in drawn),
        votes=sum(each.votes for each in tallies),
        failures=sum(each.failures for each in drawn) + sum(each.failures for each in tallies),
        cost_usd=sum(costs) if costs else None,
    )


def _errand(store: Store, contest: Contest, rubric: Rubric, pairs: list[Pair]) -> Errand:
    side, ids, known = contest.judging, [pair.pair_id for pair in pairs], hashes(contest.judging, rubric)

    def work(reader: Store, _: Mapping[str, PanelJudge]) -> Iterator[Work]:
        return open_work(reader.work_on(side.name, ids, known), side, None)

    wanted, missing = dict.fromkeys(side.judge_names, 0), dict.fromkeys(side.judge_names, 0)
    for pair, stored in store.work_on(side.name, ids, known):
        everything = next(iter(open_work([(pair, [])], side, None)))
        done = {each.ballot for each in stored if each.verdict is not None}
        for seat in everything.line:
            wanted[seat.judge] += len(seat.ballots)
            missing[seat.judge] += sum(ballot not in done for ballot in seat.ballots)
    return Errand(
        cycle=side,
        payer=contest.cycle.name,
        work=work,
        truth=lambda reader: (pair for pair, _ in reader.work_on(side.name, ids, {})),
        totals={name: (wanted[name], wanted[name] - missing[name]) for name in wanted},
        pairs=len(pairs),
    )


def _expected(store: Store, contest: Contest, known: dict[str, str]) -> Iterator[Work]:
    """The open pairs, those included whose answers are not there yet."""
    side, there = contest.judging, []
    for meeting in contest.meetings(store):
        if meeting.pair:
            there.append(meeting.pair)
        elif not meeting.answered:
            yield from open_work([(_imagined(contest, meeting.prompt), [])], side, None)
    stored = {pair.pair_id: votes for pair, votes in store.work_on(side.name, [p.pair_id for p in there], known)}
    yield from open_work(((pair, stored.get(pair.pair_id, [])) for pair in there), side, None)


def _imagined(contest: Contest, prompt: Prompt) -> Pair:
    answers = [
        [{"role": "assistant", "content": letter * 4 * min(USUAL_REPLY, each.max_tokens)}]
        for letter, each in zip("xy", contest.contestants, strict=True)
    ]
    pair = contest.pair(prompt, *answers)
    assert pair is not None  # two different texts
    return pair
