"""Findings about single images: unreadable or unusual ones, and extreme sizes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autonl_core.dataset_check.findings import LONG_SIDES, Finding
from autonl_core.dataset_check.inspect import Inspected
from autonl_core.dataset_check.inspect_worker import ImageTrait
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.wording.counts import counted

EXTREME_SIZE = 8  # times larger or smaller than usual
_TINY_PX = 8
_SHOWN_REASONS = 5

_TRAITS = (
    (ImageTrait.ANIMATED, Finding.ANIMATED),
    (ImageTrait.CMYK, Finding.CMYK),
    (ImageTrait.ALPHA, Finding.ALPHA),
    (ImageTrait.ROTATED, Finding.EXIF_ROTATION),
    (ImageTrait.DAMAGED_METADATA, Finding.DAMAGED_METADATA),
)


def check_images(images: Inspected, report: DatasetReport) -> None:
    """Report unreadable and unusual images, and fill in the statistics of formats and sizes."""
    _report_unreadable(images, report)
    _report_traits(images, report)
    report.formats = dict(sorted(images.formats.items()))
    rows = images.readable
    if not len(rows):
        return
    sizes = images.sizes[rows]  # (N, 2)
    report.sizes = _size_statistics(sizes)
    _report_extreme_sizes(images, rows, sizes, report)
    _report_extreme_ratios(images, rows, sizes, report)


def _report_unreadable(images: Inspected, report: DatasetReport) -> None:
    if images.problems:
        names = [images.names[row] for row in images.problems]
        Finding.UNREADABLE_IMAGES.add_to(report, names, reasons=_reasons(images))


def _reasons(images: Inspected) -> str:
    """Every reason once, the most frequent first, with the number of its files and the first of them."""
    by_reason: dict[str, list[str]] = {}
    for row, problem in images.problems.items():
        by_reason.setdefault(problem, []).append(images.names[row])
    ordered = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))
    shown = [
        f"{names[0]}: {problem}" if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more: {problem}"
        for problem, names in ordered[:_SHOWN_REASONS]
    ]
    more = len(ordered) - _SHOWN_REASONS
    return "; ".join([*shown, f"and {counted(more, 'other reason')}"] if more > 0 else shown)


def _report_traits(images: Inspected, report: DatasetReport) -> None:
    for trait, finding in _TRAITS:
        rows = np.flatnonzero(images.traits & trait.value)
        if len(rows):
            finding.add_to(report, _names(images, rows))


def _size_statistics(sizes: NDArray[np.int32]) -> dict[str, dict[str, float]]:
    """Of width and height, in pixels. `sizes`: (N, 2)."""
    low, middle, high = sizes.min(axis=0), np.median(sizes, axis=0), sizes.max(axis=0)
    return {
        name: {"min": int(low[side]), "median": float(middle[side]), "max": int(high[side])}
        for side, name in enumerate(("width", "height"))
    }


def _report_extreme_sizes(
    images: Inspected, rows: NDArray[np.int64], sizes: NDArray[np.int32], report: DatasetReport
) -> None:
    shorter, longer = sizes.min(axis=1), sizes.max(axis=1)
    usual = float(np.median(longer))
    extreme = (shorter < _TINY_PX) & (usual > _TINY_PX) | (longer > EXTREME_SIZE * usual)
    extreme |= longer * EXTREME_SIZE < usual
    if extreme.any():
        Finding.EXTREME_SIZES.add_to(report, _names(images, rows[extreme]), usual=usual)


def _report_extreme_ratios(
    images: Inspected, rows: NDArray[np.int64], sizes: NDArray[np.int32], report: DatasetReport
) -> None:
    long = sizes.max(axis=1) > LONG_SIDES * sizes.min(axis=1)
    if long.any():
        Finding.EXTREME_ASPECT_RATIOS.add_to(report, _names(images, rows[long]))


def _names(images: Inspected, rows: NDArray[np.int64]) -> list[str]:
    return [images.names[row] for row in rows.tolist()]
