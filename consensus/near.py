"""Prompts that say nearly the same, found by MinHash."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Sketched = npt.NDArray[np.uint32]
"""MinHash sketches of texts, shape [n_texts, PERMUTATIONS]."""
Places = npt.NDArray[np.int64]
"""Places of texts in their list."""

PERMUTATIONS = 128  # the standard error of an estimated similarity is at most 0.5 / sqrt(128) = 0.044
RUN = 3  # words
LONGEST = 20_000  # characters from either end; beyond them a difference is not seen
MISSES = (0.05, 0.95)  # what a pair that is compared in vain weighs, and one that is missed: comparing is cheap
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_LETTERS = b"_0123456789abcdefghijklmnopqrstuvwxyz"
_ASCII_WORDS = bytes(byte if byte in _LETTERS else 32 for byte in bytes(range(256)).lower())  # what \w is in ASCII
_PLACES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)  # odd, else any
_HALF = np.uint64(32)
_BLOCK = 256  # runs that are permuted at a time: in a processor's cache


class Sketches:
    """MinHash sketches, 512 bytes a text; the texts themselves are not kept."""

    def __init__(self) -> None:
        from datasketch import MinHash

        self._scale, self._shift = MinHash(PERMUTATIONS, seed=1).permutations  # h -> a h + b mod 2^32, a odd
        self._permuted = np.empty((_BLOCK, PERMUTATIONS), dtype=np.uint32)
        self._bytes = bytearray()

    def add(self, text: str) -> None:
        """Sketch one more text."""
        hashes, least = runs(text), np.full(PERMUTATIONS, 2**32 - 1, dtype=np.uint32)
        for start in range(0, len(hashes), _BLOCK):  # as MinHash.update_batch does, which takes three times as long
            some = hashes[start : start + _BLOCK, None]
            permuted = np.multiply(some, self._scale, out=self._permuted[: len(some)])
            permuted += self._shift
            np.minimum(least, permuted.min(axis=0), out=least)
        self._bytes += least.tobytes()

    def all(self) -> Sketched:
        """The sketches, in the order of the texts."""
        return np.frombuffer(self._bytes, dtype=np.uint32).reshape(-1, PERMUTATIONS)


def groups(texts: Iterable[str], similarity: float) -> Places:
    """The group of each text; texts of a group are linked by pairs that are that similar.

    Args:
        similarity: the Jaccard similarity of the texts' sets of runs of three words (a Chinese, Japanese or Korean letter is a
            word), as MinHash estimates it, from which two count as near duplicates, in (0, 1).
    Returns:
        The place of the first text of each one's group, shape [n_texts].
    Source: Broder 1997, On the resemblance and containment of documents.
    """
    sketches = Sketches()
    for text in texts:
        sketches.add(text)
    return linked(sketches.all(), similarity)


def linked(sketches: Sketched, similarity: float) -> Places:
    """The group of each sketch, as `groups` has it.

    Only sketches that share one of several bands are compared (locality-sensitive hashing; Indyk and Motwani 1998, STOC). The
    number of bands and their width are those that datasketch finds best for the similarity: a pair just as similar is missed
    once in ten times at 0.9, and one of 0.95 once in four hundred times.
    """
    from datasketch import MinHashLSH

    if len(sketches) < 2:
        return np.arange(len(sketches))
    index = MinHashLSH(threshold=similarity, num_perm=PERMUTATIONS, weights=MISSES)
    least = math.ceil(similarity * PERMUTATIONS)  # equal places that make two alike
    mix = np.random.default_rng(1).integers(0, 2**63, index.r, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    bands = [_buckets(sketches[:, start * index.r : (start + 1) * index.r] @ mix) for start in range(index.b)]
    first = _chained(sketches, bands, least)
    for order, starts in bands:
        groups, sizes = _roots(first, order), np.diff(starts, append=len(order))
        if not len(starts):
            continue
        mixed = np.minimum.reduceat(groups, starts) != np.maximum.reduceat(groups, starts)
        for bucket in np.flatnonzero(mixed & (sizes > 2)):  # of two, both were compared
            _link(sketches, order[starts[bucket] : starts[bucket] + sizes[bucket]], least, first)
    return _roots(first, np.arange(len(sketches)))


def _buckets(keys: npt.NDArray[np.uint64]) -> tuple[Places, Places]:
    """Places whose key is not theirs alone, in the order of keys; and where in them each key begins."""
    order = np.argsort(keys, kind="stable")
    same = np.concatenate([[False], np.diff(keys[order]) == 0, [False]])
    shared = same[:-1] | same[1:]
    return order[shared], np.flatnonzero(~same[:-1][shared])


def _chained(sketches: Sketched, bands: Sequence[tuple[Places, Places]], least: int) -> Places:
    """The groups that come of comparing neighbours in the buckets; most of all there are."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, linked = len(sketches), [np.empty((0, 2), dtype=np.int64)]
    for order, starts in bands:
        pairs = np.stack([order[:-1], order[1:]], axis=1)[~np.isin(np.arange(1, len(order)), starts)]
        parts = np.array_split(pairs, len(pairs) // _BLOCK + 1)
        linked += [part[_equal(sketches, part[:, 0], sketches[part[:, 1]]) >= least] for part in parts]
    a, b = np.concatenate(linked).T
    _, names = connected_components(coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n)), directed=False)
    _, firsts = np.unique(names, return_index=True)
    groups: Places = firsts[names]
    return groups


