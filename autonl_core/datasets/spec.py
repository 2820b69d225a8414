"""What a data set is, before any pixel is decoded: names, classes, splits, where the files lie.

A data set is a folder or a zip archive of class folders (`layout.py` says which are understood), split by folders, or
by a fixed, stratified draw that sets aside a fifth for testing. `digits`, scikit-learn's 1,797 handwritten digits, is
built in. One that was checked has a manifest, which lists its images.

No torch and no pixels here: the service lists and registers with this module, the search reads with `autonl_core.data`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from autonl_core.datasets.file_source import FileSource, kind_of, open_source
from autonl_core.datasets.image_files import image_size
from autonl_core.datasets.layout import Layout, Split, is_image_name, read_layout
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.manifest import read_manifest
from autonl_core.datasets.splits import stratified_draw
from autonl_core.errors import DatasetError

TEST_FRACTION = 0.2
MIN_TRAIN_IMAGES, MIN_TEST_IMAGES = 2, 1  # of every class: one of the training images validates
_SIZE_SAMPLE = 64  # images whose headers are read to learn the usual size
_SAMPLE_BYTES = 256 << 20  # of them together, so that many large ones keep nobody waiting


@dataclass(frozen=True)
class Item:
    """One image: its split, the index of its class, and its name inside the data set.

    Images of equal `group` show the same picture and must never be divided between splits; None: a picture of its own.
    """

    split: Split
    label: int
    member: str
    group: int | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """A registered data set. `location` is a path, or the built-in's name; JSON both ways."""

    name: str
    kind: Literal["builtin", "folder", "zip"]
    location: str
    classes: tuple[str, ...]
    image_size: int  # the usual longer side in pixels
    train_images: int
    test_images: int
    fingerprint: str  # of names and sizes (zip: CRCs), or of the manifest, which holds that: other content, other value
    horizontal_flip: bool = True  # whether a mirrored image still shows its class
    manifest: str = ""  # path of the list of images that a check left, with splits and groups; empty: as names say

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"classes": list(self.classes)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DatasetSpec:
        return DatasetSpec(**{**data, "classes": tuple(data["classes"])})


DIGITS = DatasetSpec(
    name="digits",
    kind="builtin",
    location="digits",
    classes=tuple("0123456789"),
    image_size=8,
    train_images=1438,
    test_images=359,
    fingerprint="scikit-learn-digits-1797",
    horizontal_flip=False,
)
BUILTIN: dict[str, DatasetSpec] = {DIGITS.name: DIGITS}


def scan(name: str, path: Path, within: Iterable[Path] = (), limits: Limits = DEFAULT_LIMITS) -> DatasetSpec:
    """Describe the folder or zip at `path`; given `within`, links in a folder may only lead to places below these.

    Raises:
        DatasetError: nothing there, no class folders, too few classes or images, an archive that is damaged or
            refused, or a link that leads elsewhere.
        OSError: a folder cannot be read.
    """
    path = path.expanduser().resolve()
    with open_source(path, limits, within=tuple(within)) as files:
        layout = read_layout(files.marks, str(path), limits)
        items = split_items(layout)
        _check_counts(layout.classes, items, path)
        usual_size = _usual_size(path, files, items, limits)
        fingerprint = content_fingerprint(files)
    counts = Counter(item.split for item in items)
    return DatasetSpec(
        name=name,
        kind=kind_of(path),
        location=str(path),
        classes=layout.classes,
        image_size=usual_size,
        train_images=counts["train"],
        test_images=counts["test"],
        fingerprint=fingerprint,
    )


def find_dataset(name_or_path: str) -> DatasetSpec:
    """A built-in data set by name, or the folder or zip at a path. Raises DatasetError as `scan` does."""
    return BUILTIN.get(name_or_path) or scan(Path(name_or_path).stem or "data", Path(name_or_path))


def list_items(spec: DatasetSpec, limits: Limits = DEFAULT_LIMITS) -> list[Item]:
    """Every image of a folder or zip data set, in a fixed order: those of its manifest, or all there are.

    Raises:
        DatasetError: it is gone, or changed since it was added.
    """
    path = Path(spec.location)
    with open_source(path, limits, kind=spec.kind) as files:
        found = content_fingerprint(files)
        if spec.manifest:
            manifest = read_manifest(Path(spec.manifest), spec.fingerprint)
            if found == manifest.content:
                return [Item(*row) for row in manifest.rows]
        elif found == spec.fingerprint:
            return split_items(read_layout(files.marks, str(path), limits))
        count = sum(map(is_image_name, files.marks))
    raise DatasetError(
        f"data set {spec.name!r} at {path} changed since it was added: {count} images now, "
        f"{spec.train_images + spec.test_images} in {len(spec.classes)} classes then; add it again"
    )


def has_changed(spec: DatasetSpec, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether a folder or zip data set has other images than when it was added, or is no longer readable at all.

    Raises:
        OSError: a folder cannot be read.
    """
    try:
        list_items(spec, limits)
    except DatasetError:
        return True
    return False


def split_items(layout: Layout, groups: Mapping[str, int] | None = None) -> list[Item]:
    """All images of a layout, sorted by name; where folders say no split, a fixed draw does, which divides no group.

    A fixed seed: every search is tested on the same images.
    """
    groups = groups or {}
    labels = [label for _, label in layout.images.values()]
    numbers = [groups.get(member) for member in layout.images]
    tested = set() if layout.is_split else stratified_draw(labels, TEST_FRACTION, 0, numbers)
    items = []
    for index, (member, (given, label)) in enumerate(layout.images.items()):
        split: Split = given or ("test" if index in tested else "train")
        items.append(Item(split, label, member, numbers[index]))
    return items


def content_fingerprint(files: FileSource) -> str:
    """A hash of the names and marks of all image files."""
    text = "\n".join(f"{name} {mark}" for name, mark in sorted(files.marks.items()) if is_image_name(name))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def short_classes(classes: tuple[str, ...], items: Iterable[Item]) -> list[str]:
    """Of every class that has too few images to be learned and tested, what it has."""
    counts = Counter((item.label, item.split) for item in items)
    found = []
    for label, name in enumerate(classes):
        train, test = counts[label, "train"], counts[label, "test"]
        if train < MIN_TRAIN_IMAGES or test < MIN_TEST_IMAGES:
            found.append(f"{name!r} has {train} training and {test} test images")
    return found


NEEDED_PER_CLASS = f"every class needs at least {MIN_TRAIN_IMAGES} training and {MIN_TEST_IMAGES} test image"


def _check_counts(classes: tuple[str, ...], items: list[Item], path: Path) -> None:
    """Every class needs training and test images; list all that have too few, not just the first."""
    if problems := short_classes(classes, items):
        shown = "; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if len(problems) > 20 else "")
        raise DatasetError(f"{path}: {NEEDED_PER_CLASS}: {shown}")


def _usual_size(path: Path, files: FileSource, items: list[Item], limits: Limits) -> int:
    """The median longer side of an evenly spread sample of images; unreadable ones are left to the search to report."""
    sample = [item.member for item in items[:: max(1, len(items) // _SIZE_SAMPLE)]]
    sizes: list[int] = []
    left = _SAMPLE_BYTES
    for member in sample:
        data = files.read(member)
        size = image_size(data, limits)
        if size is not None:
            sizes.append(max(size))
        left -= len(data)
        if left < 0:
            break
    if not sizes:
        raise DatasetError(f"{path}: none of {len(sample)} sampled images can be read")
    return sorted(sizes)[len(sizes) // 2]
