"""Where the encoded images of a data set lie, so that any one can be read without listing all the others.

A reader process needs 57 bytes and a name for every image; the member list of an archive takes about a kilobyte each.
Files that changed since they were listed are read as nothing: archives have checksums, folders have sizes and times.
"""

from __future__ import annotations

import itertools
import os
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autonl_core.datasets.limits import Limits
from autonl_core.datasets.zip_archive import open_archive

ENTRY = np.dtype(
    [
        ("name_start", np.int64),  # of the file's name in `names`
        ("name_bytes", np.int64),
        ("offset", np.int64),  # of a member's header in its archive
        ("stored_bytes", np.int64),  # in the archive
        ("size_bytes", np.int64),  # of the file
        ("mark", np.int64),  # what changes with the content: CRC-32 in an archive, modification time in a folder
        ("deflated", np.bool_),
    ]
)
_ENTRIES, _NAMES = "entries.npy", "names.bin"
_HEADER = struct.Struct("<4s22xHH")  # of a member: its signature, how long its name and its extra field are


@dataclass(frozen=True)
class Listing:
    """The files of a folder or an archive that hold images, in the order of a data set's rows."""

    location: Path
    is_archive: bool
    entries: NDArray[Any]  # (N,) of ENTRY
    names: bytes

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, row: int) -> str:
        entry = self.entries[row]
        start = int(entry["name_start"])
        return self.names[start : start + int(entry["name_bytes"])].decode("utf-8", "surrogateescape")

    def subset(self, rows: NDArray[np.int64]) -> Listing:
        return Listing(self.location, self.is_archive, self.entries[rows], self.names)

    def save(self, folder: Path) -> None:
        """Write all but the location, which may be another one next time."""
        np.save(folder / _ENTRIES, self.entries)
        (folder / _NAMES).write_bytes(self.names)

    @staticmethod
    def load(folder: Path, location: Path, *, is_archive: bool) -> Listing:
        return Listing(location, is_archive, np.load(folder / _ENTRIES), (folder / _NAMES).read_bytes())

    @staticmethod
    def delete(folder: Path) -> None:
        for name in (_ENTRIES, _NAMES):
            (folder / name).unlink(missing_ok=True)


def list_archive(location: Path, members: Iterable[str], limits: Limits) -> Listing:
    """Where these members of an archive lie. Raises DatasetError as `open_archive` does."""
    rows = []
    with open_archive(location, limits) as archive:
        for member in members:
            info = archive.getinfo(member)
            deflated = info.compress_type != zipfile.ZIP_STORED
            rows.append((member, info.header_offset, info.compress_size, info.file_size, info.CRC, deflated))
    return _listing(location, True, rows)


def list_folder(location: Path, members: Iterable[str]) -> Listing:
    """The files of these names below a folder; one that is gone is listed as an empty one."""
    rows = []
    for member in members:
        try:
            found = (location / member).stat()
            rows.append((member, 0, found.st_size, found.st_size, found.st_mtime_ns, False))
        except OSError:
            rows.append((member, 0, 0, 0, 0, False))
    return _listing(location, False, rows)


def _listing(location: Path, is_archive: bool, rows: list[tuple[str, int, int, int, int, bool]]) -> Listing:
    names = [row[0].encode("utf-8", "surrogateescape") for row in rows]
    starts = itertools.accumulate(map(len, names), initial=0)
    entries = [(start, len(name), *row[1:]) for start, name, row in zip(starts, names, rows, strict=False)]
    return Listing(location, is_archive, np.array(entries, dtype=ENTRY), b"".join(names))


class Files:
    """Reads the files of a listing."""

    def __init__(self, listing: Listing, limits: Limits) -> None:
        self.listing, self.limits = listing, limits
        self._archive = os.open(listing.location, os.O_RDONLY | os.O_CLOEXEC) if listing.is_archive else -1
        if listing.is_archive:
            weakref.finalize(self, os.close, self._archive)

    def read(self, row: int) -> bytes:
        """The bytes of a file; nothing if it is damaged, not what was listed, or larger than an image may be."""
        entry = self.listing.entries[row]
        size = int(entry["size_bytes"])
        if not 0 < size <= self.limits.image_bytes:
            return b""
        try:
            data = self._member(entry) if self.listing.is_archive else self._file(self.listing.name(row), entry)
        except (OSError, ValueError, struct.error, zlib.error):
            return b""
        return data if len(data) == size else b""

    def _member(self, entry: Any) -> bytes:
        start, stored, size = int(entry["offset"]), int(entry["stored_bytes"]), int(entry["size_bytes"])
        signature, name_bytes, extra_bytes = _HEADER.unpack(os.pread(self._archive, _HEADER.size, start))
        if signature != b"PK\x03\x04":
            return b""
        start += _HEADER.size + name_bytes + extra_bytes
        if entry["deflated"]:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
                os.pread(self._archive, min(stored, 2 * size + 1024), start), size
            )
        else:
            data = os.pread(self._archive, min(stored, size), start)
        return data if zlib.crc32(data) == int(entry["mark"]) else b""

    def _file(self, name: str, entry: Any) -> bytes:
        with open(self.listing.location / name, "rb", buffering=0) as file:  # noqa: PTH123
            found = os.fstat(file.fileno())
            if (found.st_size, found.st_mtime_ns) != (int(entry["size_bytes"]), int(entry["mark"])):
                return b""
            return file.read(int(entry["size_bytes"]))
