"""The members of a tar archive, and where their bytes are. Untrusted: nothing is extracted, and no link is followed.

An archive is refused as a whole if no legitimate tool would produce it for images: names that lead out of it, links,
devices, sparse files; and if it is compressed, was cut off, or has another archive behind its end.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from autonl_core.datasets.packed.kinds import COMPRESSED_TARS
from autonl_core.datasets.packed.places import PackedFile
from autonl_core.datasets.zip_archive import MAX_NAME_CHARS, leads_out, normal_name
from autonl_core.errors import DatasetError

_BLOCK = tarfile.BLOCKSIZE
_WINDOW_BYTES = 64 << 10  # read at a time: the headers of small images lie close together
_MAX_HEADER_BYTES = 1 << 20  # of a long name or other extended header
_COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7z": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
_DAMAGED = (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError, EOFError, LookupError)


class Member(NamedTuple):
    """A regular file in a tar archive."""

    name: str
    offset: int  # of its bytes in the archive
    size_bytes: int


class _Window:
    """What `tarfile` takes for a file: reads a packed file in windows, and no header of more than 1 MiB."""

    def __init__(self, file: PackedFile, descriptor: int) -> None:
        self._file, self._descriptor = file, descriptor
        self._at = self._start = 0
        self._data = b""

    def seek(self, at: int, whence: int = os.SEEK_SET) -> int:
        self._at = at + (self._at if whence == os.SEEK_CUR else 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        begin = self._at - self._start
        if not 0 <= begin <= begin + size <= len(self._data):
            wanted = max(0, min(max(size, _WINDOW_BYTES), self._file.size_bytes - self._at))
            self._data = os.pread(self._descriptor, wanted, self._file.start + self._at)
            self._start, begin = self._at, 0
        data = self._data[begin : begin + size]
        self._at += len(data)
        return data


class TarMembers:
    """The members of one archive, which is open from `__enter__` to `__exit__`. Raises OSError if it cannot be read."""

    def __init__(self, file: PackedFile) -> None:
        self._file = file

    def __enter__(self) -> TarMembers:
        self._descriptor = os.open(self._file.path, os.O_RDONLY | os.O_CLOEXEC)
        self._window = _Window(self._file, self._descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def __iter__(self) -> Iterator[Member]:
        """All regular files, in the order of the archive. Raises DatasetError."""
        self._refuse_compressed()
        tar, at = self._opened(), -1
        while True:
            if tar.offset <= at:
                raise DatasetError(f"shard {self._file.name!r} is damaged at byte {at:,}; copy or pack it again")
            at = tar.offset
            self._window.seek(at)
            try:
                info = tarfile.TarInfo.fromtarfile(tar)
            except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # a block of zeros
                self._refuse_more(at)
                return
            except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
                raise DatasetError(
                    f"shard {self._file.name!r} was cut off at byte {at:,}: it has no end; copy or pack it again"
                ) from error
            except _DAMAGED as error:
                raise DatasetError(
                    f"shard {self._file.name!r} is damaged at byte {at:,} ({error}); copy or pack it again"
                ) from error
            if info.isdir():
                continue
            self._refuse_unsafe(info)
            yield Member(normal_name(info.name), info.offset_data, info.size)

    def read(self, member: Member) -> bytes:
        """The bytes of a small member."""
        self._window.seek(member.offset)
        return self._window.read(member.size_bytes)

    def _opened(self) -> tarfile.TarFile:
        try:
            tar = tarfile.TarFile(fileobj=self._window, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
        except _DAMAGED as error:
            raise DatasetError(
                f"shard {self._file.name!r} is not a readable tar archive ({error}); pack it again"
            ) from error
        tar.offset = 0  # the constructor has looked at the first member
        return tar

    def _refuse_compressed(self) -> None:
        first = self._window.read(4)
        for start, program in _COMPRESSED.items():
            if first.startswith(start) or self._file.name.lower().endswith(COMPRESSED_TARS):
                raise DatasetError(
                    f"shard {self._file.name!r} is compressed, so that its images cannot be read one by one; "
                    f"decompress it ({program}): images do not shrink"
                )

    def _refuse_more(self, at: int) -> None:
        self._window.seek(at)
        if self._window.read(_WINDOW_BYTES).strip(b"\0"):
            raise DatasetError(
                f"shard {self._file.name!r} goes on after its end at byte {at:,}, as archives do that were appended to "
                "each other; keep each in a file of its own"
            )

    def _refuse_unsafe(self, info: tarfile.TarInfo) -> None:
        if (problem := _problem_of(info, self._file)) is not None:
            raise DatasetError(f"shard {self._file.name!r}: member {info.name[:200]!r} {problem}")


def _problem_of(info: tarfile.TarInfo, file: PackedFile) -> str | None:
    """Why a member makes its archive refused, and how to fix it; None if it is fine."""
    if len(info.name) > MAX_NAME_CHARS:
        return f"has a name of {len(info.name):,} characters; at most {MAX_NAME_CHARS:,} are allowed"
    if leads_out(info.name) or not normal_name(info.name):
        return "must have a relative name without '..', backslashes or NUL; pack it again, with / between folders"
    if not info.isreg() or info.sparse is not None:
        return "is a link, a device or a sparse file, not a plain file; pack the file it points to"
    if info.size < 0 or info.offset_data + info.size > file.size_bytes:
        return f"claims {info.size:,} bytes, more than its shard has left; copy or pack it again"
    return None
