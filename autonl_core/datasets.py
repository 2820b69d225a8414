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
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from autonl_core.archives import open_archive, read_member
from autonl_core.errors import DatasetError
from autonl_core.images import image_size
from autonl_core.limits import DEFAULT_LIMITS, Limits
from autonl_core.manifest import read_manifest
from autonl_core.splits import stratified_draw

Split = Literal["train", "test"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
TEST_FRACTION = 0.2
MIN_IMAGES_PER_CLASS = 3  # one each for training, validation and test
_SIZE_SAMPLE = 64  # images whose headers are read to learn the usual size
_SAMPLE_BYTES = 256 << 20  # of them together, so that many large ones keep nobody waiting
_SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
    "testing": "test",
}


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
    fingerprint: (
        str  # of names and sizes (zip: CRCs), or of the manifest, which has that of these: other content, other
    )
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
    kind: Literal["folder", "zip"] = "folder" if path.is_dir() else "zip"
    with _opened(kind, path, limits) as archive:
        members = _zip_members(archive) if archive else _folder_members(path, limits, tuple(within))
        classes, items = _arrange(members, path, limits)
        usual_size = _usual_size(path, archive, items, limits)
    counts = Counter(item.split for item in items)
    return DatasetSpec(
        name=name,
        kind=kind,
        location=str(path),
        classes=classes,
        image_size=usual_size,
        train_images=counts["train"],
        test_images=counts["test"],
        fingerprint=_fingerprint(members),
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
    with _opened(spec.kind, path, limits) as archive:
        members = _zip_members(archive) if archive else _folder_members(path, limits)
    found = _fingerprint(members)
    if spec.manifest:
        manifest = read_manifest(Path(spec.manifest), spec.fingerprint)
        if found == manifest.content:
            return [Item(*row) for row in manifest.rows]
    elif found == spec.fingerprint:
        return _arrange(members, path, limits)[1]
    raise DatasetError(
        f"data set {spec.name!r} at {path} changed since it was added: {len(members)} images now, "
        f"{spec.train_images + spec.test_images} in {len(spec.classes)} classes then; add it again"
    )


def read_members(
    spec: DatasetSpec, members: Iterable[str], limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[str, bytes]]:
    """The bytes of the named files, in order, one file in memory at a time.

    None for a file that cannot be read or is too large: the decoder reports it with the other unreadable images.
    """
    path = Path(spec.location)
    with _opened(spec.kind, path, limits) as archive:
        for member in members:
            yield member, _read(path, archive, member, limits)


@contextlib.contextmanager
def _opened(kind: str, path: Path, limits: Limits) -> Iterator[zipfile.ZipFile | None]:
    """The archive at `path`, or None for a folder there."""
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise DatasetError(f"no data set at {path}: neither a folder nor a zip archive")
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(open_archive(path, limits)) if kind == "zip" else None


def _read(path: Path, archive: zipfile.ZipFile | None, member: str, limits: Limits) -> bytes:
    return read_member(archive, member, limits) if archive else _read_file(path / member, limits)


def _read_file(path: Path, limits: Limits) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limits.image_bytes + 1)
    except OSError:
        return b""
    return data if len(data) <= limits.image_bytes else b""


def _folder_members(root: Path, limits: Limits, within: tuple[Path, ...] = ()) -> dict[str, str]:
    """Relative names of image files and a mark that changes with their content (size and time)."""
    members: dict[str, str] = {}
    for count, entry in enumerate(_files_below(root)):
        if count >= limits.folder_files:
            raise DatasetError(f"{root} holds more than {limits.folder_files:,} files; add a smaller folder")
        if not _is_image_name(entry.name):
            continue
        member = os.path.relpath(entry.path, root)
        if within and entry.is_symlink() and not any(Path(entry.path).resolve().is_relative_to(w) for w in within):
            raise DatasetError(f"{root}: {member!r} is a link that leads out of the allowed folders; copy the file")
        found = entry.stat()
        members[member] = f"{found.st_size}-{found.st_mtime_ns}"
    return members


def _files_below(root: Path) -> Iterator[os.DirEntry[str]]:
    """All files; links to files count, links to folders do not. However deep: not by recursion."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():
                    yield entry


def _zip_members(archive: zipfile.ZipFile) -> dict[str, str]:
    infos = archive.infolist()
    return {i.filename: f"{i.file_size}-{i.CRC:08x}" for i in infos if _is_image_name(i.filename) and not i.is_dir()}


def _is_image_name(name: str) -> bool:
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def _fingerprint(members: Mapping[str, str]) -> str:
    text = "\n".join(f"{member} {mark}" for member, mark in sorted(members.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _arrange(members: Iterable[str], path: Path, limits: Limits) -> tuple[tuple[str, ...], list[Item]]:
    """Class names, and every image with its split and label, sorted by name."""
    parts = {member: tuple(part for part in member.split("/") if part not in ("", ".")) for member in sorted(members)}
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
    if len(classes) > limits.classes:
        raise DatasetError(f"{path} has {len(classes):,} class folders; at most {limits.classes:,} are allowed")
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


def _usual_size(path: Path, archive: zipfile.ZipFile | None, items: list[Item], limits: Limits) -> int:
    """The median longer side of an evenly spread sample of images; unreadable ones are left to the search to report."""
    sample = [item.member for item in items[:: max(1, len(items) // _SIZE_SAMPLE)]]
    sizes: list[int] = []
    left = _SAMPLE_BYTES
    for member in sample:
        data = _read(path, archive, member, limits)
        size = image_size(data, limits)
        if size is not None:
            sizes.append(max(size))
        left -= len(data)
        if left < 0:
            break
    if not sizes:
        raise DatasetError(f"{path}: none of {len(sample)} sampled images can be read")
    return sorted(sizes)[len(sizes) // 2]
