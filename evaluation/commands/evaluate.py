"""`consensus evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from consensus.cycle import Cycle
    from consensus.runs import Run
    from evaluation.head_to_head.contest import Contest
    from evaluation.rewards.analysis import Rewards
    from labeling.labeler import Outcome
    from labeling.plan import Need

app = App(name="evaluate", help_format="plaintext", default_parameter=Parameter(negative=()))
app.command(
    "evaluation.commands.judges:judges",
    name="judges",
    help="Compare judges on pairs with gold: accuracy, order, cost, and what is more than chance.",
)
app.command(
    "evaluation.commands.benchmark:benchmark",
    name="benchmark",
    help="Split a benchmark of judges, and write what is judged and what is trained on.",
)
app.command(
    "evaluation.commands.protocol:protocol",
    name="protocol",
    help="Ask judges about whole rows of a benchmark: best of four, or ratings.",
)

PEOPLE = 120  # pairs to ask people about, where nobody says how many
What = Literal["rewards", "head-to-head"]


@app.default
def evaluate(
    cycle: Path,
    /,
    *words: str,
    only: What | None = None,
    dry_run: bool = False,
    max_cost: float | None = None,
    review: Path | None = None,
    size: int = PEOPLE,
    json: bool = False,
) -> int:
    """Say whether a checkpoint is better: its rewards on held-out pairs, and its answers against the baseline's.

    Rewards are those of a run's adapter against its base model. The head to head is played if the cycle file names both checkpoints
    under `evaluation:`; what is paid for is never asked twice, so a killed run goes on where it was.

    Parameters
    ----------
    cycle: Path
        The cycle file.
    words: str
        The name of a run (by default the one that ended last), and settings that differ from the file, as key=value.
    only: str
        One of the two: rewards or head-to-head.
    dry_run: bool
        Make no call and load no model; print what would be done, with calls, tokens and dollars.
    max_cost: float
        US dollars for the whole cycle; stops starting calls when spent plus in flight would pass it.
    review: Path
        Write judged pairs for people to this JSONL file; with their answers, under evaluation.gold, the win rate is corrected.
    size: int
        With --review: how many.
    json: bool
        Print one JSON object instead of tables.
    """
    from consensus.cyclefile import load
    from consensus.errors import UsageError
    from consensus.terminal import emit, out
    from evaluation.commands.evaluate_tables import show, show_plan

    names, overrides = [w for w in words if "=" not in w], [w for w in words if "=" in w]
    if len(names) > 1:
        raise UsageError(f"one run is evaluated at a time, not {' and '.join(names)}")
    if max_cost is not None and not max_cost >= 0:
        raise UsageError(f"--max-cost is an amount of US dollars, not {max_cost}")
    if review is not None and (only == "rewards" or dry_run or size < 1):
        raise UsageError("--review takes judged pairs of the head to head, at least one; it goes without --dry-run")
    loaded = load(cycle, overrides)
    if review is not None and not loaded.evaluation.candidate:
        raise UsageError(
            "--review takes pairs of a head to head, and 'evaluation:' in the cycle file names no checkpoints"
        )
    run = _what(loaded, names[0] if names else None, only)
    command = " ".join(["consensus evaluate", str(cycle), *words])
    if dry_run:
        plan = _plan(loaded, run, only)
        emit(plan) if json else show_plan(out(), plan, command)
        return 0
    found: dict[str, Any] = {"cycle": loaded.name, "rewards": _rewards(loaded, run) if run else None}
    code = 0
    if only != "rewards" and loaded.evaluation.candidate:
        code, played = _head_to_head(loaded, max_cost, review, size)
        found |= played
    emit(_as_dict(found)) if json else show(out(), found, command)
    return code


def _what(cycle: Cycle, name: str | None, only: What | None) -> Run | None:
    """The run whose rewards are measured, if any.

    Raises:
        UsageError: there is nothing to evaluate.
    """
    from consensus.errors import UsageError
    from consensus.store import Store
    from evaluation.rewards.measure import run_of

    if not cycle.store.exists():
        raise UsageError(f"there is no store {cycle.store} yet; 'consensus label' makes it")
    contest = cycle.evaluation.candidate is not None
    if only == "head-to-head" and not contest:
        raise UsageError("the cycle file names no checkpoints to compare; give both under 'evaluation:'")
    if only == "head-to-head":
        return None
    with Store(cycle.store) as store:
        run = run_of(store, cycle, name)
    if run is None and (only == "rewards" or not contest):
        raise UsageError(
            f"cycle {cycle.name!r} has nothing to evaluate: 'consensus train' makes a run, and 'evaluation:' in the cycle file "
            "names two checkpoints to compare"
        )
    return run


def _rewards(cycle: Cycle, run: Run) -> Rewards:
    from consensus.results import add_results
    from consensus.scores import add_scores
    from consensus.store import Store
    from evaluation.records import reward_results, reward_scores
    from evaluation.rewards.analysis import analyse
    from evaluation.rewards.measure import base_of, measure

    table = measure(cycle, run)
    found = analyse(table, run.run)
    with Store(cycle.store) as store:
        add_scores(store, reward_scores(found, cycle.name))
        add_results(store, reward_results(table, run.run, base_of(run), cycle.name))
    return found


def _head_to_head(cycle: Cycle, max_cost: float | None, review: Path | None, size: int) -> tuple[int, dict[str, Any]]:
    """The exit code, and what is to be shown."""
    import asyncio

    from consensus.results import add_results
    from consensus.scores import add_scores
    from consensus.store import Store
    from consensus.terminal import err
    from evaluation.head_to_head import review as people
    from evaluation.head_to_head.analysis import analyse
    from evaluation.head_to_head.contest import Contest
    from evaluation.head_to_head.judged import judged
    from evaluation.head_to_head.run import play, spending
    from evaluation.records import contest_results, contest_scores
    from labeling.rubric import Rubric

    answers = people.read(cycle.evaluation.gold) if cycle.evaluation.gold else None
    rubric = Rubric.of(cycle)
    with Store(cycle.store) as store:
        contest = Contest.of(store, cycle)
        outcome = asyncio.run(play(store, contest, rubric, console=err(), max_cost=max_cost))
        table = judged(store, contest)
        found = analyse(table, contest.candidate.label, contest.baseline.label, answers)
        shown: dict[str, Any] = {
            "head_to_head": found,
            "spent": spending(store, contest),
            "run": _ended(outcome),
            "answers": answers
            and {"given": len(answers.said), "used": found.by_people.answers if found.by_people else 0},
            "review": None,
        }
        if outcome.complete and len(table.value):
            add_scores(store, contest_scores(found, cycle.name))
            add_results(store, contest_results(table, found.candidate, found.baseline, cycle.name, answers))
            if review is not None:
                orders = 2 if cycle.evaluation.orders == "both" else 1
                chosen = people.draw(table, size, seed=cycle.cycle.seed, orders=orders)
                pairs = (pair for pair, _ in store.work_on(contest.judging.name, chosen, {}))
                shown["review"] = {"file": str(review), "pairs": people.write(pairs, review)}
    return 130 if outcome.interrupted else 0 if outcome.complete else 4, shown


def _plan(cycle: Cycle, run: Run | None, only: What | None) -> dict[str, Any]:
    """What would be done."""
    from consensus.store import Store
    from evaluation.head_to_head.contest import Contest
    from evaluation.head_to_head.run import priced
    from labeling.rubric import Rubric

    plan: dict[str, Any] = {"cycle": cycle.name, "rewards_of": run.run if run else None, "head_to_head": None}
    if only != "rewards" and cycle.evaluation.candidate:
        with Store(cycle.store) as store:
            contest = Contest.of(store, cycle)
            plan["head_to_head"] = _needs(contest, *priced(store, contest, Rubric.of(cycle)))
    return plan


def _needs(contest: Contest, draws: list[Need], judging: list[Need]) -> dict[str, Any]:
    from evaluation.head_to_head.run import total

    names = {"candidate": contest.candidate.label, "baseline": contest.baseline.label}
    return {
        **names,
        "prompts": len(contest.prompts),
        "answers": [asdict(need) for need in draws],
        "judges": [asdict(need) for need in judging],
        **total([*draws, *judging]),
    }


def _ended(outcome: Outcome) -> dict[str, Any]:
    return {
        "complete": outcome.complete,
        "down": dict(outcome.down),
        "out_of_budget": outcome.out_of_budget,
        "interrupted": outcome.interrupted,
    }


def _as_dict(found: dict[str, Any]) -> dict[str, Any]:
    """What `--json` prints."""
    rewards, contest, spent = found["rewards"], found.get("head_to_head"), found.get("spent")
    return found | {
        "rewards": rewards and rewards.as_dict(),
        "head_to_head": contest and contest.as_dict(),
        "spent": spent and asdict(spent),
    }
