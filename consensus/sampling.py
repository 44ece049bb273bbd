"""Which pairs are audited: a random sample that is spread over the prompts, the same for everybody who draws it."""

from __future__ import annotations

from collections.abc import Iterable

from consensus.nouns import digest


def spread_sample(pairs: Iterable[tuple[str, str]], size: int, *, seed: int) -> list[str]:
    """A sample of pairs in which every prompt has its share, one pair more or less.

    Every pair has a permanent random number, and the smallest are taken. Those of one prompt stand at equal distances from a
    random start, so that each is uniform, all pairs are as likely to be drawn, and no prompt comes twice before it must. A larger
    sample contains the smaller one, and the first k of a sample are the sample of k: one that was broken off is still random.

    Args:
        pairs: ids of pairs and of their prompts, in any order.
        size: pairs to draw; all of them if there are fewer.
    Returns:
        Ids, the smallest number first.
    Source: collocated sampling with permanent random numbers; Brewer, Early & Hanif 1984, J. Stat. Plan. Inference 10;
        Ernst 1999, Proc. Surv. Res. Methods ASA.
    """
    by_prompt: dict[str, list[tuple[str, str]]] = {}
    for pair_id, prompt in pairs:
        by_prompt.setdefault(prompt, []).append((digest(["audit pair", seed, pair_id]), pair_id))
    numbered = [
        ((place + _uniform("audit prompt", seed, prompt)) / len(members), pair_id)
        for prompt, members in by_prompt.items()
        for place, (_, pair_id) in enumerate(sorted(members))
    ]
    return [pair_id for _, pair_id in sorted(numbered)[:size]]


def _uniform(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but its parts."""
    return int(digest(parts)[:13], 16) / 16**13
