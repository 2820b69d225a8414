"""Which images are used, and in which split: images that show the same picture stay together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from autonl_core.dataset_check.comparison import Comparison
from autonl_core.dataset_check.duplicate_checks import check_compared, check_duplicates
from autonl_core.dataset_check.duplicates import Duplicates, find_duplicates
from autonl_core.dataset_check.inspect import Images, Inspected
from autonl_core.dataset_check.leaks import Leak, find_leaks
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.items import Item, split_items
from autonl_core.datasets.layout import Layout
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import DuplicatesRule


class SplitImages(NamedTuple):
    """The images that are used, in groups that stay together; and the same in groups that show the same picture."""

    items: list[Item]
    by_picture: list[Item]


def split_images(
    layout: Layout,
    images: Images,
    found: Inspected,
    rule: DuplicatesRule,
    limits: Limits,
    work_dir: Path,
    report: DatasetReport,
) -> SplitImages:
    """The readable images with their splits and groups, without training images that show a test image's picture.

    Args:
        images: the ones that were opened, and `found` in them.
        rule: with "keep" all are used, and what they show does not bind the drawing of splits; both are reported.
        work_dir: an existing folder for files that the processes that compare images need.
    """
    readable = {found.names[row]: layout.images[found.names[row]] for row in found.readable}
    comparison = Comparison(images, found, limits, work_dir)
    try:
        duplicates = find_duplicates(found, comparison.same)
        numbers = _group_numbers(found, duplicates)
        drawn_by = {} if rule == "keep" else numbers
        items = split_items(replace(layout, images=readable), drawn_by)
        grouped = [replace(item, group=numbers.get(item.member)) for item in items]
        leaks = find_leaks(grouped, found, duplicates, comparison.likeness)
    finally:
        comparison.dismiss()
    check_duplicates(grouped, leaks, found, duplicates, report, keep=rule == "keep")
    check_compared(comparison.problems, report)
    used = items if rule == "keep" else _without(items, leaks)
    return SplitImages(used, [replace(item, group=drawn_by.get(item.member)) for item in used])


def _without(items: list[Item], leaks: list[Leak]) -> list[Item]:
    unused = {leak.item.member for leak in leaks}
    return [item for item in items if item.member not in unused]


def _group_numbers(images: Inspected, duplicates: Duplicates) -> Mapping[str, int]:
    """Groups of more than one readable image, numbered from 0: image name -> number."""
    rows = images.readable
    groups = duplicates.groups[rows].tolist()
    shared = (group for group, size in sorted(Counter(groups).items()) if size > 1)
    numbers = {group: number for number, group in enumerate(shared)}
    return {
        images.names[row]: numbers[group] for row, group in zip(rows.tolist(), groups, strict=True) if group in numbers
    }
