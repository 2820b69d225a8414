"""Find images that may show the same picture: those whose descriptors are close.

An image's *descriptor* is the low frequencies of its luminance at 16 by 16 pixels, divided by its contrast. The
distance of two descriptors is the square root of 2 (1 - correlation). Sorted in several ways (`similar_orders.py`),
images of the same picture stand close together: each is compared with those beside it, first by brightness and the
first principal components, where distances are never larger, then by the whole descriptor and colour. Few images are
all compared with each other.

In some datasets all images are similar (digits, scans, video frames), so a small distance means less: as long as too
many images have a near one, the threshold is lowered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from autonl_core.dataset_check.inspect import Inspected
from autonl_core.dataset_check.nearest import Nearest
from autonl_core.dataset_check.similar_orders import similar_orders

# Thresholds for descriptor distances. On CIFAR-10 (12,000 images), 0.3 finds 99% of images that were recompressed at
# quality 50 or halved by any usual filter.
STRICTNESS = (0.3, 0.15, 0.08, 0.04)
MAX_ALIKE = 0.25  # share of images with a near one; above, the threshold is lowered
_BRIGHTNESS = 6.0  # maximum difference of mean luminance, in levels of 255
_COLOUR = 8.0  # maximum root mean square difference of chrominance, in levels of 255
_COMPONENTS = 16
_ROUNDING = 1e-5  # of a squared distance
_ORDERS, _REACH = 12, 32  # sorted in so many ways, an image is compared with so many others on either side
_ORDERS_FROM = 4096  # images; above, two more for every doubling, so that as few pairs are missed
_BLOCK = 16_384  # images at a time, few enough for the cache of a processor
_PAIRS = 512  # compared at a time
_FEW = 10  # images with a near one that are accepted whatever their share

Rows = NDArray[np.int64]
Squares = NDArray[np.float32]


def find_candidates(images: Inspected, rows: Rows, distance: float | None = None) -> Nearest:
    """For each of `rows`, as positions in `rows`, the nearest others that may show the same picture.

    Args:
        distance: below which descriptors are close; by default as many images allow.
    """
    strictness = STRICTNESS if distance is None else (distance,)
    nearest = Nearest(len(rows), strictness, max(MAX_ALIKE * len(rows), _FEW))
    orders, reach = _effort(len(rows))
    sketches = _sketches(images, rows)
    for order in _prepared_ahead(similar_orders(images.descriptors, images.means, rows, orders)):
        for one, other in _close_pairs(sketches, order, reach, nearest):
            _compare(images, rows, nearest, one, other)
    nearest.sort_in()
    return nearest


def _prepared_ahead(orders: Iterator[Rows]) -> Iterator[Rows]:
    """`orders`, each of them prepared by another thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, orders, None)
        while (order := following.result()) is not None:
            following = thread.submit(next, orders, None)
            yield order


def _effort(count: int) -> tuple[int, int]:
    """How many orders, and how far each image is compared in them. Few images are all compared with each other."""
    if count <= _ORDERS * _REACH:
        return 1, count - 1
    return _ORDERS + max(0, round(2 * math.log2(count / _ORDERS_FROM))), _REACH


def _sketches(images: Inspected, rows: Rows) -> NDArray[np.float32]:
    """Brightness and the first components of descriptors, (N, 1 + C): what rules out most pairs."""
    axes = _principal_axes(images.descriptors, rows)
    sketches = np.empty((len(rows), 1 + axes.shape[1]), np.float32)
    sketches[:, 0] = images.means[rows]
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        sketches[part, 1:] = images.descriptors[rows[part]] @ axes
    return sketches


def _close_pairs(sketches: Squares, order: Rows, reach: int, nearest: Nearest) -> Iterator[tuple[Rows, Rows]]:
    """Pairs, at most `reach` apart in this order, that may show the same picture: about `_BLOCK` at a time."""
    ones: list[Rows] = []
    others: list[Rows] = []
    for start in range(0, len(order), _BLOCK):
        here = order[start : start + _BLOCK + reach]
        block = np.ascontiguousarray(sketches[here].T)  # (1 + C, B)
        most = np.square(nearest.furthest[here]) + np.float32(_ROUNDING)
        for offset in range(1, reach + 1):
            at = _close_to_next(block[:, : _BLOCK + offset], offset, most)
            ones.append(here[at])
            others.append(here[at + offset])
            if sum(map(len, ones)) >= _BLOCK:
                yield np.concatenate(ones), np.concatenate(others)
                ones, others = [], []
    if ones:
        yield np.concatenate(ones), np.concatenate(others)


def _close_to_next(sketches: Squares, offset: int, most: Squares) -> Rows:
    """Positions that may be close to the one `offset` positions further on; `most`: squared distances that count."""
    means, first = sketches[0], sketches[1]
    most = most[: len(means)]
    counts = np.maximum(most[offset:], most[:-offset])  # for one of the two
    at = np.flatnonzero(
        (np.abs(means[offset:] - means[:-offset]) < _BRIGHTNESS)
        & (np.square(first[offset:] - first[:-offset]) < counts)
    )
    total, counts = np.square(first[at + offset] - first[at]), counts[at]
    for component in sketches[2:]:
        total += np.square(component[at + offset] - component[at])
        close = total < counts  # the whole distance is never smaller
        at, total, counts = at[close], total[close], counts[close]
    return at


def _compare(images: Inspected, rows: Rows, nearest: Nearest, one: Rows, other: Rows) -> None:
    """Add those of the pairs of positions in `rows` that may show the same picture."""
    a, b = rows[one], rows[other]
    distances = _distances(images.descriptors, a, b)
    close = (distances < nearest.distance) & (np.abs(images.means[a] - images.means[b]) < _BRIGHTNESS)
    one, other, a, b, distances = (column[close] for column in (one, other, a, b, distances))
    colour = images.colours[a].astype(np.float32) - images.colours[b]
    same = np.sqrt(np.square(colour).mean(axis=(1, 2, 3))) < _COLOUR
    same &= _same_shape(images.sizes[a], images.sizes[b])
    nearest.add(one[same], other[same], distances[same])


def _distances(descriptors: NDArray[np.float32], a: Rows, b: Rows) -> NDArray[np.float32]:
    """Of pairs of rows, a part at a time, whose differences stay in the cache: four times as fast as all at once."""
    squared = np.empty(len(a), np.float32)
    for start in range(0, len(a), _PAIRS):
        part = slice(start, start + _PAIRS)
        differences = descriptors[a[part]]
        differences -= descriptors[b[part]]
        np.einsum("pd,pd->p", differences, differences, out=squared[part])
    return np.sqrt(squared)


def _principal_axes(descriptors: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """The directions (DESCRIPTOR_DIM, C) of largest variance."""
    sample = descriptors[rows[:: max(1, len(rows) // 20_000)]].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)
    return np.ascontiguousarray(axes[:, ::-1][:, :_COMPONENTS], dtype=np.float32)


def _same_shape(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether aspect ratios are equal apart from rounding: within 5%, or within a pixel for small images."""
    ratio_a, ratio_b = a[:, 0] / a[:, 1], b[:, 0] / b[:, 1]
    tolerance = 0.05 + 1.0 / np.minimum(a, b).min(axis=1)
    return np.asarray(np.abs(ratio_a - ratio_b) <= tolerance * np.maximum(ratio_a, ratio_b))
