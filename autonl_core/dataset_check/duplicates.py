"""Find images that show the same picture: equal files, and pictures that were recompressed, resized or converted.

Equal files are found by their hash. For the others, each image has a *descriptor*: the low frequencies of its luminance
at 16 by 16 pixels, divided by its contrast. The distance of two descriptors is the square root of 2 (1 - correlation).
Candidates are close in the first 24 principal components, where distances are never larger; these pairs are then
compared by the whole descriptor, brightness and colour.

In some datasets all images are similar (digits, scans, video frames), so a small distance means less: as long as too
many images have a duplicate, the threshold is lowered. Where many images are linked by a chain of small steps, rather
than being copies of one picture, only those close to the same image are grouped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from autonl_core.dataset_check.inspect import Inspected

# Thresholds for descriptor distances. On CIFAR-10 (12,000 images), 0.3 finds 99% of images that were recompressed at
# quality 50 or halved by any usual filter; of the 21 pairs found in the original dataset, at least 19 are duplicates.
STRICTNESS = (0.3, 0.15, 0.08, 0.04)
MAX_ALIKE = 0.25  # share of images with a near duplicate; above, the threshold is lowered
MAX_TOGETHER = 30  # linked files that differ; larger groups are checked for chains
_BRIGHTNESS = 6.0  # maximum difference of mean luminance, in levels of 255
_COLOUR = 8.0  # maximum root mean square difference of chrominance, in levels of 255
_COMPONENTS = 24
_ROWS, _COLUMNS = 1024, 16384  # images compared at a time
_CROWDED = 64  # candidates of one image in such a tile, above which only the `_CLOSEST` are compared
_CLOSEST = 12
_FEW = 10  # images with a near duplicate that are accepted whatever their share

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Duplicates:
    """Which rows show the same picture: rows of equal files share a number in `exact`, equal pictures in `groups`."""

    exact: Labels
    groups: Labels
    distance: float  # of descriptors, below which pictures were considered the same


def find_duplicates(images: Inspected) -> Duplicates:
    """Compare all readable images with each other; unreadable ones have no duplicates."""
    count = len(images.names)
    rows = images.readable
    exact = np.arange(count)
    first: dict[bytes, int] = {}
    for row in rows.tolist():
        exact[row] = first.setdefault(images.digests[row], row)
    kept = np.array(sorted(first.values()), dtype=np.int64)  # one file of every content
    pairs, distances = _near_pairs(images, kept)
    for distance in STRICTNESS:
        near = pairs[distances < distance]
        if len(np.unique(near)) <= max(MAX_ALIKE * len(kept), _FEW):
            break
    groups = _cut_chains(_connected(count, near), images.descriptors, distance)
    return Duplicates(exact, groups[exact], distance)


def _connected(count: int, pairs: NDArray[np.int64]) -> Labels:
    """For every row, the smallest row that it is connected to by pairs (P, 2)."""
    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(links, directed=False)
    _, first = np.unique(component, return_index=True)
    return np.asarray(first[component], dtype=np.int64)


def _cut_chains(groups: Labels, descriptors: NDArray[np.float32], distance: float) -> Labels:
    """Divide groups of more than MAX_TOGETHER rows: the first row and those close to it, then the next, and so on."""
    groups = groups.copy()
    numbers, sizes = np.unique(groups, return_counts=True)
    for number in numbers[sizes > MAX_TOGETHER]:
        left = np.flatnonzero(groups == number)
        while len(left):
            close = np.square(descriptors[left] - descriptors[left[0]]).sum(axis=1) < distance**2
            groups[left[close]] = left[0]
            left = left[~close]
    return groups


def _near_pairs(images: Inspected, kept: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (P, 2) of rows with close descriptors, and their distances (P,)."""
    pairs: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    distances: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
    for one, other in _candidates(images.descriptors[kept]):
        a, b = kept[one], kept[other]
        distance = np.sqrt(np.square(images.descriptors[a] - images.descriptors[b]).sum(axis=1))
        same = (distance < STRICTNESS[0]) & (np.abs(images.means[a] - images.means[b]) < _BRIGHTNESS)
        colour = images.colours[a].astype(np.float32) - images.colours[b]
        same &= np.sqrt(np.square(colour).mean(axis=(1, 2, 3))) < _COLOUR
        same &= _same_shape(images.sizes[a], images.sizes[b])
        pairs.append(np.stack([a[same], b[same]], axis=1))
        distances.append(distance[same])
    return np.concatenate(pairs), np.concatenate(distances)


def _candidates(descriptors: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows of `descriptors`, (N, DESCRIPTOR_DIM), that may be close, in portions.

    Every image is compared with all others whose first component is close: N^2 / 3 products of 26 numbers, half a
    minute for 200,000 images. Trees are slower: in 24 dimensions they hardly prune anything.
    """
    if len(descriptors) < 2:
        return
    points = descriptors @ _principal_axes(descriptors)  # (N, C)
    order = np.argsort(points[:, 0], kind="stable")
    points = points[order]
    first = points[:, 0]
    half = np.square(points).sum(axis=1, keepdims=True) / 2
    ones = np.ones_like(half)
    left, right = np.hstack([points, ones, -half]), np.hstack([points, -half, ones])  # left @ right.T = -distance^2 / 2
    for start in range(0, len(points), _ROWS):
        stop = min(start + _ROWS, len(points))
        last = int(np.searchsorted(first, first[stop - 1] + STRICTNESS[0], side="right"))
        for begin in range(start, last, _COLUMNS):
            closeness = left[start:stop] @ right[begin : min(begin + _COLUMNS, last)].T
            one, other = _close_pairs(closeness)
            different = begin + other != start + one
            yield order[start + one[different]], order[begin + other[different]]


def _close_pairs(closeness: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns that may be close. In a crowd, only the closest and one that all have in common, which suffices
    to connect them: so the work stays proportional to the number of images.
    """
    close = closeness > -(STRICTNESS[0] ** 2) / 2 - 1e-5
    counts = np.count_nonzero(close, axis=1)
    for row in np.flatnonzero(counts > _CROWDED):
        first = int(np.argmax(close[row]))
        close[row] = False
        close[row, first] = True  # the same one for the whole crowd, so that it stays connected
        close[row, np.argpartition(closeness[row], -_CLOSEST)[-_CLOSEST:]] = True
    one, other = np.divmod(np.flatnonzero(close), close.shape[1])
    return one, other


def _principal_axes(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The directions (DESCRIPTOR_DIM, C) of largest variance."""
    sample = descriptors[:: max(1, len(descriptors) // 20_000)].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)
    return np.ascontiguousarray(axes[:, ::-1][:, :_COMPONENTS], dtype=np.float32)


def _same_shape(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether aspect ratios are equal apart from rounding: within 5%, or within a pixel for small images."""
    ratio_a, ratio_b = a[:, 0] / a[:, 1], b[:, 0] / b[:, 1]
    tolerance = 0.05 + 1.0 / np.minimum(a, b).min(axis=1)
    return np.asarray(np.abs(ratio_a - ratio_b) <= tolerance * np.maximum(ratio_a, ratio_b))
