"""Describe a data source as a `DatasetSpec`, and list its images again later, as long as they are unchanged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.image_files import image_size
from autonl_core.datasets.items import NEEDED_PER_CLASS, Item, count_by_class, split_items
from autonl_core.datasets.layout import is_image_name, read_layout
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.manifest import read_manifest
from autonl_core.datasets.sources import open_source, require_source
from autonl_core.datasets.spec import BUILTIN, DatasetSpec
from autonl_core.errors import DatasetError

_SHOWN_CLASSES = 20
_SAMPLED_IMAGES = 64  # whose headers are read to find the usual size
_SAMPLED_BYTES = 256 << 20  # of all sampled images together, so that large ones cause no long wait


def scan(name: str, path: Path, within: Iterable[Path] = (), limits: Limits = DEFAULT_LIMITS) -> DatasetSpec:
    """Describe the data source at `path`. Links in it may only lead into the folders `within`; anywhere if none.

    Raises:
        DatasetError: no source at `path`, one that is damaged or refused, no class folders, too few classes or images.
        OSError: it cannot be read.
    """
    path = path.expanduser().resolve()
    kind = require_source(path).name
    with open_source(path, limits, kind=kind, within=tuple(within)) as files:
        layout = read_layout(files.marks, str(path), limits)
        items = split_items(layout)
        _require_images(layout.classes, items, path)
        usual_size = _usual_size(path, files, items, limits)
        fingerprint = content_fingerprint(files)
    splits = Counter(item.split for item in items)
    return DatasetSpec(
        name=name,
        kind=kind,
        location=str(path),
        classes=layout.classes,
        image_size=usual_size,
        train_images=splits["train"],
        test_images=splits["test"],
        fingerprint=fingerprint,
    )


def find_dataset(name_or_path: str) -> DatasetSpec:
    """A built-in dataset by name, or the dataset at a path. Raises as `scan` does."""
    return BUILTIN.get(name_or_path) or scan(Path(name_or_path).stem or "data", Path(name_or_path))


def list_items(spec: DatasetSpec, limits: Limits = DEFAULT_LIMITS) -> list[Item]:
    """Every image of a dataset that is not built in, in a fixed order: those in its manifest if it has one, else all.

    Raises:
        DatasetError: the dataset is missing, or changed since it was added.
        OSError: it cannot be read.
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
        f"dataset {spec.name!r} at {path} changed since it was added: it has {count} images now, "
        f"and had {spec.train_images + spec.test_images} in {len(spec.classes)} classes; add it again"
    )


def has_changed(spec: DatasetSpec, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether a dataset that is not built in changed since it was added, is missing, or is no longer accepted.

    Raises:
        OSError: it cannot be read.
    """
    try:
        list_items(spec, limits)
    except DatasetError:
        return True
    return False


def content_fingerprint(files: FileSource) -> str:
    """A hash of the names and marks of all image files."""
    text = "\n".join(f"{name} {mark}" for name, mark in sorted(files.marks.items()) if is_image_name(name))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _require_images(classes: Sequence[str], items: Iterable[Item], path: Path) -> None:
    """Every class needs training and test images. The message lists all classes with too few, not just the first."""
    short = [count for count in count_by_class(classes, items) if count.missing_splits()]
    if not short:
        return
    shown = "; ".join(
        f"{count.name!r} has {count.train} training and {count.test} test images" for count in short[:_SHOWN_CLASSES]
    )
    rest = f"; and {len(short) - _SHOWN_CLASSES} more" if len(short) > _SHOWN_CLASSES else ""
    raise DatasetError(f"{path}: every class needs {NEEDED_PER_CLASS}: {shown}{rest}")


def _usual_size(path: Path, files: FileSource, items: Sequence[Item], limits: Limits) -> int:
    """The median longer side of an evenly spread sample of images, in pixels. Unreadable ones are skipped."""
    sample = [item.member for item in items[:: max(1, len(items) // _SAMPLED_IMAGES)]]
    sizes: list[int] = []
    bytes_left = _SAMPLED_BYTES
    for member in sample:
        data = files.read(member)
        size = image_size(data, limits)
        if size is not None:
            sizes.append(max(size))
        bytes_left -= len(data)
        if bytes_left < 0:
            break
    if not sizes:
        raise DatasetError(f"{path}: none of {len(sample)} sampled images can be read")
    return sorted(sizes)[len(sizes) // 2]
