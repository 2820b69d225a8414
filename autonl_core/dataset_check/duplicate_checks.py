"""Findings about images that show the same picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autonl_core.dataset_check.candidates import STRICTNESS
from autonl_core.dataset_check.duplicates import Duplicates
from autonl_core.dataset_check.findings import Finding
from autonl_core.dataset_check.inspect import Inspected
from autonl_core.dataset_check.leaks import Leak
from autonl_core.datasets.check_report import SHOWN_PAIRS, DatasetReport, SamePicture
from autonl_core.datasets.items import Item

Groups = Sequence[Sequence[Item]]  # the items of every group, in the order of their first ones


@dataclass(frozen=True)
class _Contents:
    """Which files have the same bytes: they have the same content number."""

    by_member: dict[str, int]
    copies: Counter[int]  # readable files of each content

    def of(self, item: Item) -> int:
        return self.by_member[item.member]

    def is_copied(self, item: Item) -> bool:
        return self.copies[self.of(item)] > 1


def check_duplicates(
    items: Sequence[Item],
    leaks: Sequence[Leak],
    images: Inspected,
    duplicates: Duplicates,
    report: DatasetReport,
    *,
    keep: bool = False,
) -> None:
    """Report duplicates among `items`. `leaks`: training images that show the same picture as a test image.

    Args:
        keep: they are used for training all the same, and splits do not depend on what images show.
    """
    groups = _grouped(items)
    contents = _Contents(
        dict(zip(images.names, duplicates.exact.tolist(), strict=True)),
        Counter(duplicates.exact[images.readable].tolist()),
    )
    report.duplicates = {
        "groups": len(groups),
        "exact": sum(size - 1 for size in contents.copies.values()),
        "near": sum(len({contents.of(item) for item in group}) - 1 for group in groups),
        "across_splits": len(leaks),
        "left_out": 0 if keep else len(leaks),
    }
    report.pairs = [
        SamePicture(leak.item.member, leak.twin.member, leak.kind, leak.distance) for leak in leaks[:SHOWN_PAIRS]
    ]
    _report_leaks(leaks, Finding.DUPLICATES_KEPT if keep else Finding.DUPLICATES_ACROSS_SPLITS, report)
    _report_several_classes(groups, report)
    _report_copies(groups, contents, "may be in different splits" if keep else "stay in one split", report)
    _report_alike(duplicates, report)


def check_compared(problems: Sequence[tuple[str, str, str]], report: DatasetReport) -> None:
    """Report pairs of images that could not be compared, and why."""
    if problems:
        first, second, problem = problems[0]
        names = sorted({name for pair in problems for name in pair[:2]})
        Finding.NOT_COMPARED.add_to(report, names, first=first, second=second, problem=problem)


def _grouped(items: Sequence[Item]) -> Groups:
    by_group: dict[int, list[Item]] = {}
    for item in items:
        if item.group is not None:
            by_group.setdefault(item.group, []).append(item)
    return list(by_group.values())


def _report_leaks(leaks: Sequence[Leak], finding: Finding, report: DatasetReport) -> None:
    if leaks:
        first = leaks[0]
        names = [leak.item.member for leak in leaks]
        finding.add_to(report, names, train=first.item.member, test=first.twin.member, distance=first.distance)


def _report_several_classes(groups: Groups, report: DatasetReport) -> None:
    mixed = [group for group in groups if len({item.label for item in group}) > 1]
    if mixed:
        Finding.DUPLICATES_IN_SEVERAL_CLASSES.add_to(report, [item.member for group in mixed for item in group])


def _report_copies(groups: Groups, contents: _Contents, effect: str, report: DatasetReport) -> None:
    exact = [item.member for group in groups for item in group if contents.is_copied(item)]
    near = [item.member for group in groups for item in group if not contents.is_copied(item)]
    if exact:
        Finding.EXACT_DUPLICATES.add_to(report, exact, effect=effect)
    if near:
        Finding.NEAR_DUPLICATES.add_to(report, near, effect=effect)


def _report_alike(duplicates: Duplicates, report: DatasetReport) -> None:
    if duplicates.distance < STRICTNESS[0]:
        Finding.IMAGES_ALIKE.add_to(report, count=0)
