"""Folders of uploaded files, which are named by their content.

An upload grows in a part file that its writer keeps locked, and gets its final name only together with the row that
names it. A part file without a lock was left by a dead process. Files that no row names are deleted under the same lock
under which rows and files are created, so a file that is about to be used is never deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import TypeVar

from autonl_core.files import check_room, fsync_folder
from store.tenant_rows import DEFAULT_TENANT

PathT = TypeVar("PathT", bound=PurePath)

_PART = ".part"
_OF_TENANTS = "tenants"  # the folder of their folders


def folder_of(folder: PathT, tenant_id: str) -> PathT:
    """Where the files of a tenant are: apart from those of others, even if their content is the same."""
    return folder if tenant_id == DEFAULT_TENANT else folder / _OF_TENANTS / tenant_id


class Upload:
    """A file that is being received. Use it in `with`: what was not renamed is deleted at the end.

    Args:
        reserve_bytes: what has to stay free on its disk.
    """

    def __init__(self, folder: Path, reserve_bytes: int = 0) -> None:
        self._folder, self._reserve_bytes = folder, reserve_bytes
        self._path = folder / f"{secrets.token_hex(8)}{_PART}"
        self._file = self._path.open("xb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        while not self._path.exists():  # deleted as an abandoned part file before we had the lock
            self._file.close()
            self._file = self._path.open("xb")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a failure to write the rest no longer matters
            self._file.close()

    def write(self, data: bytes) -> None:
        """Append. Raises OSError (ENOSPC) if the disk is full, or would be but for the reserve."""
        check_room(self._folder, len(data), self._reserve_bytes)
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def complete(self) -> str:
        """Make it durable, still under its temporary name; returns its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def rename(self, target: Path) -> None:
        """Give it its final name. A file that already has this name has the same content, and is kept."""
        if not target.exists():
            self._path.rename(target)
            fsync_folder(target.parent)


class UploadFolder:
    """A folder of uploads, which every API and checker host must share.

    Args:
        managed: the names of files that may be deleted; the folder may contain others that are not ours.
        reserve_bytes: what has to stay free on its disk.
    """

    def __init__(self, folder: Path, managed: re.Pattern[str], reserve_bytes: int) -> None:
        self.folder = folder
        self._reserve_bytes = reserve_bytes
        self._managed = managed

    def receive(self, announced_bytes: int | None) -> Upload:
        """Begin an upload. Raises DiskReserved if the disk has less room beside the reserve than was announced."""
        check_room(self.folder, announced_bytes or 0, self._reserve_bytes)
        return Upload(self.folder, self._reserve_bytes)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other processes from adding or deleting files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def delete_parts(self) -> int:
        """Delete the part files of uploads whose process died, of this tenant or, if it is the default one, of all.

        Returns:
            How many.
        """
        count = 0
        for path in (*self.folder.glob(f"*{_PART}"), *self.folder.glob(f"{_OF_TENANTS}/*/*{_PART}")):
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while the upload is still being written
                path.unlink()
                count += 1
        return count

    def delete_except(self, named: Collection[str]) -> None:
        """Delete the managed files whose names are not in `named`. Call it under `locked`.

        Names, not paths: the folder may have been moved, or be mounted elsewhere on another host.
        """
        for path in self.folder.glob("*"):
            if self._managed.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
