"""Which prompts are held out: by a hash of the prompt, and whole groups of near-duplicates at once.

A prompt keeps its side when other prompts come and go (unless one comes that is nearly the same), and whatever seed a run has, so
that checkpoints can be compared on prompts that none of them saw.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from consensus.near import Sketches, linked
from consensus.statistics.clusters import Ints, cluster_codes
from consensus.statistics.estimate import Bools


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Which prompts are held out.

    Attributes:
        held_out: of the prompts in the order given, shape [n_prompts].
        groups: groups of prompts that stay together; n_prompts where no two are alike.
        largest: prompts in the largest group.
    """

    held_out: Bools
    groups: int
    largest: int


def split(prompt_ids: Sequence[str], texts: Iterable[str], *, share: float, near: float | None) -> Split:
    """Hold out a share of the groups of prompts.

    Args:
        prompt_ids: each a hash of the prompt, or of what else must stay together; one that stands there twice has several texts.
        texts: what of each prompt is compared, see `spoken`; as many.
        share: of the groups, in [0, 1). Above 0 at least one group is held out, if there are two.
        near: the similarity from which two prompts stay together, in (0, 1), see `consensus.near.groups`; None: only those whose
            texts are the same.
    """
    n = len(prompt_ids)
    sketches, number, text_of = Sketches() if near else None, dict[bytes, int](), np.empty(n, np.int64)
    for place, text in enumerate(texts):  # which are not kept: a million prompts of agents are gigabytes
        key = hashlib.sha256(text.encode("utf-8", "replace")).digest()
        if key not in number and sketches:
            sketches.add(text)
        text_of[place] = number.setdefault(key, len(number))
    group = cluster_codes(linked(sketches.all(), near)[text_of] if sketches and near and n else text_of)
    if len(set(prompt_ids)) < n:
        group = _joined(group, prompt_ids)
    places = np.array([_place(name) for name in prompt_ids], dtype=np.uint64)
    lowest = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.uint64).max)
    np.minimum.at(
        lowest, group, places
    )  # a group goes where its first prompt by hash goes, whatever order they came in
    out = np.zeros(len(lowest), np.bool_)
    if share and len(lowest) > 1:
        out = lowest < int(share * 2**64)
        out[lowest.argmin()] = True
        if out.all():
            out[lowest.argmax()] = False
    sizes = Counter(dict(zip(prompt_ids, group.tolist(), strict=True)).values())
    return Split(out[group], len(lowest), max(sizes.values(), default=0))


def _joined(group: Ints, prompt_ids: Sequence[str]) -> Ints:
    """Groups that share a prompt, directly or over others, as one: 0, 1, ... in the order in which they come."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    prompt = cluster_codes(list(prompt_ids)) + int(group.max()) + 1
    n = int(prompt.max()) + 1
    _, names = connected_components(
        coo_array((np.ones(len(group), np.int8), (group, prompt)), shape=(n, n)), directed=False
    )
    return cluster_codes(names[group])


def spoken(prompt: str) -> str:
    """What of a prompt is compared: all but the system's part, which an agent's prompts share and would be alike by.

    Args:
        prompt: JSON, a text or chat messages.
    """
    told = orjson.loads(prompt)
    if isinstance(told, str):
        return told
    said = [message for message in told if message.get("role") not in ("system", "developer")]
    return "\n".join(f"{one.get('role')}: {one.get('content')} {one.get('tool_calls') or ''}" for one in said or told)


def _place(prompt_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"split {prompt_id}".encode()).digest()[:8])
