"""Uploaded archives and manifests: files of `Settings.datasets_dir`, named by their content.

An upload grows in a part file that its writer holds a lock on, and becomes `<sha256>.zip` only together with the row
that names it. A part without a lock belongs to nobody any more. Files that no row names are deleted under the same lock
under which rows and files appear: so none is deleted that is just coming into use.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path

from autonl_core.files import check_room, fsync_folder

_PART = ".part"
_OURS = re.compile(r"[0-9a-f]{64}\.zip|[0-9a-f]{32}\.manifest\.json")  # whatever else lies there is somebody else's


class Upload:
    """An archive that is being received. Use it in `with`: unless it was kept, nothing is left of it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{secrets.token_hex(8)}{_PART}"
        self._file = self._path.open("xb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        while not self._path.exists():  # before we had the lock, somebody took it for a part that nobody writes to
            self._file.close()
            self._file = self._path.open("xb")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what was still to be written does not matter any more
            self._file.close()

    def write(self, data: bytes) -> None:
        """Append. Raises OSError (ENOSPC) if the disk is full."""
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def complete(self) -> str:
        """Make it durable, still under its own name; returns its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._digest.hexdigest()

    def rename(self, target: Path) -> None:
        """Give it its final name; if a file of that name is there, it has the same content and stays."""
        if not target.exists():
            self._path.rename(target)
            fsync_folder(target.parent)


class DatasetFiles:
    """The folder of uploads and manifests, which every API and checker host must see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def receive(self, announced_bytes: int | None) -> Upload:
        """Begin an upload. Raises OSError (ENOSPC) if the disk has less room than was announced."""
        check_room(self.folder, announced_bytes or 0)
        return Upload(self.folder)

    def archive(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.zip"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else adds or deletes files meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def delete_parts(self) -> int:
        """Delete what uploads left whose process is gone; returns how many."""
        count = 0
        for path in self.folder.glob(f"*{_PART}"):
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or: somebody is writing to it
                path.unlink()
                count += 1
        return count

    def delete_but(self, named: Collection[str]) -> None:
        """Delete archives and manifests of other names. Call it under `locked`.

        Names, not paths: the folder may have been moved, or another host may see it at another place.
        """
        for path in self.folder.glob("*"):
            if _OURS.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
