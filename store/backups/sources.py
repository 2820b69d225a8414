"""A backup that is read: a folder, or a tar file. Nothing is believed of a file before its SHA-256 is right."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from store.artifacts import copy_stream
from store.backups.manifest import MANIFEST, BackedUpFile, Manifest
from store.errors import BackupError


class Source:
    """A complete backup.

    Args:
        open_file: opens a file by its path in the backup. Raises FileNotFoundError.
    """

    def __init__(self, path: Path, open_file: Callable[[str], IO[bytes]]) -> None:
        self._path = path
        self._open = open_file
        try:
            with open_file(MANIFEST) as file:
                self.manifest = Manifest.parse(file.read())
        except FileNotFoundError as error:
            raise BackupError(f"{path} has no {MANIFEST}: it is no backup, or not a complete one") from error

    def copy(self, file: BackedUpFile, target: Path) -> None:
        """Copy a file. Raises BackupError if it is missing, or not what was backed up."""
        try:
            with self._open(file.path) as reader:
                sha256, size_bytes = copy_stream(reader, target)  # type: ignore[arg-type]  # it only reads
        except FileNotFoundError as error:
            raise BackupError(f"{file.path} is missing in {self._path}; use another backup") from error
        if (sha256, size_bytes) != (file.sha256, file.size_bytes):
            raise BackupError(
                f"{file.path} in {self._path} is damaged: {size_bytes:,} bytes with SHA-256 {sha256}, but "
                f"{file.size_bytes:,} with {file.sha256} were written; use another backup"
            )


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The backup at `path`. Raises BackupError if there is none, or it is not complete."""
    if path.is_dir():
        yield Source(path, lambda name: (path / name).open("rb"))
        return
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115  (closed below)
    except (tarfile.TarError, OSError) as error:
        raise BackupError(f"{path} cannot be opened as a backup: {error}") from error
    with archive:
        yield Source(path, lambda name: _member(archive, name))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = archive.extractfile(name)
    except KeyError as error:
        raise FileNotFoundError(name) from error
    if member is None:  # a folder, or a device
        raise FileNotFoundError(name)
    return member
