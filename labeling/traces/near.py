"""Prompts that say nearly the same, found by MinHash."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 128  # the standard error of an estimated similarity is at most 0.5 / sqrt(128) = 0.044
GRAM = 8  # bytes of UTF-8: two or three characters of Chinese, eight of English
LONGEST = 20_000  # characters from either end; beyond them a difference is not seen
_BLANKS = re.compile(r"\s+")


def groups(texts: Sequence[str], similarity: float) -> npt.NDArray[np.int64]:
    """The group of each text; texts of a group are linked by pairs that are that similar.

    Args:
        similarity: the Jaccard similarity of the texts' sets of 8-byte grams (small letters, blanks as one), as MinHash
            estimates it, from which two count as near duplicates, in (0, 1).
    Returns:
        The place of the first text of each one's group, shape [n_texts].
    Source: Broder 1997, On the resemblance and containment of documents; datasketch's MinHashLSH finds the pairs.
    """
    from datasketch import MinHash, MinHashLSH

    blank = MinHash(PERMUTATIONS, seed=1, hashfunc=int)
    sketches: list[MinHash] = []
    index = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS)
    first = np.arange(len(texts))

    def root(place: int) -> int:
        while first[place] != place:
            first[place] = first[first[place]]
            place = int(first[place])
        return place

    for place, text in enumerate(texts):
        sketch = _sketch(blank, text)
        for other in index.query(sketch):
            if sketch.jaccard(sketches[other]) >= similarity:
                a, b = sorted((root(other), root(place)))
                first[b] = a
        sketches.append(sketch)
        index.insert(place, sketch, check_duplication=False)
    return np.array([root(place) for place in range(len(texts))], dtype=np.int64)


def _sketch(blank: Any, text: str) -> Any:
    sketch = blank.copy()
    sketch.update_batch(_grams(text).tolist())
    return sketch


def _grams(text: str) -> npt.NDArray[np.uint32]:
    """The set of a text's grams, each as 32 bits."""
    if len(text) > 2 * LONGEST:
        text = text[:LONGEST] + text[-LONGEST:]
    data = _BLANKS.sub(" ", text).strip().lower().encode("utf-8", "replace").ljust(GRAM, b"\0")
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, dtype=np.uint8), GRAM)
    whole = np.unique(np.ascontiguousarray(windows).view("<u8"))
    mixed = whole * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: the upper half depends on every byte
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))
