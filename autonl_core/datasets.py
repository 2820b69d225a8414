"""What a data set is, before any pixel is decoded: names, classes, splits, where the files lie.

A data set is a folder or a zip archive of class folders, either below `train/` and `test/` (optionally `val/`, whose
images join the training ones) or one level of class folders, from which a fifth is set aside for testing by a fixed,
stratified draw. A wrapping folder is tolerated; images outside class folders are left out. `digits`, scikit-learn's
1,797 handwritten digits, is built in.

No torch and no pixels here: the service lists and registers with this module, the search reads with `autonl_core.data`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from PIL import Image

from autonl_core.errors import DatasetError

Split = Literal["train", "test"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
TEST_FRACTION = 0.2
MIN_IMAGES_PER_CLASS = 3  # one each for training, validation and test
_SIZE_SAMPLE = 64  # images whose headers are read to learn the usual size
_SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
    "testing": "test",
}
_UNREADABLE = (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)  # RuntimeError: encrypted, or unknown


@dataclass(frozen=True)
class Item:
    """One image: its split, the index of its class, and its name inside the data set."""

    split: Split
    label: int
    member: str


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
    fingerprint: str  # of names and sizes (zip: CRCs): another content, another fingerprint
    horizontal_flip: bool = True  # whether a mirrored image still shows its class

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


def scan(name: str, path: Path) -> DatasetSpec:
    """Describe the folder or zip at `path`.

    Raises:
        DatasetError: nothing there, no class folders, too few classes or images, or a damaged archive.
    """
    path = path.expanduser().resolve()
    kind: Literal["folder", "zip"] = "folder" if path.is_dir() else "zip"
    members = _folder_members(path) if kind == "folder" else _zip_members(path)
    classes, items = _arrange(members, path)
    counts = Counter(item.split for item in items)
    return DatasetSpec(
        name=name,
        kind=kind,
        location=str(path),
        classes=classes,
        image_size=_usual_size(path, kind, items),
        train_images=counts["train"],
        test_images=counts["test"],
        fingerprint=_fingerprint(members),
    )


def find_dataset(name_or_path: str) -> DatasetSpec:
    """A built-in data set by name, or the folder or zip at a path. Raises DatasetError as `scan` does."""
    return BUILTIN.get(name_or_path) or scan(Path(name_or_path).stem or "data", Path(name_or_path))


def list_items(spec: DatasetSpec) -> list[Item]:
    """Every image of a folder or zip data set, in a fixed order.

    Raises:
        DatasetError: it is gone, or changed since it was added.
    """
    path = Path(spec.location)
    members = _folder_members(path) if spec.kind == "folder" else _zip_members(path)
    classes, items = _arrange(members, path)
    if _fingerprint(members) != spec.fingerprint:
        raise DatasetError(
            f"data set {spec.name!r} at {path} changed since it was added: {len(items)} images in {len(classes)} "
            f"classes now, {spec.train_images + spec.test_images} in {len(spec.classes)} then; add it again"
        )
    return items


def read_members(spec: DatasetSpec, members: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The bytes of the named files, in order, one file in memory at a time; none for a file that cannot be read."""
    path = Path(spec.location)
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path)) if spec.kind == "zip" else None
        for member in members:
            try:
                data = archive.read(member) if archive else (path / member).read_bytes()
            except _UNREADABLE:
                data = b""  # the decoder reports it with the other unreadable images
            yield member, data


def stratified_draw(labels: list[int], fraction: float, seed: int) -> set[int]:
    """Indices of about `fraction` of every class, at least one, never a whole class; equal for equal arguments."""
    by_class: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        by_class.setdefault(label, []).append(index)
    chosen: set[int] = set()
    for label in sorted(by_class):
        indices = by_class[label]
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        chosen.update(random.Random(f"{seed}/{label}").sample(indices, count))
    return chosen


