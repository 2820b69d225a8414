"""Findings about the number of usable images in each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autonl_core.dataset_check.findings import FEW_TRAINING_IMAGES, Finding
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.items import MIN_IMAGES, NEEDED_PER_CLASS, ClassCount, Item, count_by_class
from autonl_core.datasets.layout import Layout, Split

IMBALANCE_RATIO = 10  # of the largest class to the smallest

_SPLIT_PAIRS: tuple[tuple[Split, Split], ...] = (("train", "test"), ("test", "train"))


def check_classes(layout: Layout, items: Sequence[Item], unused: Mapping[int, int], report: DatasetReport) -> None:
    """Count the usable images and report classes with few; `unused` counts those not used, for any reason, by label."""
    counts = count_by_class(layout.classes, items)
    report.images = len(items)
    report.classes = [count.to_json() for count in counts]
    _report_differing_splits(layout, report)
    _report_too_small(counts, unused, report)
    _report_few_images(counts, report)
    _report_imbalance(counts, report)


def _report_differing_splits(layout: Layout, report: DatasetReport) -> None:
    if not layout.is_split:
        return
    given = {(split, label) for split, label in layout.images.values()}
    for split, other in _SPLIT_PAIRS:
        only_here = [
            name for label, name in enumerate(layout.classes) if (split, label) in given and (other, label) not in given
        ]
        if only_here:
            Finding.CLASS_SETS_DIFFER.add_to(report, only_here, split=split, other=other)


def _report_too_small(counts: Sequence[ClassCount], unused: Mapping[int, int], report: DatasetReport) -> None:
    short = [
        f"{count.name} ({count.train} training, {count.test} test{_unused_note(unused.get(count.label, 0))})"
        for count in counts
        if count.missing_splits()
    ]
    if short:
        Finding.CLASS_TOO_SMALL.add_to(report, short, needed=NEEDED_PER_CLASS)


def _unused_note(unused: int) -> str:
    return f", {unused} left out" if unused else ""


def _report_few_images(counts: Sequence[ClassCount], report: DatasetReport) -> None:
    few = [
        f"{count.name} ({count.train} training)"
        for count in counts
        if MIN_IMAGES["train"] <= count.train < FEW_TRAINING_IMAGES
    ]
    if few:
        Finding.FEW_IMAGES.add_to(report, few)


def _report_imbalance(counts: Sequence[ClassCount], report: DatasetReport) -> None:
    sizes = [count.train for count in counts]
    if min(sizes) and max(sizes) >= IMBALANCE_RATIO * min(sizes):
        Finding.IMBALANCE.add_to(report, count=0, largest=max(sizes), smallest=min(sizes))
