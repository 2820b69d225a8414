"""A folder of files, with folders inside."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.packed.kinds import packed_kind
from autonl_core.errors import DatasetError

_PIECE_BYTES = 1 << 20


class Folder:
    """Files are marked by size and modification time. Links are followed, but not in circles."""

    name = "folder"
    title = "a folder"

    def detect(self, path: Path) -> bool:
        return path.is_dir() and packed_kind(path) is None

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
        self.marks: dict[str, str] = {}
        self.empty_folders: list[str] = []
        self.links_out: list[str] = []
        with contextlib.closing(self._below(within)) as entries:  # when refused halfway, a folder is still open
            for entry in entries:
                if len(self.marks) >= limits.folder_files:
                    raise DatasetError(f"{root} has more than {limits.folder_files:,} files; add a smaller folder")
                found = entry.stat()
                self.marks[self._name(entry.path)] = f"{found.st_size}-{found.st_mtime_ns}"

    def read(self, name: str) -> bytes:
        try:
            with (self._root / name).open("rb") as file:
                data = file.read(self._limits.image_bytes + 1)
        except OSError:
            return b""
        return data if len(data) <= self._limits.image_bytes else b""

    def content_mark(self, name: str) -> str:
        size_bytes = crc = 0
        with (self._root / name).open("rb") as file:
            while data := file.read(_PIECE_BYTES):
                size_bytes, crc = size_bytes + len(data), zlib.crc32(data, crc)
        return f"{size_bytes}-{crc:08x}"

    def locate(self, names: Iterable[str]) -> Iterator[Location]:
        return _located(self._root, names)

    def _below(self, within: tuple[Path, ...]) -> Generator[os.DirEntry[str], None, None]:
        """All files at any depth. Iterative: folders may be nested deeply.

        A folder that a link leads back to, from inside of it, is not entered again.
        """
        top = os.path.realpath(self._root)
        folders = [(str(self._root), top, frozenset([top]))]
        while folders:
            folder, real, around = folders.pop()
            is_empty = True
            with os.scandir(folder) as entries:
                for entry in entries:
                    is_empty = False
                    inside = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}"
                    leads_out = entry.is_symlink() and not _is_in(inside, within)
                    if entry.is_dir() and leads_out:
                        self.links_out.append(self._name(entry.path))
                    elif entry.is_dir():
                        if inside not in around:
                            folders.append((entry.path, inside, around | {inside}))
                    elif leads_out and entry.is_file():
                        raise DatasetError(self._leads_out(entry.path))
                    elif entry.is_file():
                        yield entry
                    elif entry.is_symlink():  # to nothing: named, because it may stand for a class
                        self.empty_folders.append(self._name(entry.path))
            if is_empty and folder != str(self._root):
                self.empty_folders.append(self._name(folder))

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._root)

    def _leads_out(self, path: str) -> str:
        name = self._name(path)
        return f"{self._root}: {name!r} is a link that leads out of the allowed folders; replace it with a copy"


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


def _is_in(real: str, folders: tuple[Path, ...]) -> bool:
    """Whether a path is in one of the folders; if there are none, it may be anywhere."""
    return not folders or any(Path(real).is_relative_to(folder) for folder in folders)


MEMBER = Folder()
