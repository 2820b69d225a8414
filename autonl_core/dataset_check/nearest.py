"""For every image the few others that are nearest to it, among pairs that arrive in any order, a part at a time.

All pairs would take far more memory than the images where many images are alike. A copy is nearer to its original than
other pictures are, so that the nearest few suffice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

KEPT = 6  # other images for each
_HELD = 1 << 19  # pairs that are collected before they are sorted in

Positions = NDArray[np.int64]
Distances = NDArray[np.float32]


class Nearest:
    """The nearest others of `count` images at a distance of less than the largest of the descending `distances`.

    A distance below which more than `most_paired` images have a neighbour is given up, except the last one.
    """

    def __init__(self, count: int, distances: Sequence[float], most_paired: float) -> None:
        self.others = np.full((count, KEPT), -1, np.int32)  # nearest first; -1: none
        self.apart = np.full((count, KEPT), np.inf, np.float32)
        self._distances, self._most_paired, self._level = tuple(distances), most_paired, 0
        self._held: list[tuple[Positions, Positions, Distances]] = []
        self._held_count = 0

    @property
    def distance(self) -> float:
        """The largest distance that is not given up."""
        return self._distances[self._level]

    @property
    def furthest(self) -> Distances:
        """For every image how near another one has to be to count: nearer than the furthest of those that it has."""
        return np.minimum(self.apart[:, -1], np.float32(self.distance))

    def add(self, one: Positions, other: Positions, distances: Distances) -> None:
        """Take account of pairs of images that are this far from each other."""
        for own, its in ((one, other), (other, one)):
            near = (distances < self.distance) & (distances <= self.apart[own, -1])
            self._held.append((own[near], its[near], distances[near]))
            self._held_count += int(np.count_nonzero(near))
        if self._held_count >= _HELD:
            self.sort_in()

    def sort_in(self) -> None:
        """Bring `others` and `apart` up to date with all pairs so far."""
        if not self._held_count:
            return
        own, its, distances = (np.concatenate(parts) for parts in zip(*self._held, strict=True))
        self._held, self._held_count = [], 0
        rows = np.unique(own)
        known, column = np.nonzero(self.others[rows] >= 0)
        own = np.concatenate([rows[known], own])
        its = np.concatenate([self.others[rows][known, column].astype(np.int64), its])
        distances = np.concatenate([self.apart[rows][known, column], distances])
        # Distances are not negative, so that their bits are in the order of the numbers.
        order = np.lexsort((its, own << 32 | distances.view(np.uint32).astype(np.int64)))
        own, its, distances = own[order], its[order], distances[order]
        first = np.ones(len(own), bool)  # of the same pair, found more than once
        first[1:] = (own[1:] != own[:-1]) | (its[1:] != its[:-1])
        own, its, distances = own[first], its[first], distances[first]
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        place = np.arange(len(own)) - np.repeat(starts, np.diff(starts, append=len(own)))
        kept = place < KEPT
        self.others[rows], self.apart[rows] = -1, np.inf
        self.others[own[kept], place[kept]] = its[kept]
        self.apart[own[kept], place[kept]] = distances[kept]
        while self._level < len(self._distances) - 1 and self._paired() > self._most_paired:
            self._level += 1

    def _paired(self) -> int:
        return int(np.count_nonzero(self.apart[:, 0] < self.distance))
