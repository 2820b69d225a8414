"""Find images that show the same picture: equal files, and pictures that were recompressed, resized or converted.

Equal files are found by their hash. For the others, descriptors find the candidates (`candidates.py`), and the pixels
of both decide (`same_picture.py`). For each image at most the nearest few are compared, the nearest first, and no
further ones once `MAX_FAILED` showed another picture, so that the work grows with the number of images, however many
are alike. An image with more copies than that is compared once more, on behalf of them all.

Where many images are linked by a chain of small steps, rather than being copies of one picture, only those that show
the same picture as one of them are grouped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autonl_core.dataset_check.candidates import find_candidates
from autonl_core.dataset_check.inspect import Inspected
from autonl_core.dataset_check.links import Forest
from autonl_core.dataset_check.nearest import KEPT, Nearest

MAX_TOGETHER = 30  # linked files that differ; larger groups are checked for chains
MAX_FAILED = 3  # comparisons of one image with its nearest ones, before no more are made on its behalf
_AT_A_TIME = 16  # members of a large group compared with one of them

Labels = NDArray[np.int64]
Rows = NDArray[np.int64]
Compare = Callable[[Rows, Rows], NDArray[np.bool_]]  # which pairs of rows show the same picture


@dataclass(frozen=True)
class Duplicates:
    """Which rows show the same picture: rows of equal files share a number in `exact`, equal pictures in `groups`."""

    exact: Labels
    groups: Labels
    distance: float  # of descriptors, below which images were compared


def find_duplicates(images: Inspected, compare: Compare) -> Duplicates:
    """Compare readable images that are alike with each other; unreadable ones have no duplicates."""
    count = len(images.names)
    rows = images.readable
    exact = np.arange(count)
    first: dict[bytes, int] = {}
    for row in rows.tolist():
        exact[row] = first.setdefault(images.digests[row], row)
    kept = np.array(sorted(first.values()), dtype=np.int64)  # one file of every content
    labels, distance = _linked(images, kept, compare)
    groups = np.arange(count)
    groups[kept] = kept[labels]
    return Duplicates(exact, _cut_chains(groups, images.descriptors, compare)[exact], distance)


def _linked(images: Inspected, kept: Rows, compare: Compare) -> tuple[Labels, float]:
    """The group of every one of the rows `kept`, as positions; and the distance below which they were compared."""
    forest, active, distance = Forest(len(kept)), np.arange(len(kept)), None
    while True:
        with threadpool_limits(1):  # many small products: threads gain little, and where cores are busy they lose a lot
            nearest = find_candidates(images, kept[active], distance)
        distance = nearest.distance
        _join_equal(nearest, active, forest, lambda one, other: compare(kept[one], kept[other]))
        crowded = _first_of_crowds(forest.labels(), active)
        if len(crowded) < 2 or len(crowded) == len(active):
            return forest.labels(), distance
        active = crowded


def _join_equal(nearest: Nearest, active: Rows, forest: Forest, compare: Compare) -> None:
    """Join those of the nearest ones that show the same picture. `active`: the numbers of the rows of `nearest`."""
    failed = np.zeros(len(active), np.int64)
    seen = np.empty(0, np.int64)  # pairs that were compared
    for place in range(KEPT):
        others = nearest.others[:, place].astype(np.int64)
        own = np.flatnonzero((others >= 0) & (nearest.apart[:, place] < nearest.distance) & (failed < MAX_FAILED))
        low, high = np.minimum(own, others[own]), np.maximum(own, others[own])
        pairs = np.setdiff1d(low * len(active) + high, seen)
        low, high = np.divmod(pairs, max(1, len(active)))
        apart = forest.roots(active[low]) != forest.roots(active[high])
        low, high, pairs = low[apart], high[apart], pairs[apart]
        if not len(pairs):
            continue
        same = compare(active[low], active[high])
        forest.join(active[low[same]], active[high[same]])
        for numbers in (low[~same], high[~same]):
            np.add.at(failed, numbers, 1)
        seen = np.union1d(seen, pairs)


def _first_of_crowds(labels: Labels, active: Rows) -> Rows:
    """The first of every group that is so large that its members may have had no other ones among their nearest."""
    numbers, sizes = np.unique(labels[active], return_counts=True)
    return np.asarray(numbers[sizes > KEPT], dtype=np.int64)


class _Group:
    """A group of linked rows that is being divided: the first row and those that show its picture, then the next."""

    def __init__(self, rows: Rows, descriptors: NDArray[np.float32]) -> None:
        self._rows, self._descriptors = rows, descriptors
        self._begin()

    def _begin(self) -> None:
        apart = np.square(self._descriptors[self._rows[1:]] - self._descriptors[self._rows[0]]).sum(axis=1)
        self._order = self._rows[1:][np.argsort(apart, kind="stable")]
        self._done, self._own = 0, [self._rows[:1]]

    @property
    def first(self) -> int:
        return int(self._rows[0])

    def next(self) -> Rows:
        """The rows to be compared with the first one; none if the group is divided."""
        return self._order[self._done : self._done + _AT_A_TIME]

    def take(self, same: NDArray[np.bool_]) -> Rows | None:
        """Take account of a comparison; the rows of one picture once they are known."""
        compared = self.next()
        self._own.append(compared[same])
        self._done += len(compared)
        if self._done < len(self._order) and 2 * np.count_nonzero(same) >= len(compared):
            return None
        own = np.concatenate(self._own)
        self._rows = np.setdiff1d(self._rows, own)
        if len(self._rows):
            self._begin()
        return own


def _cut_chains(groups: Labels, descriptors: NDArray[np.float32], compare: Compare) -> Labels:
    """Divide groups of more than MAX_TOGETHER rows into those that show the same picture as the first of them."""
    groups = groups.copy()
    numbers, sizes = np.unique(groups, return_counts=True)
    large = [np.flatnonzero(groups == number) for number in numbers[sizes > MAX_TOGETHER]]
    for rows in large:
        groups[rows] = rows
    dividing = [_Group(rows, descriptors) for rows in large]
    while dividing := [group for group in dividing if len(group.next())]:
        parts = [group.next() for group in dividing]
        firsts = np.repeat([group.first for group in dividing], [len(part) for part in parts])
        same = compare(firsts, np.concatenate(parts))
        ends = np.cumsum([len(part) for part in parts])[:-1]
        for group, own_same in zip(dividing, np.split(same, ends), strict=True):
            if (own := group.take(own_same)) is not None:
                groups[own] = own[0]
    return groups
