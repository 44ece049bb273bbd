"""How sure the votes on a pair have to be before judging stops: learned from pairs that were asked completely."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from consensus.confident import Confidence, Replay, confident_label, replay
from consensus.cycle import Cycle
from consensus.errors import UsageError
from consensus.nouns import Ballot, Reason, Verdict
from consensus.sequence import Seat, audited, line_up
from consensus.statistics.latent import Votes, dawid_skene, reliability_from_gold
from consensus.statistics.posterior import FEWEST, Posterior, fit_posterior
from consensus.stops import Asked, Design, Stops
from consensus.store import Store

_SIGN = {Verdict.A: 1, Verdict.B: -1, Verdict.TIE: 0}


@dataclass(frozen=True, slots=True)
class Learned:
    """A posterior, what taught it, and from how many pairs."""

    posterior: Posterior
    source: str
    pairs: int


def learned(store: Store, cycle: Cycle, hashes: Mapping[str, str], costs: Mapping[str, float] | None) -> Learned:
    """What the cycle's stops rest on: what was kept for it, else what can be learned now.

    Raises:
        UsageError: too few pairs were asked completely.
    """
    if kept := Stops(store).posterior(cycle.name):
        return Learned(*kept)
    return _learn(list(complete_pairs(store, cycle, hashes, costs)), cycle)


def keep_learned(store: Store, cycle: Cycle, hashes: Mapping[str, str], costs: Mapping[str, float] | None) -> Learned:
    """The same, kept: one posterior from a cycle's first run to its last."""
    stops = Stops(store)
    found = learned(store, cycle, hashes, costs)
    if stops.posterior(cycle.name) is None:
        stops.keep_posterior(cycle.name, found.posterior, found.source, found.pairs)
    return found


def conclude(store: Store, cycle: Cycle, hashes: Mapping[str, str], costs: Mapping[str, float] | None) -> int:
    """Label the pairs that the rule has too few votes on, and the posterior enough; how many those are.

    Labels of earlier runs are looked at again: since then votes may have come, or another confidence be asked for.
    """
    confidence = Confidence(cycle.sampling.confidence, learned(store, cycle, hashes, costs).posterior)
    stops, looked_at, found = Stops(store), [], {}
    for pair in stops.undecided(cycle.name, hashes):
        line = line_up(pair.pair_id, cycle.judge_names, cycle.rule, costs)
        label = confident_label(line, pair.votes, cycle.rule, confidence, pair.margins)
        looked_at.append(pair.pair_id)
        if label.reason is Reason.CONFIDENT and label.verdict:
            p_a = confidence.posterior.p_a(_planned(line, pair.votes), pair.margins)
            found[pair.pair_id] = label.verdict, max(p_a, 1 - p_a)
    stops.replace(cycle.name, looked_at, found)
    return len(found)


def rehearsed(
    store: Store, cycle: Cycle, hashes: Mapping[str, str], costs: Mapping[str, float] | None, most: int = 5000
) -> tuple[Replay, int]:
    """What stopping early would have done to pairs that were asked completely, of which `most` are looked at; and their number."""
    confidence = Confidence(cycle.sampling.confidence, learned(store, cycle, hashes, costs).posterior)
    pairs = list(complete_pairs(store, cycle, hashes, costs))[-most:]
    given = [(line, pair.votes, pair.margins) for line, pair in pairs]
    return replay(given, [pair.prompt_id for _, pair in pairs], cycle.rule, confidence), len(pairs)


Complete = tuple[list[Seat], Asked]


def complete_pairs(
    store: Store, cycle: Cycle, hashes: Mapping[str, str], costs: Mapping[str, float] | None
) -> Iterator[Complete]:
    """Pairs of any cycle of the store on which every judge of this one was asked, whatever the others said.

    Where judging stopped early, the pairs that have all votes nevertheless are the hard ones; there only the audit share counts. A
    judge that was asked and failed was asked.
    """
    stops = Stops(store)
    designs, failed = stops.designs(), stops.failed(hashes)
    for name, group in groupby(stops.asked(hashes), key=lambda pair: pair.cycle):
        pairs = [(line_up(pair.pair_id, cycle.judge_names, cycle.rule, costs), pair) for pair in group]
        whole = [(line, pair) for line, pair in pairs if _is_complete(line, pair.votes)]
        everybody = len(whole) + sum(
            (name, pair.pair_id) in failed for line, pair in pairs if not _is_complete(line, pair.votes)
        )
        yield from whole if everybody == len(pairs) else _sampled(whole, designs[name])


def _sampled(pairs: Iterable[Complete], design: Design) -> Iterator[Complete]:
    return (item for item in pairs if audited(item[1].pair_id, design.seed, design.audit_share))


def _is_complete(line: Sequence[Seat], votes: Mapping[Ballot, Verdict]) -> bool:
    return all(ballot in votes for seat in line for ballot in seat.ballots)


def _planned(line: Sequence[Seat], votes: Mapping[Ballot, Verdict]) -> dict[Ballot, Verdict]:
    return {ballot: votes[ballot] for seat in line for ballot in seat.ballots if ballot in votes}


def _learn(pairs: Sequence[Complete], cycle: Cycle) -> Learned:
    names = cycle.judge_names
    rows = [
        (
            k,
            names.index(ballot.judge),
            ballot.shown.first is Verdict.A,
            _SIGN[verdict],
            pair.margins.get(ballot, np.nan),
        )
        for k, (line, pair) in enumerate(pairs)
        for ballot, verdict in _planned(line, pair.votes).items()
        if verdict in _SIGN
    ]
    columns: list[Any] = [np.array(column) for column in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 5
    places, judges, a_first, signs, margins = columns
    votes = Votes(places, judges, a_first, signs, len(pairs), len(names))
    gold = np.array([_SIGN[pair.gold] if pair.gold else 0 for _, pair in pairs], dtype=int)
    by_people = int((gold != 0).sum())
    try:
        if by_people >= FEWEST:
            reliability = reliability_from_gold(votes, gold)
            target = np.where(gold == 0, np.nan, (gold + 1) / 2)
        else:
            model = dawid_skene(votes)
            reliability, target = model.reliability, model.p_a
        posterior = fit_posterior(votes, names, target, reliability=reliability, margins=margins)
    except ValueError as error:
        raise UsageError(_refusal(str(error))) from None
    if by_people >= FEWEST:
        return Learned(posterior, "gold", by_people)
    return Learned(posterior, "the panel's own agreement", len(pairs))


def _refusal(why: str) -> str:
    return (
        "sampling.stop: confident needs judges whose reliability is known, from pairs in this store that every one of them was "
        f"asked about: {why}. Label some with sampling.stop=never first, or ingest pairs with gold and label those so"
    )
