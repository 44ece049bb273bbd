"""The distribution of repeat flip rates over cells, fitted to their counts.

Counting the cells above a threshold goes wrong for few repeats: at 5 of them none ever shows more than .4, and the tail would be
0 where .086 is true. The model: the chance of verdict a in a cell is drawn from Beta(a, b) or, as often, from Beta(b, a), since
the names a and b mean nothing; the flip rate is the smaller of that chance and its complement.

Source: Skellam 1948, J. R. Stat. Soc. B 10 (beta-binomial), folded at one half; fitted by Fisher scoring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaln, digamma, gammaln

from consensus.statistics.clusters import Floats, Ints
from consensus.statistics.estimate import Bools, Estimate, estimate, undefined
from consensus.statistics.flips import typical_repeats
from consensus.statistics.votes import Cells

ENOUGH_REPEATS = 10
_IDENTIFIED = 4  # 2 and 3 votes show one number (how often they differ), the model has two
_LOW, _HIGH = -5.0, 9.0  # of log a and log b; at the ends the distribution is all but a point or two
_STILL = 1e-8  # log likelihood per cell
_POINTS = [(a, b) for a in np.linspace(-3, 8, 23) for b in np.linspace(-3, 8, 23) if a > b]
_GRIDS = [np.array([p for p in _POINTS if (p[0] - p[1] < 0.9) == near]) for near in (True, False)]
_BATCH = 512


def median_flip_rate(cells: Cells) -> Estimate:
    """Median over cells of the repeat flip rate, in [0, .5], from decided votes.

    Undefined where no cell has four decided votes (fewer do not tell a median from a mean), or where nothing ever flipped.
    """
    return _fitted(cells, folded_median)


def tail_flip_share(cells: Cells, *, above: float = 0.4, model_based: bool = False) -> Estimate:
    """Share of cells whose repeat flip rate is above a threshold in (0, .5).

    Args:
        model_based: accept fewer than ten decided votes in the typical cell; what is said then rests on the model's form.
    """
    typical = typical_repeats(cells)
    if typical < ENOUGH_REPEATS and not model_based:
        return undefined(f"a tail share needs {ENOUGH_REPEATS} repeats a cell, the typical one has {typical:g}")
    return _fitted(cells, lambda a, b: folded_tail(a, b, above))


def folded_tail(a: Floats, b: Floats, above: float | Floats) -> Floats:
    """P(min(p, 1-p) > above) for p ~ Beta(a, b)."""
    return np.asarray(betainc(a, b, 1 - above) - betainc(a, b, above))


def folded_median(a: Floats, b: Floats) -> Floats:
    """Median of min(p, 1-p) for p ~ Beta(a, b), by bisection."""
    low, high = np.zeros(np.shape(a)), np.full(np.shape(a), 0.5)
    for _ in range(36):
        middle = (low + high) / 2
        right = folded_tail(a, b, middle) > 0.5
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    return np.where(np.isnan(a), np.nan, (low + high) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Patterns:
    """What a cell's decided votes can look like: k for the minority of n, for every n that occurs.

    Attributes:
        n, k: shape [n_patterns], sorted; k = 0..n//2 for each n.
    """

    n: Ints
    k: Ints

    @classmethod
    def of(cls, n: Ints) -> Patterns:
        """The patterns of cells with these numbers of votes."""
        sizes = np.unique(n)
        return cls(np.repeat(sizes, sizes // 2 + 1), np.concatenate([np.arange(size // 2 + 1) for size in sizes]))

    def index(self, n: Ints, k: Ints) -> Ints:
        """The place of each (n, k)."""
        found: Ints = np.searchsorted(self.n, n) + k
        return found

    def log_chance(self, a: Floats, b: Floats) -> Floats:
        """Log probability of each pattern given its n, shape [..., n_patterns]."""
        one, other = self._log_ways(a, b)
        ways = gammaln(self.n + 1) - gammaln(self.k + 1) - gammaln(self.n - self.k + 1)
        twins = np.where(2 * self.k == self.n, np.log(2), 0.0)  # both sides are the same outcome
        found: Floats = ways - twins + np.logaddexp(one, other) - betaln(a, b)[..., None]
        return found

    def slopes(self, a: Floats, b: Floats) -> Floats:
        """Derivatives of `log_chance` by log a and log b, shape [..., n_patterns, 2]."""
        one, other = self._log_ways(a, b)
        first = np.exp(one - np.logaddexp(one, other))
        a, b, n, k = a[..., None], b[..., None], self.n, self.k
        common = digamma(a + b) - digamma(a + b + n)
        by_a = first * digamma(a + k) + (1 - first) * digamma(a + n - k) - digamma(a) + common
        by_b = first * digamma(b + n - k) + (1 - first) * digamma(b + k) - digamma(b) + common
        return np.stack([a * by_a, b * by_b], axis=-1)

    def _log_ways(self, a: Floats, b: Floats) -> tuple[Floats, Floats]:
        a, b = a[..., None], b[..., None]
        return betaln(a + self.k, b + self.n - self.k), betaln(a + self.n - self.k, b + self.k)

    def fit(self, seen: Floats, near: tuple[float, float] | None = None) -> tuple[Floats, Floats]:
        """Maximum likelihood (a, b), a >= b, of each row of weights per pattern.

        Args:
            seen: shape [..., n_patterns].
            near: (a, b) from which to climb, for samples drawn from one whose fit is known; else from the best points of a grid.
        Returns:
            a and b of shape [...]; nan where no cell has four votes or nothing flipped.
        """
        rows = seen.reshape(-1, len(self.n))
        found = np.full((len(rows), 2), np.nan)
        usable = (rows[:, self.n >= _IDENTIFIED].sum(axis=1) > 0) & (rows[:, self.k > 0].sum(axis=1) > 0)
        places = np.flatnonzero(usable)
        for start in range(0, len(places), _BATCH):
            batch = places[start : start + _BATCH]
            scaled = rows[batch] / rows[batch].sum(axis=1, keepdims=True)
            found[batch] = np.exp(self._fit(scaled) if near is None else self._climb(scaled, _apart(near, len(batch))))
        shape = seen.shape[:-1]
        return found.max(axis=1).reshape(shape), found.min(axis=1).reshape(shape)

    def _fit(self, seen: Floats) -> Floats:
        """The better of two climbs, as a likelihood may have a summit on either side of a shallow valley along a = b."""
        ends = []
        for grid in _GRIDS:
            heights = seen @ self.log_chance(*np.exp(grid.T)).T
            ends.append(self._climb(seen, grid[np.argmax(heights, axis=1)]))
        one, other = ((seen * self.log_chance(*np.exp(end.T))).sum(axis=1) for end in ends)
        return np.where((one > other)[:, None], *ends)

    def _climb(self, seen: Floats, theta: Floats) -> Floats:
        """Log a and log b by Fisher scoring from `theta`, all rows at once, until each stands still."""
        damping, active = np.full(len(seen), 1e-3), np.arange(len(seen))
        for _ in range(30):
            theta[active], damping[active], moving = self._step(seen[active], theta[active], damping[active])
            active = active[moving]
            if not len(active):
                break
        return theta

    def _step(self, seen: Floats, theta: Floats, damping: Floats) -> tuple[Floats, Floats, Bools]:
        """One step, taken where it climbs and damped where it does not (Levenberg); and whether there was anything to gain."""
        log_chance, slope = self.log_chance(*np.exp(theta.T)), self.slopes(*np.exp(theta.T))
        expected = seen @ (self.n[:, None] == self.n) * np.exp(log_chance)
        information = np.matmul((expected[..., None] * slope).swapaxes(1, 2), slope)
        information += (damping * np.trace(information, axis1=1, axis2=2) + 1e-12)[:, None, None] * np.eye(2)
        gradient = np.matmul(seen[:, None, :], slope)[:, 0, :]
        step = np.clip(np.linalg.solve(information, gradient[..., None])[..., 0], -2, 2)
        trial = np.clip(theta + step, _LOW, _HIGH)
        gain = (seen * (self.log_chance(*np.exp(trial.T)) - log_chance)).sum(axis=1)
        climbs = gain >= 0
        moving = (np.abs(gain) > _STILL) & (np.abs(trial - theta).max(axis=1) > 1e-5)
        return np.where(climbs[:, None], trial, theta), np.where(climbs, damping / 8, damping * 8), moving


def _apart(near: tuple[float, float], rows: int) -> Floats:
    """Log a and log b to climb from, shape [rows, 2]; never on a = b, where every likelihood is level across."""
    log_a, log_b = np.log(near)
    off = max(0.0, 0.3 - (log_a - log_b)) / 2
    return np.tile([log_a + off, log_b - off], (rows, 1))


def _fitted(cells: Cells, value: Callable[[Floats, Floats], Floats]) -> Estimate:
    """An estimate that is a function of the fitted (a, b)."""
    decided = cells.count[:, :2].sum(axis=1).astype(np.int64)
    repeated = cells.where(decided > 1)
    n, k = decided[decided > 1], repeated.count[:, :2].min(axis=1).astype(np.int64)
    if not len(n):
        return undefined("no request brought two decided votes")
    patterns = Patterns.of(n)
    place = patterns.index(n, k)
    columns = [np.where(place == p, repeated.twice, 0.0) for p in range(len(patterns.n))]
    a, b = (float(x) for x in patterns.fit(np.array([column.sum() for column in columns])))
    near = None if np.isnan(a) else (a, b)
    return estimate(
        repeated.cluster,
        columns,
        lambda sums: value(*patterns.fit(sums, near)),
        n=len(n),
        skewed=True,
        reason=f"needs cells with {_IDENTIFIED} or more decided votes, and a flip in at least one",
    )
