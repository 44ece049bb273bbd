"""What an audit asks: the same requests again, of a sample of pairs. No call is made here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan

from consensus.cycle import Cycle
from consensus.nouns import Ballot, Pair
from consensus.rule import Rule, shown
from consensus.sampling import spread_sample
from consensus.sections.panel import Audit
from consensus.sequence import Seat
from consensus.statistics.planning import bias_half_width, design_effect, disagreement_half_width, pairs_for_bias
from consensus.store import Store, Stored
from labeling.plan import Work

WITHIN_PROMPT = 0.3  # usual correlation of what judges do on two pairs of one prompt; a sample seldom has two


def sample(store: Store, cycle: Cycle) -> list[str]:
    """The pairs that the cycle's audit asks again."""
    return spread_sample(store.prompts(cycle.name), cycle.audit.pairs, seed=cycle.cycle.seed)


def own_order(pair_id: str, judge: str, cycle: Cycle) -> Ballot:
    """The ballot in the order that the rotation gives the judge: it makes the label, if the judge is asked for one."""
    return Ballot(pair_id, judge, shown(pair_id, cycle.judge_names.index(judge), rotate=cycle.rule.rotate))


def audit_ballots(pair_id: str, judges: Iterable[str], cycle: Cycle, asked: Audit) -> list[Ballot]:
    """Everything that an audit wants to know of one pair; repeat 0 is the label's own ballot."""
    ballots = []
    for judge in judges:
        first = own_order(pair_id, judge, cycle)
        orders = (first.shown, first.shown.other) if asked.orders == "both" else (first.shown,)
        ballots += [Ballot(pair_id, judge, order, repeat) for order in orders for repeat in range(asked.repeats)]
    return ballots


def open_ballots(pair: Pair, ballots: Sequence[Ballot], stored: Iterable[Stored], rule: Rule) -> Work:
    """A pair of which these ballots are wanted, all of them, whatever is answered; none that is stored is asked again."""
    line: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        line.setdefault(ballot.judge, []).append(ballot)
    wanted, known = set(ballots), list(stored)
    work = Work(pair, [Seat(judge, tuple(asked)) for judge, asked in line.items()], rule)
    work.votes = {vote.ballot: vote.verdict for vote in known if vote.verdict and vote.ballot in wanted}
    work.served = {vote.served_by: vote.ballot.judge for vote in known if vote.served_by}
    work.waiting = {vote.ballot for vote in known if vote.verdict is None} - work.votes.keys()
    return work


def pairs_per_prompt(store: Store, cycle: Cycle) -> float:
    """Mean number of sampled pairs that share a prompt; nan without pairs."""
    prompts = dict(store.prompts(cycle.name))
    sampled = sample(store, cycle)
    return len(sampled) / len({prompts[pair_id] for pair_id in sampled}) if sampled else nan


def half_widths(pairs: int, asked: Audit, per_prompt: float) -> tuple[float, float]:
    """Expected half-widths of a judge's 95 % intervals: of its position bias, and of its disagreement with itself.

    For a judge as they were measured to be in production; nan where the audit cannot tell.
    """
    effect = design_effect(per_prompt, WITHIN_PROMPT)
    bias = bias_half_width(pairs, repeats=asked.repeats, both_orders=asked.orders == "both", effect=effect)
    return bias, disagreement_half_width(pairs, asked.repeats, effect=effect) if asked.repeats > 1 else nan


def ways_to_know_bias(half_width: float) -> list[Audit]:
    """Audits that tell a judge's position bias this closely, at 95 %, the fewest calls first.

    Raises:
        ValueError: the half-width is not in (0, .5).
    """
    if not 0 < half_width < 0.5:
        raise ValueError(
            f"a bias lies within .5 of 0, so that its half-width must be between 0 and .5, not {half_width}"
        )
    ways = [
        Audit(
            pairs=pairs_for_bias(half_width, repeats=repeats, both_orders=orders == "both"),
            repeats=repeats,
            orders=orders,
        )
        for orders in ("both", "one")
        for repeats in (1, 2, 3, 5)
    ]
    return sorted(ways, key=calls_per_judge)


def calls_per_judge(asked: Audit) -> int:
    """Ballots of one judge, those that the labels paid for included."""
    return asked.pairs * asked.repeats * (2 if asked.orders == "both" else 1)