def _link(sketches: Sketched, bucket: Places, least: int, first: Places) -> None:
    """Join the groups of all pairs in a bucket that are alike; `first` is a forest whose roots name the groups."""
    while len(bucket) > 1:
        pivot, bucket = bucket[0], bucket[1:]
        others = bucket[_roots(first, bucket) != _roots(first, pivot)]
        if not len(others):
            return  # all are in one group
        alike = others[_equal(sketches, others, sketches[pivot]) >= least]
        together = _roots(first, np.append(alike, pivot))
        first[together] = together.min()


def _equal(sketches: Sketched, places: Places, others: Sketched) -> npt.NDArray[np.uint8]:
    """How many places of each sketch are equal to another's."""
    count: npt.NDArray[np.uint8] = (sketches.take(places, axis=0) == others).sum(axis=1, dtype=np.uint8)
    return count


def _roots(first: Places, places: Places) -> Places:
    """The names of the groups of these places."""
    found = first[places]
    while np.any((up := first[found]) != found):
        found = up
    first[places] = found  # the next one has a shorter way
    return found


def runs(text: str) -> npt.NDArray[np.uint32]:
    """Hashes of the runs of words in a text, in small letters; a text of fewer words is one run.

    A run's hash is a sum of its words' hashes, each times a number of its place (Thorup 2015, High speed hashing for integers
    and strings), mixed once more, since what permutes the hashes is as linear as that.
    """
    if len(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]} {text[-LONGEST:]}"
    words = np.fromiter(map(zlib.crc32, _words(text)), dtype=np.uint64)
    n = min(RUN, len(words))
    mixed = words[: len(words) - n + 1] * _PLACES[0]
    for place in range(1, n):
        mixed += words[place : len(words) - n + 1 + place] * _PLACES[place]
    mixed ^= mixed >> _HALF
    mixed *= _PLACES[0]
    hashes: npt.NDArray[np.uint32] = (mixed >> _HALF).astype(np.uint32)
    return hashes


def _words(text: str) -> Sequence[bytes]:
    """The words of a text; the text itself if it has none."""
    if text.isascii():
        return text.encode().translate(_ASCII_WORDS).split() or [text.encode()]
    return [word.encode("utf-8", "replace") for word in _WORDS.findall(text.lower()) or [text]]
