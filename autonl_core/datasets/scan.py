"""Describe a data source as a `DatasetSpec`, and list its images again later, as long as they are unchanged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from autonl_core.datasets.data_source import FileSource, KnowsItsState, MarksByStorage, RenamesFiles
from autonl_core.datasets.image_files import image_size
from autonl_core.datasets.items import NEEDED_PER_CLASS, Item, count_by_class, split_items
from autonl_core.datasets.layout import Layout, open_layout
from autonl_core.datasets.layouts.grammar import AUTO
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.manifest import read_manifest
from autonl_core.datasets.mirror_names import read_mirror_names
from autonl_core.datasets.names import FORMER_SUFFIXES, is_left_behind, may_be_image, parts_of
from autonl_core.datasets.place_words import in_user_words, place_of
from autonl_core.datasets.sources import open_source, require_source
from autonl_core.datasets.spec import BUILTIN, DatasetSpec
from autonl_core.errors import DatasetError
from autonl_core.wording.counts import counted

_SHOWN_CLASSES = 20
_HASHED_NAMES = 10_000  # at a time
_SAMPLED_IMAGES = 64  # whose headers are read to find the usual size
_SAMPLED_BYTES = 256 << 20  # of all sampled images together, so that large ones cause no long wait


def scan(
    name: str, path: Path, within: Iterable[Path] = (), limits: Limits = DEFAULT_LIMITS, layout: str = AUTO
) -> DatasetSpec:
    """Describe the data source at `path`. Links in it may only lead into the folders `within`; anywhere if none.

    Raises:
        AmbiguousLayout: it can be read in several ways; `layout` chooses one.
        DatasetError: no source at `path`, one that is damaged or refused, no class folders, too few classes or images.
        OSError: it cannot be read.
    """
    path = path.expanduser().resolve()
    kind = require_source(path).name
    with open_source(path, limits, kind=kind, within=tuple(within)) as files:
        found = open_layout(files, str(path), limits, layout)
        _require_full_classes(found, path)
        items = split_items(found)
        _require_images(found.classes, items, path)
        usual_size = _usual_size(path, files, items, limits)
        fingerprint = content_fingerprint(files, found.tables)
    splits = Counter(item.split for item in items)
    return DatasetSpec(
        name=name,
        kind=kind,
        location=str(path),
        classes=found.classes,
        image_size=usual_size,
        train_images=splits["train"],
        test_images=splits["test"],
        fingerprint=fingerprint,
        layout=layout,
        horizontal_flip=not read_mirror_names(found.classes).forbid_mirroring,
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
    with _open(spec, path, limits) as files:
        if spec.manifest:
            manifest = read_manifest(Path(spec.manifest), spec.fingerprint)
            former = manifest.label_files is None
            found = former_fingerprint(files) if former else state_fingerprint(files, manifest.label_files or ())
            if found == (spec.stored or manifest.content):
                return [Item(*row) for row in manifest.rows]
        else:
            layout = open_layout(files, str(path), limits, spec.layout)
            found = content_fingerprint(files, layout.tables)
            if spec.fingerprint in (found, former_fingerprint(files)) and layout.classes == spec.classes:
                return split_items(layout)
        count = sum(may_be_image(name) for name in files.marks)
    raise DatasetError(
        f"{_called(spec, path)} changed since it was added: it has "
        f"{counted(count, 'image')} now, and had {spec.train_images + spec.test_images:,} in "
        f"{counted(len(spec.classes), 'class')}; add it again"
    )


def _called(spec: DatasetSpec, path: Path) -> str:
    place = place_of(spec.name, path)
    return f"dataset {spec.name!r} at {path}" if place == str(path) else place


@contextmanager
def _open(spec: DatasetSpec, path: Path, limits: Limits) -> Iterator[FileSource]:
    """The files of the dataset. Raises DatasetError, in words that its user knows, and OSError."""
    try:
        with open_source(path, limits, kind=spec.kind) as files:
            yield files
    except DatasetError as error:
        raise DatasetError(in_user_words(str(error), spec.name, path)) from error


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


def state_fingerprint(files: FileSource, label_files: Iterable[str] = ()) -> str:
    """Changes when the files of a source do: a hash of what it knows of itself, or else of names and marks."""
    return files.state_mark if isinstance(files, KnowsItsState) else content_fingerprint(files, label_files)


def content_fingerprint(
    files: FileSource, label_files: Iterable[str] = (), content_marks: Mapping[str, str] | None = None
) -> str:
    """A hash of the names and marks of all files that may be images, and of those with the labels of images.

    Args:
        content_marks: of files whose content is known, by name. The content of the others is read, if the source does
            not mark by content. Then equal files have equal fingerprints in all sources. None: as the source marks.
    """
    labels = set(label_files)
    used = [name for name in files.marks if name in labels or _may_be_used(name)]
    if content_marks is None or not isinstance(files, MarksByStorage):
        return _hash_of(sorted(used), files.marks.__getitem__)
    known, read = content_marks, files.content_mark
    return _hash_of(sorted(used), lambda name: known.get(name) or read(name))


def former_fingerprint(files: FileSource) -> str:
    """As versions without files of labels computed it: of the files with the suffixes of those versions."""
    marks = files.former_marks if isinstance(files, RenamesFiles) else files.marks
    used = [name for name in marks if name[name.rfind(".") :].lower() in FORMER_SUFFIXES]
    return _hash_of(sorted(used), marks.__getitem__)


def _may_be_used(name: str) -> bool:
    return may_be_image(name) and not is_left_behind(parts_of(name))


def _hash_of(names: Sequence[str], mark_of: Callable[[str], str]) -> str:
    """Of one line for each name; a few at a time, as there may be millions."""
    found = hashlib.sha256()
    for start in range(0, len(names), _HASHED_NAMES):
        lines = (f"{name} {mark_of(name)}" for name in names[start : start + _HASHED_NAMES])
        found.update((("\n" if start else "") + "\n".join(lines)).encode(errors="surrogateescape"))
    return found.hexdigest()[:32]


def _require_full_classes(layout: Layout, path: Path) -> None:
    """A class without images would vanish from the network without a word."""
    if layout.folders.empty:
        raise DatasetError(
            f"{path}: class folders without a usable image: {', '.join(layout.folders.empty[:_SHOWN_CLASSES])}; "
            "add images, or remove these folders"
        )


def _require_images(classes: Sequence[str], items: Iterable[Item], path: Path) -> None:
    """Every class needs training and test images. The message lists all classes with too few, not just the first."""
    short = [count for count in count_by_class(classes, items) if count.missing_splits()]
    if not short:
        return
    shown = "; ".join(
        f"{count.name!r} has {count.train:,} training and {counted(count.test, 'test image')}"
        for count in short[:_SHOWN_CLASSES]
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
