"""Prompts that say nearly the same, found by MinHash."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

PERMUTATIONS = 128  # the standard error of an estimated similarity is at most 0.5 / sqrt(128) = 0.044
RUN = 3  # words
LONGEST = 20_000  # characters from either end; beyond them a difference is not seen
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def groups(texts: Sequence[str], similarity: float) -> npt.NDArray[np.int64]:
    """The group of each text; texts of a group are linked by pairs that are that similar.

    Args:
        similarity: the Jaccard similarity of the texts' sets of runs of three words (a Chinese, Japanese or Korean letter is a
            word), as MinHash estimates it, from which two count as near duplicates, in (0, 1).
    Returns:
        The place of the first text of each one's group, shape [n_texts].
    Source: Broder 1997, On the resemblance and containment of documents; datasketch's MinHashLSH finds the pairs.
    """
    from datasketch import MinHash, MinHashLSH

    blank = MinHash(PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
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
    sketch.update_batch(runs(text))
    return sketch


def runs(text: str) -> set[bytes]:
    """The runs of words in a text, in small letters; a text of fewer words is one run."""
    if len(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]} {text[-LONGEST:]}"
    words = _WORDS.findall(text.lower()) or [text]
    places = range(max(1, len(words) - RUN + 1))
    return {" ".join(words[place : place + RUN]).encode("utf-8", "replace") for place in places}
