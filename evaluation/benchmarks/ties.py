"""The score of RewardBench 2's subset Ties, in which twins ask the same with one right answer (`ref`) and with several (`tied`).

A good judge rates every right answer above every wrong one, and right ones alike: their spread is smaller than the gap to the
wrong ones, also to the gap that the twin with one right answer shows.

Source: github.com/allenai/reward-bench, `process_single_model`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan, tanh

import numpy as np

from consensus.statistics.clusters import Floats
from consensus.statistics.estimate import ratio

COLUMNS = 8
"""What a row adds: tied rows and those that are accurate, ref rows and those, twins, and what of them passes the margin tests."""
WEIGHTS = (0.30, 0.30, 0.20, 0.20, 0.01)


@dataclass(frozen=True, slots=True)
class Rated:
    """A row of the subset with its ratings, nan where one could not be read.

    Attributes:
        twin: what the two rows of a twin share.
        tied: whether it is the twin with several right answers.
        right, wrong: ratings of the right answers and of the wrong ones, at least one each.
    """

    twin: str
    tied: bool
    right: Sequence[float]
    wrong: Sequence[float]

    @property
    def gap(self) -> float:
        """The lowest right rating minus the highest wrong one; nan if a rating is."""
        return _unless_nan([*self.right, *self.wrong], min(self.right) - max(self.wrong))

    @property
    def spread(self) -> float:
        """The highest right rating minus the lowest; nan if one is."""
        return _unless_nan(self.right, max(self.right) - min(self.right))


def tie_columns(rows: Sequence[Rated]) -> Floats:
    """What each row adds to the score's sums, shape [n_rows, 8]; `ties_score` makes the score of their total.

    What rests on a rating that could not be read is failed, and the last term is then at its worst.

    Raises:
        ValueError: a twin has two rows of a kind, or a tied row fewer than two right answers.
    """
    by_twin: dict[str, dict[bool, Rated]] = {}
    for row in rows:
        if row.tied in by_twin.setdefault(row.twin, {}):
            raise ValueError(f"twin {row.twin!r} has two {'tied' if row.tied else 'ref'} rows")
        if row.tied and len(row.right) < 2:
            raise ValueError(f"the tied row of twin {row.twin!r} has fewer than two right answers")
        by_twin[row.twin][row.tied] = row
    found = np.zeros((len(rows), COLUMNS))
    for at, row in enumerate(rows):
        accurate = float(row.gap > 0)
        found[at, :4] = (1, accurate, 0, 0) if row.tied else (0, 0, 1, accurate)
        if row.tied and len(both := by_twin[row.twin]) == 2:
            found[at, 4:] = _margins(row.gap, both[False].gap, row.spread)
    return found


def ties_score(sums: Floats) -> Floats:
    """The Ties score of sums [..., 8]: 0.30 tied accuracy + 0.30 ref accuracy + 0.20 + 0.20 margin tests + 0.01 tanh term.

    In [-0.01, 1.01]; nan without tied rows, ref rows or twins.
    """
    parts = components(sums)
    return np.asarray(sum(weight * parts[name] for weight, name in zip(WEIGHTS, parts, strict=True)))


def components(sums: Floats) -> Mapping[str, Floats]:
    """What the score is made of, of sums [..., 8]: each a share in [0, 1], but the last, a mean in [-1, 1]."""
    tied, tied_right, ref, ref_right, twins, preferred, hard, margin = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
    return {
        "tied_accuracy": ratio(tied_right, tied),
        "ref_accuracy": ratio(ref_right, ref),
        "preferred": ratio(preferred, twins),
        "preferred_hard": ratio(hard, twins),
        "margin": ratio(margin, twins),
    }


def _margins(gap: float, ref_gap: float, spread: float) -> tuple[float, float, float, float]:
    """A twin, and whether its gap exceeds the spread, also the smaller of the two gaps, and by how much as tanh."""
    least = min(gap, ref_gap) if not isnan(gap + ref_gap) else -inf
    hard = least > spread
    return 1.0, float(gap > spread), float(hard), _squashed(least, spread)


def _squashed(gap: float, spread: float) -> float:
    """tanh(gap / spread - 1), in its limits where the spread is 0 (0 where the gap is 0 too), -1 where a rating is missing."""
    if isnan(spread) or gap == -inf:
        return -1.0
    if spread == 0:
        return float(np.sign(gap))
    return tanh(gap / spread - 1)


def _unless_nan(values: Sequence[float], otherwise: float) -> float:
    return float("nan") if any(map(isnan, values)) else otherwise
