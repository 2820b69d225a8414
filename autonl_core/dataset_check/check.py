"""The check that a dataset must pass before it is used: reports all problems at once and fixes the splits.

Images that show the same picture stay in one split: where folders define the splits, a training image that duplicates
a test image is not used; where they do not, such images are drawn together.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autonl_core.dataset_check.class_checks import check_classes
from autonl_core.dataset_check.contact_sheets import write_sheets
from autonl_core.dataset_check.deep_checks import check_deep_images, find_grey_range
from autonl_core.dataset_check.findings import Finding
from autonl_core.dataset_check.group_checks import check_groups
from autonl_core.dataset_check.image_checks import check_images
from autonl_core.dataset_check.inspect import Images, OnListed, inspect
from autonl_core.dataset_check.inspectors import Inspectors
from autonl_core.dataset_check.mirror_checks import check_mirroring
from autonl_core.dataset_check.name_checks import check_files, check_layout
from autonl_core.dataset_check.splitting import split_images
from autonl_core.datasets.check_report import SHOWN_CLASSES, DatasetReport
from autonl_core.datasets.data_source import FileSource, MarksByStorage
from autonl_core.datasets.items import Item
from autonl_core.datasets.layout import Layout, open_layout
from autonl_core.datasets.layouts.grammar import AUTO
from autonl_core.datasets.layouts.image_tables import may_have_labels
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.manifest import manifest_fingerprint, write_manifest
from autonl_core.datasets.place_words import in_user_words, shown_as
from autonl_core.datasets.scan import content_fingerprint, state_fingerprint
from autonl_core.datasets.sources import UPLOAD_SOURCE, open_source, require_source
from autonl_core.datasets.spec import DatasetSpec, DuplicatesRule, GreyRange
from autonl_core.errors import AmbiguousLayout, DatasetError, LayoutReading

_READING_SHARE = 0.85  # of the duration of a check
_SHEETS_SHARE = 0.95  # done when contact sheets are begun

OnProgress = Callable[[float], None]


@dataclass(frozen=True)
class Checked:
    """The result of a check. Without a `spec` the dataset cannot be used, and the report says why."""

    report: DatasetReport
    spec: DatasetSpec | None = None
    manifest: Path | None = None
    sheets: tuple[Path, ...] = ()  # contact sheets, by label


@dataclass(frozen=True)
class _Usable:
    """A dataset without errors: its classes, its images, and their usual size in pixels."""

    classes: tuple[str, ...]
    items: list[Item]
    image_size: int
    content: str  # a fingerprint of the files, equal for equal files
    stored: str  # changes with the files, where `content` would have to read them; else empty
    tables: tuple[str, ...]  # that decided about classes or splits
    horizontal_flip: bool  # whether a mirrored image still shows its class
    grey_range: GreyRange | None


@dataclass(frozen=True)
class _Place:
    """The data source that is checked, how it is read, and the folders that its check writes to."""

    kind: str
    path: Path
    layout: str
    duplicates: DuplicatesRule
    work_dir: Path
    saved_dir: Path | None
    inspectors: Inspectors
    shown: str  # what messages call the source


def check_dataset(
    name: str,
    path: Path,
    work_dir: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    within: Sequence[Path] = (),
    layout: str = AUTO,
    duplicates: DuplicatesRule = "leave-out",
    saved_dir: Path | None = None,
    on_progress: OnProgress = lambda share: None,
    on_listed: OnListed = lambda images, content_bytes: None,
) -> Checked:
    """Check the data source at `path`; write the manifest and contact sheets into the folder `work_dir`.

    Never raises for bad data, but reports it.

    Args:
        within: folders that links may lead into; anywhere if there are none.
        layout: how its folders or label files are read, if that is not to be recognised.
        duplicates: whether images of one picture stay in one split; with "keep" they are only reported.
        saved_dir: where it is saved what was found in the images opened so far, for another attempt at the same check.
        on_listed: called with the number of images, and their bytes in all, before they are opened.
    """
    began = time.monotonic()
    checked = Checked(report := DatasetReport())
    inspectors = Inspectors()  # before the files are listed, which takes about as long as the start of a process
    kind = UPLOAD_SOURCE  # what a path without a known source is reported as
    try:
        kind = require_source(path).name
        with open_source(path, limits, kind=kind, within=tuple(within)) as files:
            place = _Place(kind, path, layout, duplicates, work_dir, saved_dir, inspectors, shown_as(name, path))
            usable = _find_problems(files, place, limits, report, on_progress, on_listed)
            if usable is not None:
                checked = _write_results(files, usable, _spec(name, place, usable), work_dir, limits, report)
    except (DatasetError, OSError) as error:
        reason = _unreadable(error, path) if isinstance(error, OSError) else str(error)
        report.add("error", f"{kind}_refused", in_user_words(reason, name, path))
    report.seconds = round(time.monotonic() - began, 2)
    return checked


def _unreadable(error: OSError, path: Path) -> str:
    return f"{error.filename or path} cannot be read: {error.strerror or error}"


def _spec(name: str, place: _Place, usable: _Usable) -> DatasetSpec:
    """What is known of a usable dataset before its images are counted."""
    spec = DatasetSpec(name, place.kind, str(place.path), usable.classes, usable.image_size, 0, 0, "")
    return replace(
        spec, layout=place.layout, duplicates=place.duplicates, grey_range=usable.grey_range, stored=usable.stored
    )


def _find_problems(
    files: FileSource,
    place: _Place,
    limits: Limits,
    report: DatasetReport,
    on_progress: OnProgress,
    on_listed: OnListed,
) -> _Usable | None:
    """Fill the report; None if it has errors."""
    if (layout := _read_layout(files, place, limits, report)) is None:
        return None
    state = state_fingerprint(files, layout.tables)
    listed = Images(place.kind, place.path, list(layout.images), state, files)
    images = inspect(
        listed,
        limits,
        place.work_dir,
        saved_dir=place.saved_dir,
        inspectors=place.inspectors,
        on_progress=lambda share: on_progress(share * _READING_SHARE),
        on_listed=on_listed,
    )
    check_images(images, report)
    items, by_picture = split_images(layout, listed, images, place.duplicates, limits, place.work_dir, report)
    check_groups(items, layout, report)
    grey_range = find_grey_range(images, items)
    check_deep_images(images, items, grey_range, report)
    used = Counter(item.label for item in items)
    given = Counter(label for _, label in layout.images.values())
    check_classes(layout, items, given - used, report)
    on_progress(_SHEETS_SHARE)
    if report.has_errors:
        return None
    usual_size = int(np.median(images.sizes[images.readable].max(axis=1)))
    may_mirror = check_mirroring(layout.classes, by_picture, images, report)
    stored, content = "", state
    if isinstance(files, MarksByStorage):
        stored, content = state, content_fingerprint(files, layout.tables, images.content_marks())
    return _Usable(layout.classes, items, usual_size, content, stored, layout.tables, may_mirror, grey_range)


def _read_layout(files: FileSource, place: _Place, limits: Limits, report: DatasetReport) -> Layout | None:
    """What the folders and label files say, and findings about all names; None if it cannot be said."""
    try:
        layout = open_layout(files, place.shown, limits, place.layout)
    except DatasetError as error:
        check_files(files.marks, (), [name for name in files.marks if may_have_labels(name)], report)
        if isinstance(error, AmbiguousLayout):
            Finding.LAYOUT_AMBIGUOUS.add_to(report, reason=error)
            report.readings = [_as_shown(reading) for reading in error.readings]
        elif place.layout != AUTO:
            Finding.LAYOUT_REFUSED.add_to(report, reason=error)
        else:
            Finding.NO_CLASS_FOLDERS.add_to(report, reason=error)
        return None
    check_files(files.marks, layout.images.keys() | layout.outside, layout.tables, report)
    check_layout(layout, report)
    return layout


def _as_shown(reading: LayoutReading) -> dict[str, Any]:
    classes = [{"name": name, "images": reading.images[name]} for name in sorted(reading.images)[:SHOWN_CLASSES]]
    return {"layout": reading.layout, "detail": reading.in_words(), "classes": classes}


def _write_results(
    files: FileSource, usable: _Usable, spec: DatasetSpec, work_dir: Path, limits: Limits, report: DatasetReport
) -> Checked:
    """Write manifest and contact sheets, and complete `spec` with what they contain."""
    items = usable.items
    rows = ((item.split, item.label, item.member, item.group) for item in items)
    manifest = write_manifest(work_dir, usable.content, spec.classes, rows, usable.tables)
    sheets = write_sheets(files, spec.classes, items, work_dir, limits, spec.grey_range)
    report.sheets = len(sheets)
    splits = Counter(item.split for item in items)
    complete = replace(
        spec,
        horizontal_flip=usable.horizontal_flip,
        train_images=splits["train"],
        test_images=splits["test"],
        fingerprint=manifest_fingerprint(manifest),
        manifest=str(manifest),
    )
    return Checked(report, complete, manifest, tuple(sheets))
