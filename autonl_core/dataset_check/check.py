"""The check of a data set before it can be used: everything that is wrong with it, at once, and how its images split.

Every image is decoded once. What shows the same picture stays in one split: where folders say the splits, a training
image that duplicates a test image is left out; where they do not, the draw keeps such images together.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autonl_core.dataset_check.contact_sheets import write_sheets
from autonl_core.dataset_check.duplicates import STRICTNESS, Duplicates, find_duplicates
from autonl_core.dataset_check.inspect import Inspected, Oddity, inspect
from autonl_core.dataset_check.name_checks import check_classes, check_files, check_layout
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.file_source import FileSource, Kind, kind_of, open_source
from autonl_core.datasets.layout import Layout, read_layout
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.manifest import manifest_fingerprint, write_manifest
from autonl_core.datasets.spec import DatasetSpec, Item, content_fingerprint, split_items
from autonl_core.errors import DatasetError

LONG_SIDES = 4  # times the shorter side, above which an image counts as extreme
EXTREME_SIZE = 8  # times larger or smaller than usual
_TINY_PX = 8
_READING_SHARE = 0.85  # of the time of a check

_ODDITIES = (
    (Oddity.ANIMATED, "warning", "animated", "animated images or pages: only the first frame is used; split them"),
    (Oddity.CMYK, "info", "cmyk", "images in print colours (CMYK) are converted to RGB without a colour profile"),
    (Oddity.DEEP, "info", "deep", "images of more than 8 bits per channel are scaled down to 8 bits"),
    (Oddity.ALPHA, "info", "alpha", "transparent images are laid on white"),
    (Oddity.ROTATED, "info", "exif_rotation", "photos that their EXIF data turns or mirrors are turned upright"),
)  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """What a check found. Without a `spec` the data set cannot be used, and the report says why."""

    report: DatasetReport
    spec: DatasetSpec | None = None
    manifest: Path | None = None
    sheets: tuple[Path, ...] = ()  # a contact sheet of each class, in order


def check_dataset(
    name: str,
    path: Path,
    work_dir: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    within: Sequence[Path] = (),
    on_progress: Callable[[float], None] = lambda share: None,
) -> Checked:
    """Check the folder or archive at `path`; manifest and contact sheets are written into `work_dir`.

    Wrong data never raises: it is reported. `within`: where links in a folder may lead, if not ().
    """
    began = time.monotonic()
    report = DatasetReport()
    kind = kind_of(path)
    try:
        with open_source(path, limits, within=tuple(within)) as files:
            checked = _check(name, path, kind, files, work_dir, limits, report, on_progress)
    except DatasetError as error:
        report.add("error", f"{kind}_refused", str(error))
        checked = Checked(report)
    except OSError as error:
        told = f"{error.filename or path} cannot be read: {error.strerror or error}"
        report.add("error", f"{kind}_refused", told)
        checked = Checked(report)
    report.seconds = round(time.monotonic() - began, 2)
    return checked


def _check(
    name: str,
    path: Path,
    kind: Kind,
    files: FileSource,
    work_dir: Path,
    limits: Limits,
    report: DatasetReport,
    on_progress: Callable[[float], None],
) -> Checked:
    check_files(files.marks, report)
    try:
        layout = read_layout(files.marks, path.name, limits)
    except DatasetError as error:
        report.add("error", "no_class_folders", str(error))
        return Checked(report)
    check_layout(layout, report)
    images = inspect(files, list(layout.images), limits, lambda share: on_progress(share * _READING_SHARE))
    _report_images(images, report)
    duplicates = find_duplicates(images)
    items = _split(layout, images, duplicates, report)
    used = Counter(item.label for item in items)
    given = Counter(label for _, label in layout.images.values())
    check_classes(layout, items, given - used, report)
    on_progress(0.95)
    if report.has_errors:
        return Checked(report)
    content = content_fingerprint(files)
    rows = ((item.split, item.label, item.member, item.group) for item in items)
    manifest = write_manifest(work_dir, content, layout.classes, rows)
    sheets = write_sheets(files, layout.classes, items, work_dir, limits)
    report.sheets = len(sheets)
    splits = Counter(item.split for item in items)
    spec = DatasetSpec(
        name=name,
        kind=kind,
        location=str(path),
        classes=layout.classes,
        image_size=int(np.median(images.sizes[images.readable].max(axis=1))),
        train_images=splits["train"],
        test_images=splits["test"],
        fingerprint=manifest_fingerprint(manifest),
        manifest=str(manifest),
    )
    return Checked(report, spec, manifest, tuple(sheets))


def _split(layout: Layout, images: Inspected, duplicates: Duplicates, report: DatasetReport) -> list[Item]:
    """The readable images with their splits and groups, without training images that duplicate test images."""
    rows = images.readable
    readable = replace(layout, images={images.names[row]: layout.images[images.names[row]] for row in rows})
    sizes = Counter(duplicates.groups[rows].tolist())
    numbers = {group: number for number, group in enumerate(g for g, size in sorted(sizes.items()) if size > 1)}
    groups = {
        images.names[row]: numbers[group]
        for row, group in zip(rows.tolist(), duplicates.groups[rows].tolist(), strict=True)
        if group in numbers
    }
    items = split_items(readable, groups)
    tested = {item.group for item in items if item.split == "test"} - {None}
    leaks = [item for item in items if item.split == "train" and item.group in tested]
    _report_duplicates(items, leaks, images, duplicates, report)
    lost = {item.member for item in leaks}
    return [item for item in items if item.member not in lost]


def _report_duplicates(
    items: Sequence[Item], leaks: Sequence[Item], images: Inspected, duplicates: Duplicates, report: DatasetReport
) -> None:
    by_group: dict[int, list[Item]] = {}
    for item in items:
        if item.group is not None:
            by_group.setdefault(item.group, []).append(item)
    row_of = {name: row for row, name in enumerate(images.names)}
    copies = Counter(duplicates.exact[images.readable].tolist())
    equal = {
        item.member for group in by_group.values() for item in group if copies[_exact(duplicates, row_of, item)] > 1
    }
    report.duplicates = {
        "groups": len(by_group),
        "exact": sum(size - 1 for size in copies.values()),
        "near": sum(len({_exact(duplicates, row_of, item) for item in group}) - 1 for group in by_group.values()),
        "left_out": len(leaks),
    }
    same = [item.member for group in by_group.values() for item in group if item.member in equal]
    near = [item.member for group in by_group.values() for item in group if item.member not in equal]
    if leaks:
        told = (
            "training images that show the same picture as a test image; left out of training, or the test would be "
            "of what was learned by heart. Remove them from one of the splits. The first: "
            f"{leaks[0].member} shows what {_tested_twin(by_group, leaks[0])} does"
        )
        report.add("warning", "duplicates_across_splits", told, [item.member for item in leaks])
    mixed = [group for group in by_group.values() if len({item.label for item in group}) > 1]
    if mixed:
        told = "the same picture in folders of different classes: one of them is wrong; decide for one"
        report.add("warning", "duplicates_in_several_classes", told, [i.member for group in mixed for i in group])
    if same:
        told = "files with the same bytes as another one; they stay in one split, and count double in training"
        report.add("warning", "exact_duplicates", told, same)
    if near:
        told = "pictures that look the same as another one (compressed, resized or cut anew); they stay in one split"
        report.add("info", "near_duplicates", told, near)
    if duplicates.distance < STRICTNESS[0]:
        told = (
            "very many images are much alike, as frames of a film or scanned digits are: only those that are alike in "
            f"every detail (distance {duplicates.distance:g}) were taken for the same picture"
        )
        report.add("info", "images_alike", told, count=0)


def _tested_twin(by_group: dict[int, list[Item]], leak: Item) -> str:
    assert leak.group is not None
    return next(item.member for item in by_group[leak.group] if item.split == "test")


def _exact(duplicates: Duplicates, row_of: dict[str, int], item: Item) -> int:
    return int(duplicates.exact[row_of[item.member]])


def _report_images(images: Inspected, report: DatasetReport) -> None:
    """What is unusual about images, and how large they are."""
    if images.problems:
        first = next(iter(images.problems))
        told = (
            "files that cannot be read as images; left out. Save them anew, or remove them. "
            f"The first: {images.names[first]}: {images.problems[first]}"
        )
        report.add("warning", "unreadable_images", told, [images.names[row] for row in images.problems])
    for oddity, severity, code, told in _ODDITIES:
        odd = np.flatnonzero(images.oddities & oddity.value).tolist()
        if odd:
            report.add("warning" if severity == "warning" else "info", code, told, [images.names[row] for row in odd])
    report.formats = dict(sorted(images.formats.items()))
    rows = images.readable
    if not len(rows):
        return
    sizes = images.sizes[rows]  # (N, 2)
    low, middle, high = sizes.min(axis=0), np.median(sizes, axis=0), sizes.max(axis=0)
    report.sizes = {
        name: {"min": int(low[side]), "median": float(middle[side]), "max": int(high[side])}
        for side, name in enumerate(("width", "height"))
    }
    shorter, longer = sizes.min(axis=1), sizes.max(axis=1)
    usual = float(np.median(longer))
    extreme = (shorter < _TINY_PX) & (usual > _TINY_PX) | (longer > EXTREME_SIZE * usual)
    extreme |= longer * EXTREME_SIZE < usual
    if extreme.any():
        told = f"images far larger or smaller than usual, which is {usual:g} pixels; look whether they belong there"
        report.add("warning", "extreme_sizes", told, [images.names[row] for row in rows[extreme]])
    long = longer > LONG_SIDES * shorter
    if long.any():
        told = f"images more than {LONG_SIDES} times as long as wide: a network sees only the square in their middle"
        report.add("warning", "extreme_aspect_ratios", told, [images.names[row] for row in rows[long]])
