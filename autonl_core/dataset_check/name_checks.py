"""Problems that the names of files and folders tell of, before any file is opened."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from autonl_core.datasets.check_report import DatasetReport
from autonl_core.datasets.layout import SPLIT_FOLDERS, Layout, is_hidden, is_image_name, parts_of
from autonl_core.datasets.spec import MIN_TEST_IMAGES, MIN_TRAIN_IMAGES, Item

FEW_IMAGES = 20
IMBALANCE = 10
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "icon\r"})
_NO_CLASSES = "new folder|untitled folder|nouveau dossier|neuer ordner|copy|backup|te?mp|unsorted|images?|data|trash"
_SUSPICIOUS = re.compile(rf"(?:{_NO_CLASSES})[ _-]*\(?\d*\)?|.*(?:[ _-]copy|\(\d+\))|__.*", re.IGNORECASE)


def check_files(names: Iterable[str], report: DatasetReport) -> None:
    """Files that are no images, by their names: they are left out."""
    system, archives, others = [], [], []
    for name in sorted(names):
        report.files += 1
        parts = parts_of(name)
        if is_hidden(parts) or (parts and parts[-1].lower() in _SYSTEM_FILES):
            system.append(name)
        elif name.lower().endswith(_ARCHIVES):
            archives.append(name)
        elif not is_image_name(name):
            others.append(name)
    if system:
        report.add(
            "info", "system_files", "put there by an operating system (macOS, Windows) or hidden; left out", system
        )
    if archives:
        told = "archives inside the data set are never opened; unpack them into class folders if they hold images"
        report.add("warning", "nested_archives", told, archives)
    if others:
        told = "no images by their suffix; left out. If they are images, rename them (.jpg, .png, .webp, ...)"
        report.add("warning", "not_images", told, others)


def check_layout(layout: Layout, report: DatasetReport) -> None:
    """Where images lie, and what folders are called."""
    if layout.wrapping:
        report.add(
            "info", "wrapping_folder", f"everything lies in {layout.wrapping!r}, which is looked through", count=0
        )
    if layout.validation:
        folders = ", ".join(repr(name) for name in layout.validation)
        told = f"images of {folders} join the training images; a search sets its own validation images aside"
        report.add("info", "validation_joins_training", told, count=0)
    if layout.outside:
        told = "images in no class folder; left out. Move them into the folder of their class"
        report.add("warning", "outside_class_folders", told, layout.outside)
    _check_class_names(layout, report)
    inside = [name for name in layout.images if _split_folder_inside(name, layout)]
    if inside:
        told = (
            "lie in a folder named like a split, inside a class folder; it was taken for a part of the class. "
            "Splits go above the classes: train/CLASS/image and test/CLASS/image"
        )
        report.add("warning", "split_inside_class", told, inside)


def _check_class_names(layout: Layout, report: DatasetReport) -> None:
    odd = [name for name in layout.classes if _SUSPICIOUS.fullmatch(name.strip()) or name != name.strip()]
    odd += [name for name in layout.classes if name.lower() in SPLIT_FOLDERS]
    if odd:
        told = "folders taken for classes, whose names look like none; rename or remove those that are not"
        report.add("warning", "suspicious_class_names", told, odd)
    alike: dict[str, list[str]] = {}
    for name in layout.classes:
        alike.setdefault(_plain(name), []).append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    if groups:
        shown = "; ".join(" and ".join(ascii(name) for name in names) for names in groups[:10])
        told = (
            f"classes whose names differ only in case, spaces or the way accents are written: {shown}. "
            "They count as different; if they are the same class, give both folders the same name"
        )
        report.add("warning", "similar_class_names", told, [name for names in groups for name in names])


def _plain(name: str) -> str:
    """`name` without what people do not see in it."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def _split_folder_inside(name: str, layout: Layout) -> bool:
    folders = parts_of(name.removeprefix(layout.wrapping))[:-1]
    inside = folders[2:] if layout.images[name][0] is not None else folders[1:]
    return any(folder.lower() in SPLIT_FOLDERS for folder in inside)


def check_classes(layout: Layout, items: Sequence[Item], left_out: Mapping[int, int], report: DatasetReport) -> None:
    """Counts of the images that are used; `left_out`: how many of each class were not, for whatever reason."""
    counts = Counter((item.label, item.split) for item in items)
    rows = [(name, counts[label, "train"], counts[label, "test"]) for label, name in enumerate(layout.classes)]
    report.images = len(items)
    report.classes = [{"name": name, "train": train, "test": test} for name, train, test in rows]
    if layout.is_split:
        given = {(split, label) for split, label in layout.images.values()}
        for split, other in (("train", "test"), ("test", "train")):
            only = [n for i, n in enumerate(layout.classes) if (split, i) in given and (other, i) not in given]
            if only:
                told = f"classes with a folder below {split} and none below {other}; add one, or remove the class"
                report.add("error", "class_sets_differ", told, only)
    short = [
        f"{name} ({train} training, {test} test{_why_short(left_out.get(label, 0))})"
        for label, (name, train, test) in enumerate(rows)
        if train < MIN_TRAIN_IMAGES or test < MIN_TEST_IMAGES
    ]
    if short:
        told = (
            f"classes with too few usable images: at least {MIN_TRAIN_IMAGES} for training and {MIN_TEST_IMAGES} for "
            "testing are needed; add images, or remove the class"
        )
        report.add("error", "class_too_small", told, short)
    few = [f"{name} ({train} training)" for name, train, _ in rows if MIN_TRAIN_IMAGES <= train < FEW_IMAGES]
    if few:
        report.add(
            "warning", "few_images", f"classes of fewer than {FEW_IMAGES} training images are learned badly", few
        )
    sizes = [train for _, train, _ in rows]
    if min(sizes) and max(sizes) >= IMBALANCE * min(sizes):
        told = (
            f"the largest class has {max(sizes):,} training images, the smallest {min(sizes):,}: a network learns to "
            "prefer the large ones; add images to the small ones, or balance the classes in training"
        )
        report.add("warning", "imbalance", told, count=0)


def _why_short(left_out: int) -> str:
    return f", {left_out} left out" if left_out else ""
