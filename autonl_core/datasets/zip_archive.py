"""Open untrusted zip archives. They are read in place; nothing is ever extracted to disk.

An archive is refused as a whole if no legitimate tool would produce it: names that lead out of it, links, duplicate
names, encryption, unusual compression, far more content than bytes on disk. A single damaged member does not cause a
refusal: it is read as empty and reported with the other unreadable images.
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
FREE_BYTES = 64 << 20  # of content that any archive may have, whatever its ratio

FIRST_BYTES = b"PK\x03\x04"
EMPTY_FIRST_BYTES = b"PK\x05\x06"  # a directory without entries
_ENTRY_SIGNATURE = b"PK\x01\x02"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile cannot bound the output of the others
_ENCRYPTED = 0x1
_UTF_8 = 0x800  # the flag of names that are not in code page 437
_EXTRA = struct.Struct("<HH")  # of an extra field: its kind, and its length in bytes
_UNICODE_PATH = 0x7075
_DEFLATE64 = 9
_LEADS_OUT = re.compile(r"^/|^[A-Za-z]:/|(?:^|/)\.\.(?:/|$)|[\\\0]")
_DAMAGED = (OSError, RuntimeError, EOFError, ValueError, KeyError, struct.error, zipfile.BadZipFile, zlib.error)


class _BoundedDirectory(io.BufferedReader):
    """The file of an archive. While `bounded`, refuses a central directory that is too long before it is parsed."""

    def __init__(self, file: io.FileIO, limits: Limits) -> None:
        super().__init__(file)
        self.bounded = True
        self._limits = limits

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.bounded:
            return super().read(size)
        limit = self._limits.files * MAX_DIRECTORY_BYTES_PER_FILE
        if (size or 0) > limit:
            raise DatasetError(f"its central directory takes {size:,} bytes, more than {limit:,}; add it as a folder")
        data = super().read(size)
        if (count := data.count(_ENTRY_SIGNATURE)) > self._limits.files:
            raise DatasetError(f"it has {count:,} members, more than {self._limits.files:,}; add it as a folder")
        return data


@contextmanager
def open_archive(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[zipfile.ZipFile]:
    """The archive at `path`, after every member's entry was checked.

    Raises:
        DatasetError: not a zip archive, damaged, or refused.
        OSError: it cannot be read.
    """
    with _BoundedDirectory(io.FileIO(path), limits) as file:
        try:
            if file.peek(4)[:4] == EMPTY_FIRST_BYTES:
                raise DatasetError("it is empty, without a single file; pack the folders of images again")
            if file.peek(4)[:4] != FIRST_BYTES:
                raise zipfile.BadZipFile("it does not start like a zip archive")
            archive = zipfile.ZipFile(file)
            _check(archive.infolist(), path.stat().st_size, limits)
        except DatasetError as error:
            raise DatasetError(f"{path} is refused: {error}") from error
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise DatasetError(f"{path} is not a readable zip archive: {error}") from error
        file.bounded = False
        with archive:
            yield archive


def starts_like_an_archive(path: Path) -> bool:
    """Whether the first bytes are those of a zip archive. Raises OSError if `path` cannot be read."""
    with path.open("rb") as file:
        return file.read(len(FIRST_BYTES)) in (FIRST_BYTES, EMPTY_FIRST_BYTES)


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The content of a member; empty if it is damaged, differs from its entry, or is larger than an image may be."""
    try:
        if info.file_size > limits.image_bytes:
            return b""
        with archive.open(info) as file:
            data = file.read(info.file_size)  # a plain read() would inflate everything, whatever the entry says
    except _DAMAGED:
        return b""
    return data if len(data) == info.file_size else b""


def member_name(info: zipfile.ZipInfo) -> str:
    """The name of a member as it was meant.

    Names are code page 437, unless a flag says UTF-8. macOS, and many Java programs, write UTF-8 without the flag: what
    is valid UTF-8 beyond ASCII is no accident. Info-ZIP adds the name in UTF-8 as an extra field.
    """
    if info.flag_bits & _UTF_8:
        return info.filename
    stored = info.filename.encode("cp437", errors="replace")
    if (extra := _unicode_path(info.extra, info.orig_filename.encode("cp437", errors="replace"))) is not None:
        return extra
    if stored.isascii():
        return info.filename
    try:
        return stored.decode("utf-8")
    except UnicodeDecodeError:
        return info.filename


def _unicode_path(extra: bytes, stored: bytes) -> str | None:
    """The name in the extra field for it, if that field was written for the `stored` name."""
    while len(extra) >= _EXTRA.size:
        kind, size_bytes = _EXTRA.unpack_from(extra)
        body = extra[_EXTRA.size : _EXTRA.size + size_bytes]
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1:
            try:
                name = body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
            return name if int.from_bytes(body[1:5], "little") == zlib.crc32(stored) else None
        extra = extra[_EXTRA.size + size_bytes :]
    return None


def _check(infos: list[zipfile.ZipInfo], size_bytes: int, limits: Limits) -> None:
    """Raises DatasetError if a member is not allowed, or if their content takes too many bytes."""
    seen: set[str] = set()
    for info in infos:
        problem = _problem_of(info)
        name = normal_name(member_name(info))
        if problem is None and name in seen:
            problem = "appears twice; keep one"
        if problem is not None:
            raise DatasetError(f"member {info.orig_filename[:200]!r} {problem}")
        seen.add(name)
    content_bytes = sum(info.file_size for info in infos)
    limit_bytes = max(FREE_BYTES, limits.ratio * size_bytes)
    if content_bytes > limit_bytes:
        raise DatasetError(
            f"its {size_bytes:,} bytes claim to expand to {content_bytes:,}, more than {limit_bytes:,} ({limits.ratio} "
            "times its size); use a compressed image format such as PNG, or add the images as a folder"
        )
    if content_bytes > limits.content_bytes:
        raise DatasetError(
            f"its files take {content_bytes:,} bytes when decompressed, more than {limits.content_bytes:,}; "
            "make the images smaller, or add them as a folder"
        )


def _problem_of(info: zipfile.ZipInfo) -> str | None:
    """Why a member makes its archive refused, and how to fix it; None if it is fine."""
    if len(info.orig_filename) > MAX_NAME_CHARS:
        return f"has a name of {len(info.orig_filename):,} characters; at most {MAX_NAME_CHARS:,} are allowed"
    if any(map(leads_out, (info.orig_filename, info.filename, member_name(info)))):
        return "must have a relative name without '..', backslashes or NUL; pack it again, with / between folders"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file; pack the file it points to"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted; pack it without a password"
    if info.compress_type == _DEFLATE64:
        return (
            "is compressed by Deflate64, as Windows Explorer does above 2 GB; pack it with another program, such as "
            "7-Zip (method Deflate), or upload the folder: autonl dataset add NAME FOLDER"
        )
    if info.compress_type not in _METHODS:
        return f"is compressed by method {info.compress_type}; use deflate, or no compression"
    return None


def leads_out(name: str) -> bool:
    """Whether the name of a member is not one that is inside of its archive on every system."""
    return _LEADS_OUT.search(name) is not None


def normal_name(name: str) -> str:
    """`name` without empty and `.` components: equal for members that would be the same file on disk."""
    if "//" not in name and "./" not in name:
        return name.rstrip("/")
    return "/".join(part for part in name.split("/") if part not in ("", "."))
