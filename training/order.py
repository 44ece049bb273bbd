"""The order in which pairs are trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from torch.utils.data import Sampler


class GroupedByLength(Sampler[int]):  # type: ignore[misc]
    """A random order in which the rows of a batch have similar lengths, by seed and epoch alone.

    The last batch is filled up from the front, so that every step has the same weight on any number of processes.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int, window: int = 50) -> None:
        self.lengths = np.asarray(lengths)
        self.batch, self.seed, self.window, self.epoch = batch, seed, window, 0

    def set_epoch(self, epoch: int) -> None:
        """Another order for each epoch; the trainer calls this, after a resume as well."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch) * self.batch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = np.resize(rng.permutation(len(self.lengths)), len(self))
        size = self.batch * self.window
        near = [
            part[np.argsort(-self.lengths[part], kind="stable")]
            for part in np.split(order, range(size, len(order), size))
        ]
        batches = np.concatenate(near).reshape(-1, self.batch)
        yield from batches[rng.permutation(len(batches))].ravel().tolist()


def visited(lengths: Sequence[int], batch: int, seed: int, steps: int) -> list[int]:
    """The rows that a training of so many steps comes to, in ascending order; all of them from an epoch on.

    Args:
        lengths, batch, seed: as of `GroupedByLength`.
    """
    order = GroupedByLength(lengths, batch, seed)
    if steps * batch >= len(order):
        return list(range(len(lengths)))
    return sorted(set(islice(order, steps * batch)))