def _folder_members(root: Path) -> dict[str, str]:
    """Relative names of image files and a mark that changes with their content (size and time)."""
    if not root.is_dir():
        raise DatasetError(f"no data set at {root}: neither a folder nor a zip archive")
    files = (file for file in sorted(root.rglob("*")) if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    return {str(PurePosixPath(f.relative_to(root))): f"{f.stat().st_size}-{f.stat().st_mtime_ns}" for f in files}


def _zip_members(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise DatasetError(f"no data set at {path}: neither a folder nor a zip archive")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
    except zipfile.BadZipFile as error:
        raise DatasetError(f"{path} is not a readable zip archive: {error}") from error
    wanted = (info for info in infos if PurePosixPath(info.filename).suffix.lower() in IMAGE_SUFFIXES)
    return {info.filename: f"{info.file_size}-{info.CRC:08x}" for info in wanted}


def _fingerprint(members: Mapping[str, str]) -> str:
    text = "\n".join(f"{member} {mark}" for member, mark in sorted(members.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _arrange(members: Iterable[str], path: Path) -> tuple[tuple[str, ...], list[Item]]:
    """Class names, and every image with its split and label, sorted by name."""
    parts = {member: PurePosixPath(member).parts for member in sorted(members)}
    parts = {m: p for m, p in parts.items() if not any(part.startswith((".", "__MACOSX")) for part in p)}
    if not parts:
        raise DatasetError(f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    placed = _place(parts, path)
    if not placed:
        raise DatasetError(
            f"{path} has no class folders: expected CLASS/image or train/CLASS/image and test/CLASS/image"
        )
    classes = tuple(sorted({name for _, name in placed.values()}))
    if len(classes) < 2:
        raise DatasetError(f"{path} has one class, {classes[0]!r}; a classifier needs at least 2 class folders")
    for name in classes:
        if not name.isprintable():  # control characters, and bytes that are not UTF-8
            raise DatasetError(f"{path} has a class folder named {name!r}; rename it to printable characters")
    numbers = {name: number for number, name in enumerate(classes)}
    labels = [numbers[name] for _, name in placed.values()]
    tested = stratified_draw(labels, TEST_FRACTION, seed=0)  # a fixed seed: every search is tested on the same images
    items = []
    for index, (member, (given, _)) in enumerate(placed.items()):
        split: Split = given or ("test" if index in tested else "train")
        items.append(Item(split, labels[index], member))
    _check_counts(classes, items, path)
    return classes, items


def _place(parts: Mapping[str, tuple[str, ...]], path: Path) -> dict[str, tuple[Split | None, str]]:
    """Split, where folders say it, and class of every image that lies in a class folder."""
    parts = {member: p for member, p in parts.items() if len(p) >= 2}
    tops = {p[0] for p in parts.values()}
    splits = {top: _SPLIT_FOLDERS[top.lower()] for top in tops if top.lower() in _SPLIT_FOLDERS}
    nested = {p[0] for p in parts.values() if len(p) >= 3}
    if len(tops) == 1 and nested and not splits:
        return _place({member: p[1:] for member, p in parts.items()}, path)  # a wrapping folder
    if tops == splits.keys():
        return {member: (splits[p[0]], p[1]) for member, p in parts.items() if len(p) >= 3}
    if nested & splits.keys():  # but images right in train/ make it a class, of vehicles perhaps
        others = ", ".join(repr(top) for top in sorted(tops - splits.keys())[:5])
        raise DatasetError(
            f"{path} has class folders below {', '.join(sorted(splits))}, and beside them {others}; "
            "a data set is either split into train and test, or one level of class folders"
        )
    return {member: (None, p[0]) for member, p in parts.items()}


def _check_counts(classes: tuple[str, ...], items: list[Item], path: Path) -> None:
    """Every class needs training and test images; list all that have too few, not just the first."""
    counts = Counter((item.label, item.split) for item in items)
    problems = []
    for label, name in enumerate(classes):
        train, test = counts[label, "train"], counts[label, "test"]
        if train < MIN_IMAGES_PER_CLASS - 1 or test < 1:
            problems.append(f"{name!r} has {train} training and {test} test images")
    if problems:
        shown = "; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if len(problems) > 20 else "")
        need = f"every class needs at least {MIN_IMAGES_PER_CLASS - 1} training and 1 test image"
        raise DatasetError(f"{path}: {need}: {shown}")


def _usual_size(path: Path, kind: str, items: list[Item]) -> int:
    """The median longer side of an evenly spread sample of images; unreadable ones are left to the search to report."""
    probe = DatasetSpec("", "folder" if kind == "folder" else "zip", str(path), (), 0, 0, 0, "")
    sample = [item.member for item in items[:: max(1, len(items) // _SIZE_SAMPLE)]]
    sizes: list[int] = []
    for _, data in read_members(probe, sample):
        size = image_size(data)
        if size is not None:
            sizes.append(max(size))
    if not sizes:
        raise DatasetError(f"{path}: none of {len(sample)} sampled images can be read")
    return sorted(sizes)[len(sizes) // 2]


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from an image's header, or None if it has none that can be read."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
