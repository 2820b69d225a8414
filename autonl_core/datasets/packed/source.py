"""What data sources of packed files have in common.

A location has the number of the packed file as its `stored_bytes`, and as its mark when that file was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.packed.index import Index
from autonl_core.datasets.packed.kinds import PackedKind, packed_kind
from autonl_core.datasets.packed.places import Packed, PackedFile, find_packed


class ImageReader(Protocol):
    """Reads images of packed files."""

    def read(self, file: PackedFile, location: Location) -> bytes:
        """The bytes of an image. Raises OSError, ValueError."""


class PackedSource(ABC):
    """A data source of packed files of one kind. They are marked by size, place, and when their file was written."""

    kind: ClassVar[PackedKind]

    @abstractmethod
    def index(self, packed: Packed, limits: Limits) -> Index:
        """All files in packed files. Raises DatasetError, OSError."""

    @abstractmethod
    def image_reader(self, limits: Limits) -> ImageReader:
        """What reads images, and may keep what the next one needs."""

    def detect(self, path: Path) -> bool:
        return path.exists() and packed_kind(path) == self.kind

    @contextlib.contextmanager
    def open(self, path: Path, limits: Limits, within: tuple[Path, ...]) -> Iterator[FileSource]:
        yield _OpenPacked(self, find_packed(path, self.kind, limits, within), limits)

    def locate(self, path: Path, members: Iterable[str], limits: Limits) -> Iterator[Location]:
        with self.open(path, limits, ()) as files:
            yield from files.locate(members)

    def reader(self, path: Path, limits: Limits) -> _PackedReader:
        return _PackedReader(find_packed(path, self.kind, limits), limits, self.image_reader(limits))

    def storage_mark(self, path: Path) -> str:
        packed = find_packed(path, self.kind, Limits())
        return f"{path} {_hash_of(packed)} {sorted({file.mark for file in packed.files})}"


class _OpenPacked:
    """Index and reader are made when they are first needed: whether packed files changed is known without them."""

    def __init__(self, source: PackedSource, packed: Packed, limits: Limits) -> None:
        self._source, self._packed, self._limits = source, packed, limits

    @cached_property
    def _reader(self) -> _PackedReader:
        return _PackedReader(self._packed, self._limits, self._source.image_reader(self._limits))

    @cached_property
    def marks(self) -> Index:
        return self._source.index(self._packed, self._limits)

    @property
    def state_mark(self) -> str:
        return _hash_of(self._packed)

    def read(self, name: str) -> bytes:
        return self._reader.read(self._location(name))

    def content_mark(self, name: str) -> str:
        data = self.read(name)
        return f"{len(data)}-{zlib.crc32(data):08x}"

    def locate(self, names: Iterable[str]) -> Iterator[Location]:
        return map(self._location, names)

    def _location(self, name: str) -> Location:
        place = self.marks.place(name)
        if place is None:
            return Location(name)
        return Location(name, place.at, place.file, place.size_bytes, self._packed.files[place.file].mark)


class _PackedReader:
    def __init__(self, packed: Packed, limits: Limits, reader: ImageReader) -> None:
        self._files, self._limits, self._reader = packed.files, limits, reader

    def read(self, location: Location) -> bytes:
        if not 0 < location.size_bytes <= self._limits.image_bytes or location.stored_bytes >= len(self._files):
            return b""
        file = self._files[location.stored_bytes]
        try:
            if file.mark != location.mark or file.path.stat().st_mtime_ns != location.mark:
                return b""
            data = self._reader.read(file, location)
        except (OSError, ValueError):
            return b""
        return data if len(data) == location.size_bytes else b""


def _hash_of(packed: Packed) -> str:
    return hashlib.sha256(packed.state.encode(errors="surrogateescape")).hexdigest()[:32]
