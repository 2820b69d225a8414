"""Findings about images that belong together, such as those of one patient: whether the splits keep them so."""

from __future__ import annotations

from collections.abc import Iterable

from autonl_core.dataset_check.findings import Finding
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.items import Item
from autonl_core.datasets.layout import Layout
from autonl_core.datasets.layouts.groupings import Grouping

_GIVEN = "move all images of one value into the same split"
_DRAWN = (
    "the test split was drawn image by image, because some class would get too few or too many test images otherwise. "
    "To keep them apart, divide the images yourself: into folders train/ and test/, or by a column named split"
)


def check_groups(items: Iterable[Item], layout: Layout, report: DatasetReport) -> None:
    """Report the columns whose values are in both splits, up to the first that the drawing of the split has kept."""
    items = list(items)
    for grouping in layout.groupings:
        train, test = (_values(items, grouping, split) for split in ("train", "test"))
        if shared := train & test:
            Finding.GROUPS_ACROSS_SPLITS.add_to(
                report,
                [item.member for item in items if item.split == "test" and grouping.values.get(item.member) in shared],
                column=grouping.column,
                file=" and ".join(grouping.files),
                shared=f"{len(shared):,}",
                total=f"{len(train | test):,}",
                first=min(shared),
                way_out=_GIVEN if layout.is_split else _DRAWN,
            )
        elif test and not layout.is_split:
            Finding.TEST_SPLIT_BY_GROUP.add_to(
                report, count=0, column=grouping.column, file=" and ".join(grouping.files)
            )
            return


def _values(items: Iterable[Item], grouping: Grouping, split: str) -> set[str]:
    return {value for item in items if item.split == split and (value := grouping.values.get(item.member)) is not None}
