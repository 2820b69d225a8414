"""Where the files of a data set lie: a folder, or a zip archive that is read in place. One interface for both."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.zip_archive import open_archive, read_member
from autonl_core.errors import DatasetError

Kind = Literal["folder", "zip"]


class FileSource(Protocol):
    """Files by their names relative to the root, with / between folders."""

    @property
    def marks(self) -> Mapping[str, str]:
        """Every file's name, and a mark that changes with its content."""

    def read(self, name: str) -> bytes:
        """The content of a file; nothing if it is damaged, gone, or larger than an image may be."""


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self.marks = {
            info.filename: f"{info.file_size}-{info.CRC:08x}" for info in archive.infolist() if not info.is_dir()
        }

    def read(self, name: str) -> bytes:
        return read_member(self._archive, name, self._limits)


class _Folder:
    def __init__(self, root: Path, limits: Limits, within: tuple[Path, ...]) -> None:
        self._root = root
        self._limits = limits
        self.marks = _folder_marks(root, limits, within)

    def read(self, name: str) -> bytes:
        try:
            with (self._root / name).open("rb") as file:
                data = file.read(self._limits.image_bytes + 1)
        except OSError:
            return b""
        return data if len(data) <= self._limits.image_bytes else b""


def kind_of(path: Path) -> Kind:
    """What to open `path` as."""
    return "folder" if path.is_dir() else "zip"


@contextlib.contextmanager
def open_source(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, kind: str | None = None, within: tuple[Path, ...] = ()
) -> Iterator[FileSource]:
    """The files of the folder or archive at `path`, listed. `within`: where links in a folder may lead, if not ().

    Raises:
        DatasetError: nothing there, or not of `kind`; an archive that is damaged or refused; too many files; a link
            that leads elsewhere.
        OSError: a folder cannot be read.
    """
    kind = kind or kind_of(path)
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise DatasetError(f"no data set at {path}: neither a folder nor a zip archive")
    if kind == "folder":
        yield _Folder(path, limits, within)
    else:
        with open_archive(path, limits) as archive:
            yield _Archive(archive, limits)


def _folder_marks(root: Path, limits: Limits, within: tuple[Path, ...]) -> dict[str, str]:
    """Relative names of all files, with size and time."""
    marks: dict[str, str] = {}
    with contextlib.closing(_files_below(root)) as entries:  # refused halfway, it has a folder open
        for count, entry in enumerate(entries):
            if count >= limits.folder_files:
                raise DatasetError(f"{root} holds more than {limits.folder_files:,} files; add a smaller folder")
            name = os.path.relpath(entry.path, root)
            if within and entry.is_symlink() and not _leads_into(Path(entry.path), within):
                raise DatasetError(f"{root}: {name!r} is a link that leads out of the allowed folders; copy the file")
            found = entry.stat()
            marks[name] = f"{found.st_size}-{found.st_mtime_ns}"
    return marks


def _leads_into(link: Path, folders: tuple[Path, ...]) -> bool:
    return any(link.resolve().is_relative_to(folder) for folder in folders)


def _files_below(root: Path) -> Generator[os.DirEntry[str], None, None]:
    """All files; links to files count, links to folders do not. However deep: not by recursion."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():
                    yield entry
