"""Findings from the names of files and folders, before any file is opened."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from autonl_core.dataset_check.findings import Finding
from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.layout import SPLIT_FOLDERS, Layout, is_hidden, is_image_name, parts_of

_SHOWN_NAMES = 10
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
_NO_CLASSES = "new folder|untitled folder|nouveau dossier|neuer ordner|copy|backup|te?mp|unsorted|images?|data|trash"
_SUSPICIOUS = re.compile(rf"(?:{_NO_CLASSES})[ _-]*\(?\d*\)?|.*(?:[ _-]copy|\(\d+\))|__.*", re.IGNORECASE)


def check_files(names: Iterable[str], report: DatasetReport) -> None:
    """Count all files, and report those that are not images."""
    found: dict[Finding, list[str]] = {
        Finding.SYSTEM_FILES: [],
        Finding.NESTED_ARCHIVES: [],
        Finding.NOT_IMAGES: [],
    }
    for name in sorted(names):
        report.files += 1
        finding = _classify(name)
        if finding is not None:
            found[finding].append(name)
    for finding, files in found.items():
        if files:
            finding.add_to(report, files)


def _classify(name: str) -> Finding | None:
    """Why a file is not used; None for an image."""
    parts = parts_of(name)
    if is_hidden(parts) or (parts and parts[-1].lower() in _SYSTEM_FILES):
        return Finding.SYSTEM_FILES
    if name.lower().endswith(_ARCHIVES):
        return Finding.NESTED_ARCHIVES
    return None if is_image_name(name) else Finding.NOT_IMAGES


def check_layout(layout: Layout, report: DatasetReport) -> None:
    """Report where images are, and what folders are called."""
    _report_wrapping(layout, report)
    _report_validation(layout, report)
    _report_outside(layout, report)
    _report_suspicious_names(layout, report)
    _report_similar_names(layout, report)
    _report_splits_inside(layout, report)


def _report_wrapping(layout: Layout, report: DatasetReport) -> None:
    if layout.wrapping:
        Finding.WRAPPING_FOLDER.add_to(report, count=0, folder=layout.wrapping)


def _report_validation(layout: Layout, report: DatasetReport) -> None:
    if layout.validation:
        folders = ", ".join(repr(name) for name in layout.validation)
        Finding.VALIDATION_JOINS_TRAINING.add_to(report, count=0, folders=folders)


def _report_outside(layout: Layout, report: DatasetReport) -> None:
    if layout.outside:
        Finding.OUTSIDE_CLASS_FOLDERS.add_to(report, layout.outside)


def _report_suspicious_names(layout: Layout, report: DatasetReport) -> None:
    names = [name for name in layout.classes if _SUSPICIOUS.fullmatch(name.strip()) or name != name.strip()]
    names += [name for name in layout.classes if name.lower() in SPLIT_FOLDERS]
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


def _report_splits_inside(layout: Layout, report: DatasetReport) -> None:
    inside = [name for name in layout.images if _is_in_split_inside_class(name, layout)]
    if inside:
        Finding.SPLIT_INSIDE_CLASS.add_to(report, inside)


def _plain(name: str) -> str:
    """`name` without differences that are easy to overlook: case, spaces, hyphens, the encoding of accents."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def _is_in_split_inside_class(name: str, layout: Layout) -> bool:
    folders = parts_of(name.removeprefix(layout.wrapping))[:-1]
    inside_class = folders[2:] if layout.images[name][0] is not None else folders[1:]
    return any(folder.lower() in SPLIT_FOLDERS for folder in inside_class)
