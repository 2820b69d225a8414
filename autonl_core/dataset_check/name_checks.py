"""Findings from the names of files and folders, before any file is opened."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from autonl_core.dataset_check.findings import Finding
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.layout import Layout
from autonl_core.datasets.layouts.label_columns import ONE_HOT
from autonl_core.datasets.layouts.split_names import split_part
from autonl_core.datasets.names import (
    ARCHIVE_SUFFIXES,
    FOREIGN_IMAGE_SUFFIXES,
    is_image_name,
    is_left_behind,
    parts_of,
    suffix_of,
)
from autonl_core.wording.counts import counted

_SHOWN_NAMES = 10
_NO_CLASSES = "new folder|untitled folder|nouveau dossier|neuer ordner|copy|backup|te?mp|unsorted|images?|data|trash"
_SUSPICIOUS = re.compile(rf"(?:{_NO_CLASSES})[ _-]*\(?\d*\)?|.*(?:[ _-]copy|\(\d+\))|__.*", re.IGNORECASE)


def check_files(
    names: Iterable[str], images: Collection[str], label_files: Collection[str], report: DatasetReport
) -> None:
    """Count all files, and report those that are neither images nor files with their labels.

    `images` are those known to be images, some by their content; the names of others say so.
    """
    found: dict[Finding, list[str]] = {
        Finding.SYSTEM_FILES: [],
        Finding.NESTED_ARCHIVES: [],
        Finding.FOREIGN_IMAGES: [],
        Finding.NOT_IMAGES: [],
    }
    labels = frozenset(label_files)
    for name in sorted(names):
        report.files += 1
        if name not in images and name not in labels and (finding := _classify(name)) is not None:
            found[finding].append(name)
    for finding, files in found.items():
        if files:
            finding.add_to(report, files)


def _classify(name: str) -> Finding | None:
    """Why a file is not used; None for an image."""
    if is_left_behind(parts_of(name)):
        return Finding.SYSTEM_FILES
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        return Finding.NESTED_ARCHIVES
    if suffix_of(name) in FOREIGN_IMAGE_SUFFIXES:
        return Finding.FOREIGN_IMAGES
    return None if is_image_name(name) else Finding.NOT_IMAGES


def check_layout(layout: Layout, report: DatasetReport) -> None:
    """Report where images are, and what folders are called."""
    _report_how_it_was_read(layout, report)
    _report_splits(layout, report)
    _report_folders(layout, report)
    _report_suspicious_names(layout, report)
    _report_similar_names(layout, report)


def _report_how_it_was_read(layout: Layout, report: DatasetReport) -> None:
    if layout.chosen:
        Finding.LAYOUT_CHOSEN.add_to(report, count=0, layout=layout.chosen)
    if layout.wrapping:
        Finding.WRAPPING_FOLDER.add_to(report, count=0, folder=layout.wrapping)
    if layout.label_files:
        source, others = _label_source(layout)
        Finding.LABEL_FILES.add_to(report, layout.label_files, source=source, others=others)
    if layout.synsets:
        Finding.SYNSETS_NAMED.add_to(report, [layout.synsets])
    if layout.unfound:
        Finding.LABELS_WITHOUT_IMAGE.add_to(report, layout.unfound)
    if layout.unclear:
        Finding.LABELS_OF_SEVERAL_IMAGES.add_to(report, layout.unclear)
    if layout.several_labels:
        Finding.SEVERAL_LABELS.add_to(report, layout.several_labels)
    outside = [name for name in layout.outside if name not in set(layout.several_labels)]
    if outside and layout.label_files:
        Finding.IMAGES_WITHOUT_LABEL.add_to(report, outside)
    elif outside:
        Finding.OUTSIDE_CLASS_FOLDERS.add_to(report, outside)


def _label_source(layout: Layout) -> tuple[str, str]:
    """Where the classes come from, and which other columns could be meant, as a message says it."""
    files = " and ".join(layout.label_files[:_SHOWN_NAMES])
    if not layout.label_column:
        return "the text file of its name says", ""
    source = f"the column {layout.label_column!r} of {files} says"
    if layout.label_column == ONE_HOT:
        source = f"{files} says in {layout.label_column}"
    if not (others := layout.other_columns):
        return source, ""
    could = f"{counted(len(others), 'other column')} could be the class too: {', '.join(others[:_SHOWN_NAMES])}"
    return source, f". {could}; to use one of them, add the images under another name with that layout"


def _report_splits(layout: Layout, report: DatasetReport) -> None:
    if layout.validation:
        Finding.VALIDATION_JOINS_TRAINING.add_to(report, count=0, folders=_quoted(layout.validation))
    if layout.validation_is_test:
        Finding.VALIDATION_IS_TEST.add_to(report, count=0, folders=_quoted(layout.validation_is_test))
    if not layout.is_split:
        only = f"{layout.only_split!r} is the only split" if layout.only_split else "no split is given"
        Finding.TEST_SPLIT_DRAWN.add_to(report, count=0, source=only)


def _report_folders(layout: Layout, report: DatasetReport) -> None:
    folders = layout.folders
    for finding, names in (
        (Finding.EMPTY_CLASSES, folders.empty),
        (Finding.FOLDERS_WITHOUT_IMAGES, folders.documents),
        (Finding.HIDDEN_CLASSES, folders.hidden),
        (Finding.LINKS_NOT_FOLLOWED, layout.links_out),
        (Finding.FOLDERS_INSIDE_CLASSES, folders.inside),
        (Finding.SPLIT_INSIDE_CLASS, folders.split_inside),
    ):
        if names:
            finding.add_to(report, names)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _report_suspicious_names(layout: Layout, report: DatasetReport) -> None:
    names = [name for name in layout.classes if _SUSPICIOUS.fullmatch(name.strip()) or name != name.strip()]
    names += [name for name in layout.classes if split_part(name)]
    if names:
        Finding.SUSPICIOUS_CLASS_NAMES.add_to(report, names)


def _report_similar_names(layout: Layout, report: DatasetReport) -> None:
    by_plain_name: dict[str, list[str]] = {}
    for name in layout.classes:
        by_plain_name.setdefault(_plain(name), []).append(name)
    groups = [names for names in by_plain_name.values() if len(names) > 1]
    if groups:
        shown = "; ".join(" and ".join(ascii(name) for name in names) for names in groups[:_SHOWN_NAMES])
        Finding.SIMILAR_CLASS_NAMES.add_to(report, [name for names in groups for name in names], names=shown)


def _plain(name: str) -> str:
    """`name` without differences that are easy to overlook: case, spaces, hyphens, the encoding of accents."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())
