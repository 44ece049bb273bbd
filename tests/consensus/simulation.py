"""Panels of judges whose faults are known: gaps between completions, errors that judges share, order bias, noise per call."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from consensus.nouns import Ballot, Shown, Verdict
from consensus.rule import Rule
from consensus.sequence import Seat, line_up
from consensus.statistics.latent import Votes

JUDGES = ["small", "medium", "large"]


@dataclass(frozen=True)
class Panel:
    """A panel, one value per judge; see `judged`.

    Attributes:
        strength: a, how much of the gap a judge sees.
        order: b, what being shown first is worth to it.
        shared, private: c, how fast errors that all make, or the judge alone makes, become rarer with the gap.
        spread: standard deviation of log LN.
    """

    strength: tuple[float, ...]
    order: tuple[float, ...]
    shared: float
    private: tuple[float, ...]
    spread: float = 0.3

    def __len__(self) -> int:
        return len(self.strength)


# Fitted so that accuracy per call, median flip, first-slot share and error correlation are those of the panels that the
# field report's figures point to: .764/.794/.825, .19/.15/.12, 7/5/2 points, .16; and with errors correlated .30:
# .762/.791/.812, .12/.10/.08.
REF = Panel((0.901, 1.082, 1.247), (0.269, 0.224, 0.104), 2.578, (4.94, 4.126, 5.24))
HI = Panel((1.206, 1.331, 1.481), (0.348, 0.278, 0.133), 1.74, (2.71, 3.927, 5.017))


@dataclass(frozen=True)
class Judged:
    """What was simulated.

    Attributes:
        gold: the better completion, +1 a or -1 b, [n_pairs].
        a_first: whether a was shown first, [n_pairs, calls].
        said: the judges' readings of the calls, [n_pairs, calls]; the sign is the vote, the size its log-probability margin.
        judge: whose calls they are, [calls].
    """

    gold: np.ndarray
    a_first: np.ndarray
    said: np.ndarray
    judge: np.ndarray

    def votes(self, calls=slice(None)) -> Votes:
        """The votes in columns, pair after pair, calls in the order given."""
        said, first, judge = self.said[:, calls], self.a_first[:, calls], self.judge[calls]
        pair = np.repeat(np.arange(len(said)), said.shape[1])
        verdict = np.sign(said).astype(int).ravel()
        return Votes(pair, np.tile(judge, len(said)), first.ravel(), verdict, len(said), int(self.judge.max()) + 1)


def judged(
    panel: Panel,
    pairs: int,
    rng: np.random.Generator,
    *,
    judge=None,
    a_first=None,
    noise: float = 0.0,
    rate: float | None = None,
    favour: float = 0.0,
) -> Judged:
    """Calls on pairs: gap ~ Gamma(6)/6; a call reads margin + order bias + N(0, 1), of which the sign is the vote.

    The margin has the wrong sign where the shared or the judge's private error strikes, each with chance .5 exp(-c gap), but not
    both; it stays the same when a judge is asked again.

    Args:
        judge: whose calls, [calls]; by default each judge once.
        a_first: [pairs, calls]; by default alternating over calls from a random start.
        noise: standard deviation of what is added to the size of a reading, never to the vote.
        rate: how often a is the better one; half of the time by default.
        favour: what every judge adds to the margin of a, a bias that all share.
    """
    judge = np.arange(len(panel)) if judge is None else np.asarray(judge)
    if a_first is None:
        a_first = (rng.integers(0, 2, (pairs, 1)) + np.arange(len(judge))) % 2 == 0
    gold = rng.choice([-1, 1], pairs, p=None if rate is None else [1 - rate, rate])
    gap = rng.gamma(6, size=pairs) / 6
    shared = rng.random(pairs) < 0.5 * np.exp(-panel.shared * gap)
    private = rng.random((pairs, len(panel))) < 0.5 * np.exp(-np.array(panel.private) * gap[:, None])
    seen = np.array(panel.strength) * gap[:, None] * np.exp(panel.spread * rng.standard_normal((pairs, len(panel))))
    margin = seen * gold[:, None] * np.where(shared[:, None] ^ private, -1, 1)
    order = np.array(panel.order)[judge] * np.where(a_first, 1, -1)
    reading = margin[:, judge] + favour + order + rng.standard_normal((pairs, len(judge)))
    size = np.abs(np.abs(reading) + noise * rng.standard_normal(reading.shape)) if noise else np.abs(reading)
    return Judged(gold, a_first, np.copysign(size, reading), judge)


@dataclass(frozen=True)
class World:
    """A simulated panel's votes on pairs; whose turn it is, is as the product plans it."""

    lines: list[list[Seat]]
    truth: list[dict[Ballot, Verdict]]
    margins: list[dict[Ballot, float]]
    gold: np.ndarray
    votes: Votes  # the rows of a pair stand in the order in which its ballots are asked
    sizes: np.ndarray

    def first(self, pairs: int) -> tuple[Votes, np.ndarray]:
        """The votes on the first pairs, and their margins."""
        rows = self.votes.pair < pairs
        return replace(self.votes.only(rows), n_pairs=pairs), self.sizes[rows]


def world(panel: Panel, pairs: int, rule: Rule, costs: dict[str, float] | None, noise: float = 0.0) -> World:
    """Everything that three judges would say, `costs` and `rule` deciding whose turn it is; `noise` as for `judged`."""
    lines = [line_up(f"pair-{k}", JUDGES, rule, costs) for k in range(pairs)]
    turns = range(2 if rule.both_orders else 1)
    queues = [[seat.ballots[turn] for turn in turns for seat in line] for line in lines]
    judge = np.array([[JUDGES.index(ballot.judge) for ballot in queue] for queue in queues])
    a_first = np.array([[ballot.shown is Shown.AB for ballot in queue] for queue in queues])
    # The simulation has a column per judge (and order); a queue has them in the order of the turns.
    column = judge + 3 * np.repeat(turns, 3)
    place = np.argsort(column, axis=1)
    found = judged(
        panel,
        pairs,
        np.random.default_rng(5),
        judge=np.arange(3 * len(turns)) % 3,
        a_first=np.take_along_axis(a_first, place, 1),
        noise=noise,
    )
    said = np.take_along_axis(found.said, column, 1)
    rows = [list(zip(queue, row, strict=True)) for queue, row in zip(queues, said.tolist(), strict=True)]
    pair = np.repeat(np.arange(pairs), said.shape[1])
    return World(
        lines,
        [{ballot: Verdict.A if x > 0 else Verdict.B for ballot, x in row} for row in rows],
        [{ballot: abs(x) for ballot, x in row} for row in rows],
        found.gold,
        Votes(pair, judge.ravel(), a_first.ravel(), np.sign(said).astype(int).ravel(), pairs, 3),
        np.abs(said).ravel(),
    )
