"""Training images that show the same picture as a test image: with them, a test would measure memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autonl_core.dataset_check.duplicates import Duplicates
from autonl_core.dataset_check.inspect import Inspected
from autonl_core.datasets.items import Item

_TRIED = 3  # test images of its group that a training image is compared with, the nearest ones

Rows = NDArray[np.int64]
Likeness = Callable[[Rows, Rows], NDArray[Any]]  # `same` and `distance` of pairs of rows


class Leak(NamedTuple):
    """A training image, and the test image that shows the same picture."""

    item: Item
    twin: Item
    kind: Literal["exact", "near"]
    distance: float  # root mean square difference of the pixels, in levels of 255


def find_leaks(items: Sequence[Item], images: Inspected, duplicates: Duplicates, likeness: Likeness) -> list[Leak]:
    """The leaks among `items`, in their order.

    An image that is linked to test images only through others is compared with the nearest of them: its own pixels
    decide.
    """
    rows = {name: row for row, name in enumerate(images.names)}
    tested: dict[int, list[Item]] = {}
    for item in items:
        if item.split == "test" and item.group is not None:
            tested.setdefault(item.group, []).append(item)
    suspects = [item for item in items if item.split == "train" and item.group in tested]
    found: dict[str, Leak] = {}
    near: dict[str, list[Item]] = {}
    for item in suspects:
        twins = tested[item.group or 0]
        own = duplicates.exact[rows[item.member]]
        copies = [twin for twin in twins if duplicates.exact[rows[twin.member]] == own]
        if copies:
            found[item.member] = Leak(item, copies[0], "exact", 0.0)
        else:
            near[item.member] = _nearest(item, twins, rows, images)
    for place in range(_TRIED):
        open_ = [item for item in suspects if item.member not in found and len(near[item.member]) > place]
        twins = [near[item.member][place] for item in open_]
        one, other = (np.array([rows[each.member] for each in some], dtype=np.int64) for some in (open_, twins))
        for item, twin, result in zip(open_, twins, likeness(one, other), strict=True):
            if result["same"]:
                found[item.member] = Leak(item, twin, "near", round(float(result["distance"]), 2))
    return [found[item.member] for item in suspects if item.member in found]


def _nearest(item: Item, twins: Sequence[Item], rows: dict[str, int], images: Inspected) -> list[Item]:
    """Those of `twins` whose descriptors are nearest to that of `item`."""
    others = np.array([rows[twin.member] for twin in twins])
    apart = np.square(images.descriptors[others] - images.descriptors[rows[item.member]]).sum(axis=1)
    return [twins[place] for place in np.argsort(apart, kind="stable")[:_TRIED]]
