"""Findings about deep images: the range of values that is used for all of them, and the grey levels that it leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autonl_core.dataset_check.findings import Finding
from autonl_core.dataset_check.inspect import Inspected
from autonl_core.dataset_check.inspect_worker import ImageTrait
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.items import Item
from autonl_core.datasets.spec import GreyRange

FEW_LEVELS = 32  # of 256 that an image spans; with fewer, nearly all contrast is lost


def find_grey_range(images: Inspected, items: Sequence[Item]) -> GreyRange | None:
    """The range of deep training images, or, if none of those is deep, of all deep images; None if there are none."""
    rows = {name: row for row, name in enumerate(images.names)}
    for used in ([item for item in items if item.split == "train"], items):
        at = np.array([rows[item.member] for item in used], dtype=np.int64)
        if (found := images.grey_range(at, [item.label for item in used])) is not None:
            return found
    return None


def check_deep_images(
    images: Inspected, items: Sequence[Item], grey_range: GreyRange | None, report: DatasetReport
) -> None:
    """Report the range of deep images, and those that keep hardly any contrast in it."""
    deep, colour = images.deep, np.flatnonzero(images.traits & ImageTrait.DEEP_COLOUR.value)
    levels = _levels(images, grey_range)
    if len(deep):
        low, high = grey_range or (0.0, 0.0)  # without one, no image of a class is left
        Finding.DEEP.add_to(
            report,
            _names(images, deep),
            low=f"{low:,.12g}",
            high=f"{high:,.12g}",
            values=_distinct_values(images, deep, high - low),
            levels=int(np.median(levels[deep])),
        )
        _report_depth_by_class(images, items, report)
    if len(colour):
        Finding.DEEP_COLOUR.add_to(report, _names(images, colour))
    either = np.union1d(deep, colour)
    if len(either) and np.median(levels[either]) < FEW_LEVELS:
        faint = either[levels[either] < FEW_LEVELS]
        Finding.FEW_GREY_LEVELS.add_to(report, _names(images, faint), levels=int(np.median(levels[either])))


def _levels(images: Inspected, grey_range: GreyRange | None) -> NDArray[np.float64]:
    """(N,): how many of the 256 grey levels the pixels of each image span."""
    low, high = images.ranges.T
    levels = 1 + high - low
    if grey_range is not None:
        ends = (grey_range[0], grey_range[1])
        span = (np.clip(high, *ends) - np.clip(low, *ends)) / (ends[1] - ends[0])
        is_deep = images.traits & ImageTrait.DEEP.value != 0
        levels = np.where(is_deep, 1 + np.floor(255 * span), levels)
    return levels


def _distinct_values(images: Inspected, deep: NDArray[np.int64], span: float) -> str:
    """How many values the range has, if they are whole numbers."""
    whole = (images.ranges[deep] == np.floor(images.ranges[deep])).all()
    return f"{int(span) + 1:,} whole numbers" if whole and span >= 2 else "any number"


def _report_depth_by_class(images: Inspected, items: Sequence[Item], report: DatasetReport) -> None:
    """Where all images of some classes are deep and none of others, a network can learn the depth instead."""
    names = {images.names[row] for row in images.deep}
    by_class: dict[int, set[bool]] = {}
    for item in items:
        by_class.setdefault(item.label, set()).add(item.member in names)
    kinds = list(by_class.values())
    if {True} in kinds and {False} in kinds:
        Finding.DEPTH_BY_CLASS.add_to(report, count=0)


def _names(images: Inspected, rows: NDArray[np.int64]) -> list[str]:
    return [images.names[row] for row in rows.tolist()]
