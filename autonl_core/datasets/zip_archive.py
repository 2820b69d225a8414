"""Zip archives that nobody vouches for. They are read in place, and nothing is ever extracted to disk.

An archive is refused as a whole when an honest program would not have written it: names that lead out of it, links,
duplicates, encryption, unusual compression, far more content than bytes on disk. A single damaged member is not: it
reads as nothing, and is reported with the other images that cannot be read.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.errors import DatasetError

MAX_DIRECTORY_BYTES_PER_FILE = 256
MAX_NAME_CHARS = 1_024
FREE_BYTES = 64 << 20  # that an archive may hold whatever the ratio

FIRST_BYTES = b"PK\x03\x04"
_ENTRY_SIGNATURE = b"PK\x01\x02"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others are inflated without a bound
_ENCRYPTED = 0x1
_LEADS_OUT = re.compile(r"^/|^[A-Za-z]:/|(?:^|/)\.\.(?:/|$)|[\\\0]")
_DAMAGED = (OSError, RuntimeError, EOFError, ValueError, KeyError, struct.error, zipfile.BadZipFile, zlib.error)


class _Listed(io.BufferedReader):
    """The file of an archive. Refuses a list of members that is too long before it is loaded."""

    def __init__(self, file: io.FileIO, limits: Limits) -> None:
        super().__init__(file)
        self.listing = True
        self._limits = limits

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.listing:
            return super().read(size)
        limit = self._limits.files * MAX_DIRECTORY_BYTES_PER_FILE
        if (size or 0) > limit:
            raise DatasetError(f"its list of members takes {size:,} bytes, more than {limit:,}; unpack it")
        data = super().read(size)
        if (count := data.count(_ENTRY_SIGNATURE)) > self._limits.files:
            raise DatasetError(
                f"it has {count:,} members, more than {self._limits.files:,}; unpack it and add the folder"
            )
        return data


@contextmanager
def open_archive(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[zipfile.ZipFile]:
    """The archive at `path`, checked member by member.

    Raises:
        DatasetError: not a zip archive, damaged, or one that is refused.
        OSError: it cannot be read.
    """
    with _Listed(io.FileIO(path), limits) as file:
        try:
            if file.peek(4)[:4] != FIRST_BYTES:
                raise zipfile.BadZipFile("it does not start as one does")
            archive = zipfile.ZipFile(file)
            _check(archive.infolist(), path.stat().st_size, limits)
        except DatasetError as error:
            raise DatasetError(f"{path} is refused: {error}") from error
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise DatasetError(f"{path} is not a readable zip archive: {error}") from error
        file.listing = False
        with archive:
            yield archive


def starts_like_an_archive(path: Path) -> bool:
    """Whether it is worth looking into. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return file.read(len(FIRST_BYTES)) == FIRST_BYTES


def read_member(archive: zipfile.ZipFile, name: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The content of a member; nothing if it is damaged, not what the list says, or larger than an image may be."""
    try:
        info = archive.getinfo(name)
        if info.file_size > limits.image_bytes:
            return b""
        with archive.open(info) as file:
            data = file.read(info.file_size)  # the size is a bound, not a hint: a plain read() inflates all there is
    except _DAMAGED:
        return b""
    return data if len(data) == info.file_size else b""


def _check(infos: list[zipfile.ZipInfo], size_bytes: int, limits: Limits) -> None:
    seen: set[str] = set()
    for info in infos:
        problem = _problem_of(info)
        name = normal_name(info.filename)
        if problem is None and name in seen:
            problem = "is there twice; keep one"
        if problem is not None:
            raise DatasetError(f"member {info.orig_filename[:200]!r} {problem}")
        seen.add(name)
    content = sum(info.file_size for info in infos)
    limit = max(FREE_BYTES, limits.ratio * size_bytes)
    if content > limit:
        raise DatasetError(
            f"its {size_bytes:,} bytes claim to hold {content:,}, and {limit:,} is the limit ({limits.ratio} times as "
            "many); pack images in a compressed format, PNG for one, or add them as a folder"
        )
    if content > limits.content_bytes:
        raise DatasetError(
            f"its files take {content:,} bytes when decompressed, more than {limits.content_bytes:,}; "
            "make the images smaller, or add them as a folder"
        )


def _problem_of(info: zipfile.ZipInfo) -> str | None:
    """Why a member makes its archive refused, and what to do."""
    if len(info.orig_filename) > MAX_NAME_CHARS:
        return f"has a name of {len(info.orig_filename):,} characters; at most {MAX_NAME_CHARS:,} are allowed"
    if _LEADS_OUT.search(info.orig_filename) or _LEADS_OUT.search(info.filename):
        return "must have a relative name without '..', backslashes and NUL; pack it anew, with / between folders"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file; pack the file itself"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted; pack it without a password"
    if info.compress_type not in _METHODS:
        return f"is compressed by method {info.compress_type}; pack it with deflate, or store it"
    return None


def normal_name(name: str) -> str:
    """`name` without empty and `.` components: equal for members that would be the same file on disk."""
    if "//" not in name and "./" not in name:
        return name.rstrip("/")
    return "/".join(part for part in name.split("/") if part not in ("", "."))
