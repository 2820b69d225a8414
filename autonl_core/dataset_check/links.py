"""Which images are linked by pairs that show the same picture, directly or through others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


class Forest:
    """A union-find structure that handles many pairs in one step; the root of a tree is its smallest number."""

    def __init__(self, count: int) -> None:
        self.parents = np.arange(count, dtype=np.int32)
        self._joined = False

    def labels(self) -> Positions:
        """For every number the smallest one that it is joined with."""
        return self.roots(np.arange(len(self.parents)))

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
