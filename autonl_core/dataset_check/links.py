"""Which images are linked by pairs of near duplicates, at several distances at once.

Pairs are not kept: where many images are alike, they would take far more memory than the images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


class Links:
    """Links between `count` images by pairs that are closer than each of the descending `distances`.

    A distance below which more than `most_paired` images have a near duplicate is given up, except the last one.
    """

    def __init__(self, count: int, distances: Sequence[float], most_paired: float) -> None:
        self._distances = tuple(distances)
        self._most_paired = most_paired
        self._forests = [_Forest(count) for _ in distances]
        self._paired = [np.zeros(count, bool) for _ in distances]
        self._level = 0

    @property
    def distance(self) -> float:
        """The largest distance that is not given up."""
        return self._distances[self._level]

    def labels(self) -> Positions:
        """For every image the first of those that it is linked to at this distance, directly or through others."""
        forest = self._forests[self._level]
        return forest.roots(np.arange(len(forest.parents)))

    def are_linked(self, one: Positions, other: Positions) -> NDArray[np.bool_]:
        """Whether pairs are linked at every distance, so that comparing them would change nothing."""
        strictest = self._forests[-1]
        return np.asarray(strictest.roots(one) == strictest.roots(other))

    def add(self, one: Positions, other: Positions, distances: NDArray[np.float32]) -> None:
        """Link pairs of images that are this far from each other."""
        for level in range(self._level, len(self._distances)):
            near = distances < self._distances[level]
            if not near.any():
                break  # nor below any smaller distance
            self._paired[level][one[near]] = True
            self._paired[level][other[near]] = True
            self._forests[level].join(one[near], other[near])
        while self._level < len(self._distances) - 1 and self._paired[self._level].sum() > self._most_paired:
            self._level += 1


class _Forest:
    """A union-find structure that handles many pairs in one step; the root of a tree is its smallest number."""

    def __init__(self, count: int) -> None:
        self.parents = np.arange(count, dtype=np.int32)
        self._joined = False

    def roots(self, numbers: Positions) -> Positions:
        if not self._joined:
            return numbers
        roots = self.parents[numbers]
        while np.any((above := self.parents[roots]) != roots):
            roots = above
        self.parents[numbers] = roots  # shorter ways next time
        return roots.astype(np.int64)

    def join(self, one: Positions, other: Positions) -> None:
        """Join the trees of `one` and `other`, pair by pair."""
        self._joined = True
        one, other = self.roots(one), self.roots(other)
        while len(apart := np.flatnonzero(one != other)):
            low = np.minimum(one[apart], other[apart])
            high = np.maximum(one[apart], other[apart])
            np.minimum.at(self.parents, high, low.astype(np.int32))  # of all pairs in which it is higher
            while np.any((above := self.parents[self.parents[high]]) != self.parents[high]):
                self.parents[high] = above  # twice as far each time
            one, other = self.roots(low), self.roots(high)
