"""Orders of images in which similar ones stand close together, so that only neighbours have to be compared.

Random directions are drawn in groups. An image belongs, in each group, to the direction that it has the largest product
with; close images mostly belong to the same one (three in four at a distance of 0.3, nine in ten at 0.1), others to the
same one by chance. An order sorts the images by what they belong to in the first group, then in the second, and so on:
where there are more images, it takes more groups to distinguish them, without anything to be tuned.

This takes N log N steps. Descriptors have too many dimensions for a tree: with the k-d trees of SciPy, the time for all
pairs at a distance below 0.3 grew with the square of the number of images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_GROUPS, _DIRECTIONS = 8, 16  # of directions in each order; 16 fit into 4 bits
_GROUP_BITS, _REST_BITS = 4, 32
_CONSTANT = 0.5  # a further coordinate that all images share: descriptors of flat images, close to zero, are mere noise
_LEAST_SPREAD = 45.0  # levels of brightness that count as much as a distance of 1, or more if their spread is larger
_ROWS = 4_096  # images at a time, few enough for the cache of a processor
_HALF_RANGE = 8.0  # more than any product of a descriptor with a random direction

Order = NDArray[np.int64]


def similar_orders(
    descriptors: NDArray[np.float32], means: NDArray[np.float32], rows: NDArray[np.int64], count: int
) -> Iterator[Order]:
    """`count` orders of `rows`, as positions in `rows`; the same ones for the same images.

    Args:
        descriptors: (N, D) of all images.
        means: (N,) brightness of all images.
    """
    rng = np.random.default_rng(0)
    chosen = means[rows]
    brightness = (chosen - chosen.mean()) / max(float(chosen.std()), _LEAST_SPREAD) if len(rows) else chosen
    for _ in range(count):
        shape = (_DIRECTIONS * _GROUPS + 1, descriptors.shape[1] + 2)
        directions = rng.standard_normal(shape).astype(np.float32)
        keys = np.empty(len(rows), np.uint64)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            keys[part] = _keys(descriptors[rows[part]], brightness[part], directions)
        yield np.argsort(keys, kind="stable")


def _keys(
    descriptors: NDArray[np.float32], brightness: NDArray[np.float32], directions: NDArray[np.float32]
) -> NDArray[np.uint64]:
    """The number that an order sorts by: the direction of every group, then the product with one more direction."""
    products = directions[:, :-2] @ descriptors.T
    products += directions[:, -2:-1] * brightness + _CONSTANT * directions[:, -1:]
    grouped = products[:-1].reshape(_DIRECTIONS, _GROUPS, -1)
    best, chosen = grouped[0].copy(), np.zeros(grouped.shape[1:], np.uint8)
    for number, product in enumerate(grouped[1:], 1):  # several times as fast as argmax over a short axis
        np.copyto(chosen, number, where=product > best)
        np.maximum(best, product, out=best)
    keys = np.zeros(len(descriptors), np.uint64)
    for choice in chosen:
        keys = keys << np.uint64(_GROUP_BITS) | choice
    rest = np.clip(products[-1] / (2 * _HALF_RANGE) + 0.5, 0, 1).astype(np.float64) * (2**_REST_BITS - 1)
    return keys << np.uint64(_REST_BITS) | rest.astype(np.uint64)
