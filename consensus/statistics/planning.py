"""How many pairs and repeats an audit needs, and how many items a comparison, before a call is made."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from scipy.special import betaln, ndtri


def design_effect(pairs_per_prompt: float, correlation: float) -> float:
    """By how much pairs that share a prompt inflate a variance: 1 + (m - 1) ICC. Source: Kish 1965, Survey Sampling."""
    return 1 + (pairs_per_prompt - 1) * correlation


def bias_error(
    pairs: int,
    *,
    repeats: int = 1,
    both_orders: bool = False,
    disagreement: float = 0.31,
    order_flips: float = 0.4,
    effect: float = 1.0,
) -> float:
    """Standard error of the position bias of one judge without ties.

    Args:
        pairs: each asked `repeats` times in one order (half of the pairs in each), or so in both.
        disagreement: chance that two identical calls differ.
        order_flips: chance that two calls in different orders differ, not below `disagreement`.
        effect: design effect of pairs that share prompts.
    Returns:
        With one call a pair 1/(2 sqrt(pairs)). In both orders the pair's quality cancels: sqrt(order_flips / pairs)/2.
    """
    _check_chances(disagreement, order_flips)
    if both_orders:
        variance = (order_flips - disagreement + disagreement / repeats) / 4
    else:
        variance = 1 / 4 - disagreement / 2 + disagreement / (2 * repeats)
    return sqrt(effect * variance / pairs)


def pairs_for_bias(
    half_width: float,
    *,
    level: float = 0.95,
    repeats: int = 1,
    both_orders: bool = False,
    disagreement: float = 0.31,
    order_flips: float = 0.4,
    effect: float = 1.0,
) -> int:
    """Pairs needed for an interval of the position bias of this half-width; arguments as in `bias_error`."""
    one = bias_error(
        1, repeats=repeats, both_orders=both_orders, disagreement=disagreement, order_flips=order_flips, effect=effect
    )
    return ceil((_z(level) * one / half_width) ** 2)


def bias_half_width(
    pairs: int, *, level: float = 0.95, repeats: int = 1, both_orders: bool = False, effect: float = 1.0
) -> float:
    """Expected half-width of the interval of a usual judge's position bias; arguments as in `bias_error`."""
    return _z(level) * bias_error(pairs, repeats=repeats, both_orders=both_orders, effect=effect)


def disagreement_half_width(pairs: int, repeats: int, *, level: float = 0.95, effect: float = 1.0) -> float:
    """Expected half-width of the interval of a usual judge's disagreement; arguments as in `disagreement_error`."""
    return _z(level) * disagreement_error(pairs, repeats, effect=effect)


def calls_to_detect_bias(bias: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Single-order calls, each on its own pair, with which a position bias of this size is found with this power."""
    return ceil(((_z(level) + float(ndtri(power))) / (2 * bias)) ** 2)


def disagreement_error(pairs: int, repeats: int, *, a: float = 7.1, b: float = 1.9, effect: float = 1.0) -> float:
    """Standard error of the mean disagreement over cells whose chance of a verdict is Beta(a, b), folded or not.

    The defaults have a median flip rate of .19, and 8.6 % of cells above .4.

    The variance of the unbiased estimate in a cell (Hoeffding 1948, Ann. Math. Stat. 19), plus that between cells.

    Args:
        pairs: cells, one per pair.
        repeats: identical calls per cell, at least 2.
    """
    if repeats < 2:
        raise ValueError("disagreement needs two calls or more in a cell")
    pq, pq2 = (float(np.exp(betaln(a + k, b + k) - betaln(a, b))) for k in (1, 2))  # E[pq], E[(pq)^2]
    within = (2 * (repeats - 2) * (pq - 4 * pq2) + 2 * pq - 4 * pq2) * 2 / (repeats * (repeats - 1))
    between = 4 * (pq2 - pq**2)
    return sqrt(effect * (within + between) / pairs)


def paired_items(
    effect: float, *, discordance: float = 0.2, power: float = 0.8, level: float = 0.95, design: float = 1.0
) -> int:
    """Items on which two checkpoints must be compared to find a difference of this size with this power.

    Args:
        effect: difference of the two shares of right items, not 0.
        discordance: share of items on which exactly one of the two is right, at least `abs(effect)`.
        power: chance that the two-sided interval of `level` then leaves out 0.
        design: design effect of items that share prompts, e.g. of `design_effect`.
    Raises:
        ValueError: no effect, or one larger than the discordance.
    Source: Connor 1987, Biometrics 43 (McNemar's test), with the variance at the effect.
    """
    if not 0 < abs(effect) <= discordance <= 1:
        raise ValueError(
            f"an effect of {effect} with {discordance} of the items discordant: the effect is not 0, and no larger than that"
        )
    z = _z(level) + float(ndtri(power))
    return ceil(design * z * z * (discordance - effect * effect) / (effect * effect))


def detectable_effect(error: float, *, critical: float, power: float = 0.8) -> float:
    """The true difference that is found with this power, where one is found if it surpasses `critical` standard errors.

    Args:
        error: standard error of the difference, with prompts as clusters where items share them; the effect has its unit.
    """
    return (critical + float(ndtri(power))) * error


def prompts_to_detect(effect: float, *, error: float, prompts: int, critical: float, power: float = 0.8) -> int:
    """Prompts needed to find a true difference of this size, from the standard error that so many prompts gave.

    Args:
        effect: above 0, in the unit of `error`.
    Raises:
        ValueError: no effect.
    """
    if not effect > 0:
        raise ValueError(f"no number of prompts finds an effect of {effect}")
    return ceil(prompts * (detectable_effect(error, critical=critical, power=power) / effect) ** 2)


def _z(level: float) -> float:
    return float(ndtri((1 + level) / 2))


def _check_chances(disagreement: float, order_flips: float) -> None:
    if not 0 <= disagreement <= 0.5 or not disagreement <= order_flips <= 1:
        raise ValueError(
            f"disagreement {disagreement} must lie in [0, .5] and order flips {order_flips} between it and 1: "
            "order cannot make a judge more stable than repetition"
        )
