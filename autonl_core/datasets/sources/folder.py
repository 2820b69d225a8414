"""A folder of files, with folders inside."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.limits import Limits
from autonl_core.errors import DatasetError


class Folder:
    """Files are marked by size and modification time; links to files count, links to folders do not."""

    name = "folder"
    title = "a folder"

    def detect(self, path: Path) -> bool:
        return path.is_dir()

    @contextlib.contextmanager
    def open(self, path: Path, limits: Limits, within: tuple[Path, ...]) -> Iterator[FileSource]:
        self._require(path)
        yield _OpenFolder(path, limits, within)

    def locate(self, path: Path, members: Iterable[str], limits: Limits) -> Iterator[Location]:
        self._require(path)
        yield from _located(path, members)

    def reader(self, path: Path, limits: Limits) -> _FolderReader:
        return _FolderReader(path, limits)

    def storage_mark(self, path: Path) -> str:
        return ""

    def _require(self, path: Path) -> None:
        if not path.is_dir():
            raise DatasetError(f"no dataset at {path}: it is not {self.title}")


class _OpenFolder:
    def __init__(self, root: Path, limits: Limits, within: tuple[Path, ...]) -> None:
        self._root = root
        self._limits = limits
        self.marks = _list_marks(root, limits, within)

    def read(self, name: str) -> bytes:
        try:
            with (self._root / name).open("rb") as file:
                data = file.read(self._limits.image_bytes + 1)
        except OSError:
            return b""
        return data if len(data) <= self._limits.image_bytes else b""

    def locate(self, names: Iterable[str]) -> Iterator[Location]:
        return _located(self._root, names)


class _FolderReader:
    def __init__(self, root: Path, limits: Limits) -> None:
        self._root, self._limits = root, limits

    def read(self, location: Location) -> bytes:
        if not 0 < location.size_bytes <= self._limits.image_bytes:
            return b""
        try:
            with open(self._root / location.name, "rb", buffering=0) as file:  # noqa: PTH123  (unbuffered is faster)
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != (location.size_bytes, location.mark):
                    return b""
                data = file.read(location.size_bytes)
        except (OSError, ValueError):
            return b""
        return data if len(data) == location.size_bytes else b""


def _located(root: Path, names: Iterable[str]) -> Iterator[Location]:
    for name in names:
        try:
            found = (root / name).stat()
        except OSError:
            yield Location(name)
        else:
            yield Location(name, 0, found.st_size, found.st_size, found.st_mtime_ns)


def _list_marks(root: Path, limits: Limits, within: tuple[Path, ...]) -> dict[str, str]:
    marks: dict[str, str] = {}
    with contextlib.closing(_files_below(root)) as entries:  # when refused halfway, a folder is still open
        for count, entry in enumerate(entries):
            if count >= limits.folder_files:
                raise DatasetError(f"{root} has more than {limits.folder_files:,} files; add a smaller folder")
            name = os.path.relpath(entry.path, root)
            if within and entry.is_symlink() and not _leads_into(Path(entry.path), within):
                raise DatasetError(
                    f"{root}: {name!r} is a link that leads out of the allowed folders; replace it with a copy"
                )
            found = entry.stat()
            marks[name] = f"{found.st_size}-{found.st_mtime_ns}"
    return marks


def _leads_into(link: Path, folders: tuple[Path, ...]) -> bool:
    return any(link.resolve().is_relative_to(folder) for folder in folders)


def _files_below(root: Path) -> Generator[os.DirEntry[str], None, None]:
    """All files at any depth. Iterative: folders may be nested deeper than Python can recurse."""
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():
                    yield entry


MEMBER = Folder()
