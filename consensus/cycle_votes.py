"""A cycle's votes out of the store, in the columns that an audit works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consensus.asked import Draw, weights
from consensus.cycle import Cycle
from consensus.statistics.clusters import Floats, Ints, cluster_codes
from consensus.statistics.estimate import Bools
from consensus.statistics.votes import NO_GOLD, TIE, A, B, Votes

if TYPE_CHECKING:
    import pyarrow as pa

    from consensus.store import Store

CODE = {"a": A, "b": B, "tie": TIE}


@dataclass(frozen=True, slots=True, eq=False)
class CycleVotes:
    """Everything that a cycle's votes and pairs say.

    Attributes:
        votes: of the panel as it is registered, judges in the order of the cycle file.
        planned: whether each vote is one of those that make the labels, shape [n_votes].
        label_votes: all votes that make the labels, those too that are no fair sample and are left out of `votes`; no weights.
        log2_ratio: log2 of the length of completion a over that of b, nan where one is empty, shape [n_pairs].
        made_a, made_b: the models that wrote the completions, None where the input does not say, each of n_pairs.
        scores: by axis of the rubric, the score of a minus that of b, nan without, shape [n_votes].
        label: A, B, TIE, or NO_GOLD without one, shape [n_pairs].
        kept: whether the label keeps the pair, shape [n_pairs].
    """

    votes: Votes
    planned: Bools
    label_votes: Votes
    log2_ratio: Floats
    made_a: list[str | None]
    made_b: list[str | None]
    scores: Mapping[str, Floats]
    label: Ints
    kept: Bools


def read(store: Store, cycle: Cycle, costs: Mapping[str, float] | None = None) -> CycleVotes:
    """The votes of a registered cycle, weighted by the inverse of their chance to be asked.

    Args:
        costs: what a call to each judge costs, by which the cycle chose whom to try first; see `asked.weights`.
    """
    from consensus.nouns import Reason

    axes = cycle.rubric.axes if store.has_votes(cycle.name, scored=True) else ()
    pairs, rows, labels = (
        store.pair_columns(cycle.name),
        store.vote_columns(cycle.name, axes),
        store.label_columns(cycle.name),
    )
    n = len(pairs)
    votes = Votes.of(
        **{name: _ints(rows, name) for name in ("pair", "judge", "repeat", "choice")},
        first=rows["first"].to_numpy().astype(np.bool_),
        judges=cycle.judge_names,
        cluster=cluster_codes(pairs["prompt_id"].combine_chunks()) if n else [],
        gold=[CODE.get(gold, NO_GOLD) for gold in pairs["gold"].to_pylist()],
        pair_ids=pairs["pair_id"].to_pylist(),
    )
    draw = Draw(_ints(pairs, "order_byte"), _ints(pairs, "seat_byte"))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(_ints(pairs, "length_a") / _ints(pairs, "length_b"))
    keeps = {reason.value for reason in Reason if reason.keeps}
    label = np.full(n, NO_GOLD, np.int64)
    label[_ints(labels, "pair")] = [CODE.get(verdict, NO_GOLD) for verdict in labels["verdict"].to_pylist()]
    kept = np.zeros(n, np.bool_)
    kept[_ints(labels, "pair")] = [reason in keeps for reason in labels["reason"].to_pylist()]
    weight = weights(votes, draw, cycle, costs)
    counts, label_votes = weight > 0, votes.where(draw.planned(votes, cycle))
    votes = replace(votes, weight=np.maximum(weight, 1)).where(counts)
    return CycleVotes(
        votes=votes,
        planned=draw.planned(votes, cycle),
        label_votes=label_votes,
        log2_ratio=np.where(np.isfinite(ratio), ratio, np.nan),
        made_a=pairs["model_a"].to_pylist(),
        made_b=pairs["model_b"].to_pylist(),
        scores={axis: rows[f"axis_{k}"].to_numpy().astype(float)[counts] for k, axis in enumerate(axes)},
        label=label,
        kept=kept,
    )


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)
