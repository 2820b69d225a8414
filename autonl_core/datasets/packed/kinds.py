"""Whether a folder or a zip archive holds packed files in place of images, judged by names alone."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from autonl_core.datasets.names import is_image_name, is_left_behind, parts_of
from autonl_core.datasets.zip_archive import FIRST_BYTES, member_name, open_archive
from autonl_core.errors import DatasetError

PackedKind = Literal["shards", "parquet"]
COMPRESSED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar.lz4")
SUFFIXES: dict[PackedKind, tuple[str, ...]] = {"shards": (".tar", *COMPRESSED_TARS), "parquet": (".parquet",)}

_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
_SIZE_FOLLOWS = 0x8
_LOOKED_AT = 64  # files at the start of an archive, or in a folder before a packed one
_ENTRIES = 100_000  # of one folder that are listed at most


def packed_kind(path: Path) -> PackedKind | None:
    """What a folder, or a zip archive, holds in place of images; None if no packed files.

    Packed files are directly in it, or in folders directly in it, each of which has one. Where there are images beside
    them, it is an ordinary dataset. Raises OSError if `path` cannot be read.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    return _kind_of_archive(path) if path.is_file() else None  # a pipe would be waited for


def kind_of_name(name: str) -> PackedKind | None:
    """Which packed file has such a name; None: another file."""
    lower = name.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if lower.endswith(suffixes)), None)


def is_packed_name(name: str) -> bool:
    """Whether a visible file, not deeper than one folder, is packed."""
    parts = parts_of(name)
    return kind_of_name(name) is not None and len(parts) <= 2 and not is_left_behind(parts)


def _kind_of_folder(path: Path) -> PackedKind | None:
    kinds: set[PackedKind] = set()
    folders: list[Path] = []
    for name, is_folder in _entries(path):
        if is_folder:
            folders.append(path / name)
        elif is_image_name(name):
            return None
        elif (kind := kind_of_name(name)) is not None:
            kinds.add(kind)
    for folder in folders:
        found = _kind_inside(folder)
        if found is None:
            return None
        kinds.add(found)
    return kinds.pop() if len(kinds) == 1 else None


def _kind_inside(folder: Path) -> PackedKind | None:
    kinds: set[PackedKind] = set()
    others = 0
    for name, is_folder in _entries(folder):
        kind = None if is_folder else kind_of_name(name)
        others += kind is None
        if is_folder or is_image_name(name) or (not kinds and others > _LOOKED_AT):
            return None
        kinds.update((kind,) if kind else ())
    return kinds.pop() if len(kinds) == 1 else None


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        for entry in itertools.islice(entries, _ENTRIES):
            if not is_left_behind((entry.name,)):
                yield entry.name, entry.is_dir()


def _kind_of_archive(path: Path) -> PackedKind | None:
    """The first file that is no document decides whether all names are looked at, which takes long for many."""
    first = next((name for name in _first_names(path) if is_packed_name(name) or is_image_name(name)), None)
    if first is None or is_image_name(first):
        return None
    try:
        with open_archive(path) as archive:
            return _kind_of_names(member_name(info) for info in archive.infolist() if not info.is_dir())
    except DatasetError:
        return None  # the source of ordinary archives says what is wrong with it


def _kind_of_names(names: Iterable[str]) -> PackedKind | None:
    kinds: set[PackedKind] = set()
    for name in names:
        if is_left_behind(parts_of(name)):
            continue
        if is_image_name(name):
            return None
        if is_packed_name(name) and (kind := kind_of_name(name)) is not None:
            kinds.add(kind)
    return kinds.pop() if len(kinds) == 1 else None


def _first_names(path: Path) -> Iterator[str]:
    """Names of the first members, from their own headers, as far as each says where the next one begins."""
    with path.open("rb") as file:
        at = 0
        for _ in range(_LOOKED_AT):
            file.seek(at)
            head = file.read(_LOCAL_HEADER.size)
            if len(head) < _LOCAL_HEADER.size or not head.startswith(FIRST_BYTES):
                return
            _, _, flags, _, _, _, _, stored_bytes, _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(head)
            yield str(PurePosixPath(file.read(name_bytes).decode("utf-8", "replace")))
            if flags & _SIZE_FOLLOWS or stored_bytes == 0xFFFFFFFF:
                return
            at += _LOCAL_HEADER.size + name_bytes + extra_bytes + stored_bytes
