"""A zip archive, read in place (see `datasets/zip_archive.py` for which archives are refused)."""

from __future__ import annotations

import contextlib
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.packed.kinds import packed_kind
from autonl_core.datasets.zip_archive import (
    FIRST_BYTES,
    member_name,
    normal_name,
    open_archive,
    read_member,
    starts_like_an_archive,
)
from autonl_core.errors import DatasetError

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a member: signature, length of its name, length of its extra field
_UTF_8 = 0x800  # the flag of names that are not in code page 437


class ZipArchive:
    """Files are marked by size and CRC-32, which every read checks."""

    name = "zip"
    title = "a zip archive"

    def detect(self, path: Path) -> bool:
        return path.is_file() and starts_like_an_archive(path) and packed_kind(path) is None

    @contextlib.contextmanager
    def open(self, path: Path, limits: Limits, within: tuple[Path, ...]) -> Iterator[FileSource]:
        with self._archive(path, limits) as archive:
            yield _OpenArchive(path, archive, limits)

    def locate(self, path: Path, members: Iterable[str], limits: Limits) -> Iterator[Location]:
        with self.open(path, limits, ()) as files:
            yield from files.locate(members)

    def reader(self, path: Path, limits: Limits) -> _ArchiveReader:
        return _ArchiveReader(path, limits)

    def storage_mark(self, path: Path) -> str:
        found = path.stat()
        return f"{path} {found.st_size} {found.st_mtime_ns}"

    @contextlib.contextmanager
    def _archive(self, path: Path, limits: Limits) -> Iterator[zipfile.ZipFile]:
        if not path.is_file():
            raise DatasetError(f"no dataset at {path}: it is not {self.title}")
        with open_archive(path, limits) as archive:
            yield archive


class _OpenArchive:
    def __init__(self, path: Path, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._path = path
        self._archive = archive
        self._limits = limits
        self.links_out: tuple[str, ...] = ()  # an archive with links is refused
        self._infos = {member_name(info): info for info in archive.infolist() if not info.is_dir()}
        self.marks = {name: _mark(info) for name, info in self._infos.items()}

    @property
    def former_marks(self) -> dict[str, str]:
        """By the names as the archive stores them, which were not always read as they were meant."""
        return {info.filename: _mark(info) for info in self._infos.values()}

    @property
    def empty_folders(self) -> set[str]:
        """Folders that have an entry; what is in them is among the files."""
        folders = {normal_name(member_name(info)) for info in self._archive.infolist() if info.is_dir()}
        return folders - {name[:at] for name in self.marks for at, char in enumerate(name) if char == "/"}

    def read(self, name: str) -> bytes:
        info = self._info(name)
        return b"" if info is None else read_member(self._archive, info, self._limits)

    def locate(self, names: Iterable[str]) -> Iterator[Location]:
        with self._path.open("rb") as file:
            for name in names:
                info = self._info(name)
                if info is None or not _has_a_header_of_its_own(file.fileno(), info):
                    yield Location(name)
                    continue
                deflated = info.compress_type != zipfile.ZIP_STORED
                yield Location(name, info.header_offset, info.compress_size, info.file_size, info.CRC, deflated)

    def _info(self, name: str) -> zipfile.ZipInfo | None:
        return self._infos.get(name) or self._archive.NameToInfo.get(name)


def _mark(info: zipfile.ZipInfo) -> str:
    return f"{info.file_size}-{info.CRC:08x}"


class _ArchiveReader:
    def __init__(self, path: Path, limits: Limits) -> None:
        self._limits = limits
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, location: Location) -> bytes:
        if not 0 < location.size_bytes <= self._limits.image_bytes:
            return b""
        try:
            data = self._member(location)
        except (OSError, ValueError, struct.error, zlib.error):
            return b""
        return data if len(data) == location.size_bytes and zlib.crc32(data) == location.mark else b""

    def _member(self, location: Location) -> bytes:
        header = os.pread(self._descriptor, _LOCAL_HEADER.size, location.offset)
        signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        if signature != FIRST_BYTES:
            return b""
        start = location.offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
        if not location.deflated:
            return os.pread(self._descriptor, min(location.stored_bytes, location.size_bytes), start)
        stored_bytes = min(location.stored_bytes, 2 * location.size_bytes + 1024)  # a wrong size costs no memory
        inflator = zlib.decompressobj(-zlib.MAX_WBITS)
        return inflator.decompress(os.pread(self._descriptor, stored_bytes, start), location.size_bytes)


def _has_a_header_of_its_own(descriptor: int, info: zipfile.ZipInfo) -> bool:
    """Whether the header that a member refers to has its name, and is not that of another member."""
    name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437")
    try:
        header = os.pread(descriptor, _LOCAL_HEADER.size + len(name), info.header_offset)
    except (OSError, OverflowError):  # it refers to no place in any file
        return False
    if len(header) < _LOCAL_HEADER.size:
        return False
    _, name_bytes, _ = _LOCAL_HEADER.unpack_from(header)
    return name_bytes == len(name) and header[_LOCAL_HEADER.size :] == name


MEMBER = ZipArchive()
