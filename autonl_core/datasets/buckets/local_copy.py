"""The copy of a dataset in a bucket on the disk of a host, where data sources read it as any other folder or archive.

`<root>/<hash of the location>/at/LAST` is the folder, or the archive, that the location stands for. Beside `at` are the
incomplete files and the lock, which is held while the copy is brought up to date. A copy may be deleted at any time
when it is not read: it is fetched again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from autonl_core.datasets.buckets.fetching import Fetching, OnProgress, part_name, stamp_ns
from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.datasets.buckets.objects import REQUEST_S, BucketObjects, Listing, StoredObject
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.errors import DatasetError
from autonl_core.files import check_room

UNTOUCHED_S = 3600.0  # a copy that was asked for more recently may be about to be used
_WAIT_S = 0.2
_LEAVING = ".old"


@dataclass(frozen=True)
class LocalCopy:
    """Where a dataset in a bucket is on this host; `mark` is that of the objects it has."""

    location: str
    path: Path
    mark: str

    def in_user_words(self, message: str) -> str:
        """`message` with the location instead of the path, which the user has never seen."""
        return message.replace(str(self.path), self.location)


def bring_here(
    location: BucketLocation,
    root: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    expected_mark: str = "",
    reserve_bytes: int = 0,
    request_s: float = REQUEST_S,
    on_progress: OnProgress = lambda share: None,
) -> LocalCopy:
    """Bring the copy below `root` up to date: what it has is kept, what the bucket has no more is deleted.

    Args:
        expected_mark: of the objects that are wanted, and no others; empty: whatever there is.
        reserve_bytes: what has to stay free on the disk.
        on_progress: called about twice a second with the share that is done; may raise, to end it early.
    Raises:
        DatasetError: it is not there, changed, has too many objects or bytes, or names that files cannot have.
        DatasetUnavailable: the bucket does not respond.
        DiskReserved: the disk has no room for it.
        OSError: a file cannot be written.
    """
    bucket = BucketObjects(location, request_s)
    listing = bucket.list(limits, on_listed=lambda: on_progress(0.0))
    if expected_mark and listing.mark != expected_mark:
        raise DatasetError(f"{location} changed since it was added: add it again, so that it is checked")
    copy = _Copy(root, location)
    with _locked(copy.folder, on_wait=lambda: on_progress(0.0)):
        copy.update(bucket, listing, reserve_bytes, on_progress)
    return LocalCopy(str(location), copy.path, listing.mark)


def delete_unused(root: Path, read_used: Callable[[], Iterable[str]], untouched_s: float = UNTOUCHED_S) -> int:
    """Delete the copies below `root` of locations that are not used, and were not asked for recently.

    Args:
        read_used: the locations that are used. Read after the folders, so that none is missing that has a folder.
    Returns:
        How many.
    """
    before = time.time() - untouched_s
    folders = [folder for folder in root.glob("*") if _last_asked_for(folder) < before]
    if not folders:
        return 0
    used = {_name_of(location) for location in read_used()}
    return sum(_delete(folder) for folder in folders if folder.name not in used)


class _Copy:
    def __init__(self, root: Path, location: BucketLocation) -> None:
        self.folder = root / _name_of(str(location))
        self._at, self._parts = self.folder / "at", self.folder / "parts"
        self.path = self._at / location.last

    def update(self, bucket: BucketObjects, listing: Listing, reserve_bytes: int, on_progress: OnProgress) -> None:
        """Under the lock."""
        self._parts.mkdir(exist_ok=True)
        self._at.mkdir(exist_ok=True)
        self._delete_others({one.name for one in listing.objects})
        missing = [one for one in listing.objects if not self._has(one)]
        fetched_bytes = self._keep_parts({part_name(one) for one in missing})
        needed_bytes = sum(one.size_bytes for one in missing) - fetched_bytes
        if missing:
            check_room(self._parts, max(0, needed_bytes), reserve_bytes)
            Fetching(bucket, self._file_of, self._parts).fetch(missing, on_progress)

    def _file_of(self, one: StoredObject) -> Path:
        return self.path / one.name if one.name else self.path

    def _has(self, one: StoredObject) -> bool:
        try:
            found = self._file_of(one).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (one.size_bytes, stamp_ns(one))

    def _delete_others(self, names: set[str]) -> None:
        """Delete all files but those of these names, and folders that then are empty."""
        for folder, _, files in os.walk(self._at, topdown=False):
            for file in files:
                path = os.path.join(folder, file)  # noqa: PTH118  (there may be millions)
                name = os.path.relpath(path, self.path)
                if ("" if name == "." else name) not in names:
                    os.unlink(path)  # noqa: PTH108
            if folder != str(self._at):
                with contextlib.suppress(OSError):  # it is not empty
                    Path(folder).rmdir()

    def _keep_parts(self, names: set[str]) -> int:
        """Delete all incomplete files but those of these names; returns how many bytes these have."""
        kept_bytes = 0
        for part in self._parts.iterdir():
            if part.name in names:
                kept_bytes += part.stat().st_size
            else:
                part.unlink()
        return kept_bytes


def _name_of(location: str) -> str:
    return hashlib.sha256(location.encode()).hexdigest()[:32]


@contextlib.contextmanager
def _locked(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Keep other processes, of all hosts that share the disk, from changing the copy in `folder`."""
    while (lock := _open_lock(folder)) is None:
        on_wait()
        time.sleep(_WAIT_S)
    with lock:
        os.utime(lock.fileno())  # it was asked for
        yield


def _open_lock(folder: Path) -> IO[str] | None:
    """The lock, which is held until it is closed; None while another process holds it, or deletes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = (folder / "lock").open("a")
    except FileNotFoundError:
        return None
    if _take(lock, folder):
        return lock
    lock.close()
    return None


def _take(file: IO[str], folder: Path) -> bool:
    """Whether the lock `file` of `folder` could be taken, and is still there."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return (folder / "lock").stat().st_ino == os.fstat(file.fileno()).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _last_asked_for(folder: Path) -> float:
    for path in (folder / "lock", folder):
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mtime
    return time.time()  # it is gone


def _delete(folder: Path) -> bool:
    """Delete a copy unless it is being brought up to date. Killed halfway, it leaves what the next call deletes."""
    leaving = folder.with_suffix(_LEAVING)
    with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as held:
        if folder != leaving:
            lock = held.enter_context((folder / "lock").open("a"))
            if not _take(lock, folder):
                return False
            shutil.rmtree(leaving, ignore_errors=True)
            folder.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)
        return True
    return False
