"""Findings about mirroring: whether a mirrored training image still shows its class, by names and by comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autonl_core.dataset_check.findings import Finding
from autonl_core.dataset_check.inspect import Inspected
from autonl_core.dataset_check.mirror_test import MirrorTest, compare_with_mirrored
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.items import Item
from autonl_core.datasets.mirror_names import read_mirror_names
from autonl_core.wording.counts import counted

_SHOWN_PAIRS = 5


def check_mirroring(classes: Sequence[str], items: Sequence[Item], images: Inspected, report: DatasetReport) -> bool:
    """Report what mirroring would do to the classes; returns whether searches may mirror training images."""
    names = read_mirror_names(classes)
    if names.pairs:
        Finding.MIRRORED_CLASS_NAMES.add_to(report, count=0, pairs=_listed(classes, names.pairs))
        return False
    test = _compared(items, images)
    if test.is_harmful:
        Finding.MIRRORED_CLASSES.add_to(report, count=0, **_figures(classes, test))
        return False
    if names.glyphs is not None and test.needs_orientation:
        Finding.MIRRORED_GLYPHS.add_to(report, count=0, glyphs=names.glyphs, **_recognised(test))
        return False
    if test.is_doubtful:
        Finding.MIRRORING_DOUBTFUL.add_to(report, count=0, **_figures(classes, test))
    elif names.glyphs == "letters":
        Finding.MIRRORING_OF_LETTERS.add_to(report, count=0)
    return True


def _compared(items: Sequence[Item], images: Inspected) -> MirrorTest:
    """The training images, one of every picture, compared with their mirror images."""
    place = {name: row for row, name in enumerate(images.names)}
    seen: set[int] = set()
    rows, labels = [], []
    for item in items:  # in the order of names
        if item.split == "train" and item.group not in seen:
            if item.group is not None:
                seen.add(item.group)
            rows.append(place[item.member])
            labels.append(item.label)
    return compare_with_mirrored(images.descriptors[rows], np.array(labels, np.int64))


def _figures(classes: Sequence[str], test: MirrorTest) -> dict[str, str]:
    """What the sentences about a comparison are filled with."""
    total = test.total
    pairs = [(pair.one, pair.other) for pair in test.pairs if pair.wrong > pair.right]
    return {
        "wrong": f"{total.wrong:,}",
        "right": f"{total.right:,}",
        "images": counted(total.images, "image"),
        "pairs": _listed(classes, pairs),
    }


def _recognised(test: MirrorTest) -> dict[str, str]:
    return {
        "mirrored": f"{test.recognised_mirrored:,}",
        "recognised": f"{test.recognised:,}",
        "images": counted(test.total.images, "image"),
    }


def _listed(classes: Sequence[str], pairs: Sequence[tuple[int, int]]) -> str:
    shown = "; ".join(f"{classes[one]!r} and {classes[other]!r}" for one, other in pairs[:_SHOWN_PAIRS])
    more = len(pairs) - _SHOWN_PAIRS
    return f"{shown}; and {counted(more, 'more pair')}" if more > 0 else shown
