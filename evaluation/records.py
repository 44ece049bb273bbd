"""Evaluations as the store keeps them: scores of checkpoints, and what was measured item by item, which the gate pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from consensus.results import Result
from consensus.scores import Score
from evaluation.audit.result import Figure
from evaluation.head_to_head.analysis import Answers, HeadToHead, corrected_values
from evaluation.head_to_head.judged import Judged
from evaluation.parts import Part
from evaluation.rewards.analysis import Rewards, correct
from evaluation.rewards.table import HeldOut

COIN = 0.5


def reward_scores(found: Rewards, cycle: str) -> list[Score]:
    """Accuracy and margin by everybody's word, and accuracy by people's and the panel's alone."""
    one, references = found.all, {"length": found.all["length_only"].value, "random": COIN}
    about = {"judged_by": found.judged_by, "references": references}
    measured = [
        (
            "reward_accuracy",
            one,
            "reward_accuracy",
            about | {"categories": _categories(found.categories, "reward_accuracy")},
        ),
        ("reward_margin", one, "reward_margin", about | {"categories": _categories(found.categories, "reward_margin")}),
    ]
    if found.gold:
        measured.append(("gold_accuracy", found.gold, "reward_accuracy", _references(found.gold)))
    if found.labels:
        measured.append(("label_accuracy", found.labels, "reward_accuracy", _references(found.labels)))
    return [
        _score(found.checkpoint, cycle, metric, part[name], part.prompts, details=details)
        for metric, part, name, details in measured
        if part[name].defined
    ]


def reward_results(table: HeldOut, checkpoint: str, base: str, cycle: str) -> list[Result]:
    """`reward_correct` and `reward_margin` of every pair of which somebody says which side is the better one."""
    known = table.where(table.side != 0)
    side, people = known.side, known.by_people
    columns = {"reward_correct": correct(known, side), "reward_margin": (known.chosen - known.rejected) * side}
    return [
        Result(
            checkpoint=checkpoint,
            cycle=cycle,
            metric=metric,
            item=known.pair_ids[k],
            prompt_id=known.prompt_ids[k],
            category=known.category[k],
            value=value,
            # Against itself the base has no reward: a pair of which the checkpoint knows no more than the base counts half.
            baseline=base if metric == "reward_correct" else None,
            details={"by": "people" if people[k] else "panel"},
        )
        for metric, values in columns.items()
        for k, value in enumerate(values.tolist())
    ]


def contest_scores(found: HeadToHead, cycle: str) -> list[Score]:
    """Win rate by the judges, corrected by people where there are answers, and the lengths of the answers."""
    everything = found.all
    details: dict[str, Any] = {
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
        "references": {"random": COIN},
    }
    scores = [
        _score(
            found.candidate,
            cycle,
            "win_rate",
            everything["win_rate"],
            everything.prompts,
            baseline=found.baseline,
            details=details | {"categories": _categories(found.categories, "win_rate"), "judged_by": "judges only"},
        )
    ]
    if found.by_people:
        details = {"answers": found.by_people.answers, "judged_by": "people and judges", "references": {"random": COIN}}
        one = found.by_people.corrected
        scores.append(
            _score(found.candidate, cycle, "win_rate_corrected", one, one.n, baseline=found.baseline, details=details)
        )
    for name, length in ((found.candidate, found.candidate_length), (found.baseline, found.baseline_length)):
        scores.append(_score(name, cycle, "mean_length", length, everything.prompts, details={"unit": "tokens"}))
    return scores


def contest_results(
    found: Judged, candidate: str, baseline: str, cycle: str, answers: Answers | None = None
) -> list[Result]:
    """`win` of the candidate on every prompt by the judges, `win_corrected` where people answered, and `length` of both."""
    measured = [
        ("win", candidate, baseline, found.value),
        ("length", candidate, None, found.candidate_length),
        ("length", baseline, None, found.baseline_length),
    ]
    corrected = corrected_values(found, answers) if answers else None
    if corrected is not None:
        measured.append(("win_corrected", candidate, baseline, corrected))
    return [
        Result(checkpoint, cycle, metric, prompt, prompt, float(value), category, against)
        for metric, checkpoint, against, values in measured
        for prompt, category, value in zip(found.prompt_ids, found.category, values.tolist(), strict=True)
    ]


def _score(
    checkpoint: str,
    cycle: str,
    metric: str,
    figure: Figure,
    clusters: int,
    *,
    baseline: str | None = None,
    details: dict[str, Any],
) -> Score:
    return Score(
        checkpoint, cycle, metric, figure.value, figure.low, figure.high, figure.n, clusters, baseline, details
    )


def _references(part: Part) -> dict[str, Any]:
    return {"references": {"length": part["length_only"].value, "random": COIN}}


def _categories(parts: Sequence[Part] | Iterable[Part], name: str) -> list[dict[str, Any]]:
    """As reports read them; the intervals hold for all categories together, and `p` is Holm's."""
    return [
        {"category": part.name, "value": one.value, "low": one.low, "high": one.high, "n": one.n, "p": part.p}
        for part in parts
        if (one := part[name]).defined
    ]
