"""Where packed files are: in a folder, or stored without compression in a zip archive.

Either way each is a part of a file on disk that is read in pieces. Nothing is ever extracted.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autonl_core.datasets.limits import Limits
from autonl_core.datasets.names import is_left_behind, parts_of
from autonl_core.datasets.packed.kinds import PackedKind, kind_of_name
from autonl_core.datasets.zip_archive import member_name, open_archive, starts_like_an_archive
from autonl_core.errors import DatasetError

MAX_PACKED_FILES = 100_000
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: signature, length of its name, length of its extra field


class PackedFile(NamedTuple):
    """A part of a file on disk."""

    name: str  # relative to the root of the dataset
    path: Path  # of the file that has it
    start: int  # in that file, in bytes
    size_bytes: int
    mark: int  # of that file: changes when it is written again
    tag: str  # as text: changes with the content


@dataclass(frozen=True)
class Packed:
    """The packed files of a dataset by name, and the small files beside them."""

    files: tuple[PackedFile, ...]
    others: tuple[PackedFile, ...]

    @property
    def state(self) -> str:
        """Changes with any file."""
        return "\n".join(f"{file.name} {file.size_bytes} {file.tag}" for file in (*self.files, *self.others))


def find_packed(path: Path, kind: PackedKind, limits: Limits, within: tuple[Path, ...] = ()) -> Packed:
    """The packed files in the folder, or the zip archive, at `path`.

    Raises:
        DatasetError: there are none, or too many; a link leads out of the folders `within`; an archive is refused, or
            has compressed them.
        OSError: it cannot be read.
    """
    if path.is_dir():
        found = sorted(_in_folder(path, within))
    elif path.is_file() and starts_like_an_archive(path):
        found = sorted(_in_archive(path, limits))
    else:
        raise DatasetError(f"no dataset at {path}: it is neither a folder nor a zip archive with files to read")
    packed = tuple(file for file in found if kind_of_name(file.name) == kind)
    if not packed:
        raise DatasetError(f"no dataset at {path}: it has no files that images are packed in")
    if len(packed) > MAX_PACKED_FILES:
        raise DatasetError(f"{path} has {len(packed):,} packed files, more than {MAX_PACKED_FILES:,}; pack larger ones")
    return Packed(packed, tuple(file for file in found if kind_of_name(file.name) is None))


def read_part(file: PackedFile, offset: int, size_bytes: int) -> bytes:
    """Bytes of a packed file from `offset` on; fewer at its end. Raises OSError."""
    with file.path.open("rb", buffering=0) as opened:
        left = max(0, file.size_bytes - offset)
        return os.pread(opened.fileno(), min(size_bytes, left), file.start + offset)


def _in_folder(root: Path, within: tuple[Path, ...]) -> Iterator[PackedFile]:
    folders = [root, *sorted(entry for entry in root.iterdir() if entry.is_dir() and not is_left_behind((entry.name,)))]
    for folder in folders:
        for path in folder.iterdir():
            if is_left_behind((path.name,)) or not path.is_file():
                continue
            name = str(path.relative_to(root))
            if within and not any(path.resolve().is_relative_to(allowed) for allowed in within):
                raise DatasetError(
                    f"{root}: {name!r} is a link that leads out of the allowed folders; replace it with a copy"
                )
            found = path.stat()
            yield PackedFile(name, path, 0, found.st_size, found.st_mtime_ns, f"{found.st_mtime_ns:x}")


def _in_archive(path: Path, limits: Limits) -> Iterator[PackedFile]:
    found = path.stat()
    with open_archive(path, limits) as archive, path.open("rb") as file:
        for info in archive.infolist():
            name = member_name(info)
            parts = parts_of(name)
            if info.is_dir() or is_left_behind(parts) or len(parts) > 2:
                continue
            if info.compress_type != zipfile.ZIP_STORED:
                if kind_of_name(name) is None:
                    continue
                raise DatasetError(
                    f"{path}: {name!r} is compressed in the archive, so that its images cannot be read one by one; "
                    "pack it again without compression (zip -0), which costs no space"
                )
            start = _start_of(file.fileno(), info)
            if start + info.file_size > found.st_size:
                raise DatasetError(f"{path}: {name!r} ends beyond the archive; pack or copy it again")
            tag = f"{info.CRC:08x}"
            yield PackedFile("/".join(parts), path, start, info.file_size, found.st_mtime_ns, tag)


def _start_of(descriptor: int, info: zipfile.ZipInfo) -> int:
    try:
        header = os.pread(descriptor, _LOCAL_HEADER.size, info.header_offset)
        _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    except (OSError, OverflowError, struct.error) as error:
        raise DatasetError(f"member {info.orig_filename[:200]!r} of the archive is damaged; pack it again") from error
    return info.header_offset + _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)
