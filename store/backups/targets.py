"""Where a backup is written: a folder, or a tar file."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from store.backups.manifest import MANIFEST, BackedUpFile, Manifest
from store.errors import BackupError

_CHUNK_BYTES = 1 << 20


class Target(Protocol):
    """A backup that is being written."""

    def add(self, source: Path, path: str) -> BackedUpFile:
        """Copy a file as long as it is now: what is appended meanwhile is left out."""

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest."""


@contextmanager
def new_target(path: Path) -> Iterator[Target]:
    """A tar file if the name ends in `.tar`, else a folder. It gets its name once it is complete.

    Raises:
        BackupError: something has this name.
    """
    if path.exists():
        raise BackupError(f"{path} exists; name a folder, or a file that ends in .tar, that does not")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _tar(part) if path.suffix == ".tar" else _folder(part) as target:
            yield target
        part.rename(path)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, source: Path, path: str) -> BackedUpFile:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as file, target.open("xb") as writer:
            reader = _HashingReader(file)
            while chunk := reader.read(_CHUNK_BYTES):
                writer.write(chunk)
        return BackedUpFile(path, reader.sha256, reader.size_bytes)

    def finish(self, manifest: Manifest) -> None:
        (self._folder / MANIFEST).write_bytes(manifest.text())


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, source: Path, path: str) -> BackedUpFile:
        with source.open("rb") as file:
            reader = _HashingReader(file)
            self._archive.addfile(_entry(path, reader.size_bytes), cast("BinaryIO", reader))
        return BackedUpFile(path, reader.sha256, reader.size_bytes)

    def finish(self, manifest: Manifest) -> None:
        text = manifest.text()
        self._archive.addfile(_entry(MANIFEST, len(text)), io.BytesIO(text))


class _HashingReader:
    """A file up to its present end, hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size_bytes = self._left = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size_bytes: int) -> bytes:
        chunk = self._file.read(min(size_bytes, self._left))
        self._left -= len(chunk)
        self._digest.update(chunk)
        return chunk


@contextmanager
def _folder(part: Path) -> Iterator[Target]:
    part.mkdir(mode=0o700)  # it holds what all users have
    yield _Folder(part)


@contextmanager
def _tar(part: Path) -> Iterator[Target]:
    part.touch(mode=0o600, exist_ok=False)
    with tarfile.open(part, "w") as archive:
        yield _Tar(archive)


def _entry(path: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size_bytes, 0o600
    return entry
