"""The folder of prepared data sets: who builds, who uses, what must go when room is short.

`<root>/<name>/` is one prepared data set, `<name>.lock` of it is held by everybody who uses it, and one builder at a
time holds `<name>.build`. Locks are the kernel's (flock): they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

WAIT_S = 0.2  # between two looks at a lock that another process holds
DISK_RESERVE_BYTES = (
    1 << 30
)  # that a cache leaves for run states and artifacts, or half of what is free if that is less


class Lock:
    """An advisory lock on a file, held until `release`, or until this object or its process is gone."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._close = weakref.finalize(self, os.close, descriptor)

    @staticmethod
    def take(path: Path, *, shared: bool = False) -> Lock | None:
        """The lock on `path`, or None while another process, or another object in this one, holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            current = path.stat().st_ino == os.fstat(descriptor).st_ino
        except (BlockingIOError, FileNotFoundError):
            current = False
        except BaseException:
            os.close(descriptor)
            raise
        if not current:  # held by another, or deleted by it after we opened the file
            os.close(descriptor)
            return None
        return Lock(path, descriptor)

    def release(self) -> None:
        self._close()

    def delete(self) -> None:
        """Release it and leave no file: who waits for it makes a new one."""
        self.path.unlink(missing_ok=True)
        self._close()


class Entry:
    """A prepared data set that is not deleted as long as this object lives."""

    def __init__(self, folder: Path, lock: Lock) -> None:
        self.folder = folder
        self._lock = lock


class Cache:
    """Prepared data sets below `root`, in at most `limit_bytes`; 0: as many as the disk has room for."""

    def __init__(self, root: Path, limit_bytes: int = 0) -> None:
        self.root, self.limit_bytes = root, limit_bytes
        root.mkdir(parents=True, exist_ok=True)

    def open(self, name: str) -> Entry | None:
        """The entry of that name, in use from now on; None if there is none."""
        folder = self.root / name
        if not folder.is_dir():
            return None
        lock = _wait_for(self._lock_path(name), shared=True)  # others hold it for a moment only: who evicts it
        if not folder.is_dir():
            lock.release()  # its file stays: others may hold it by now, as a lock that is shared
            return None
        os.utime(lock.path)  # when it was used last
        return Entry(folder, lock)

    @contextlib.contextmanager
    def building(self, name: str, on_wait: Callable[[], None]) -> Iterator[Path]:
        """A new folder to build the entry `name` in, by one process at a time; see `publish`.

        Whatever is left in it at the end is deleted, also by the next builder if this one is killed.
        """
        lock = _wait_for(self.root / f"{name}.build", on_wait=on_wait)
        unfinished = self.root / f"{name}.tmp"
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            yield unfinished
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            lock.delete()

    def publish(self, unfinished: Path, name: str) -> Entry:
        """Make what was built in the folder of `building` the entry `name`, in use from now on."""
        lock = _wait_for(self._lock_path(name), shared=True)
        unfinished.rename(self.root / name)
        return Entry(self.root / name, lock)

    @contextlib.contextmanager
    def room_for(self, needed_bytes: int) -> Iterator[bool]:
        """Whether so much fits, after deleting entries that nobody uses if need be, the longest unused first.

        No other process decides the same before the `with` block ends: take the room inside of it.
        """
        lock = _wait_for(self.root / "room.lock")
        try:
            self._delete_abandoned()
            unused = self._by_last_use()
            while not (fits := self._fits(needed_bytes)) and unused and self._could_fit(needed_bytes):
                self._evict(unused.pop(0))
            yield fits
        finally:
            lock.delete()

    def size_bytes(self) -> int:
        """Bytes of all files below the root, half-built entries included."""
        total = 0
        for path in self.root.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # another process deletes
                total += path.stat().st_size if path.is_file() else 0
        return total

    def _fits(self, needed_bytes: int) -> bool:
        free_bytes = shutil.disk_usage(self.root).free
        if needed_bytes > max(free_bytes - DISK_RESERVE_BYTES, free_bytes // 2):
            return False
        return not self.limit_bytes or self.size_bytes() + needed_bytes <= self.limit_bytes

    def _could_fit(self, needed_bytes: int) -> bool:
        """Whether it is worth to delete anything."""
        within_limit = not self.limit_bytes or needed_bytes <= self.limit_bytes
        return within_limit and needed_bytes <= shutil.disk_usage(self.root).free + self.size_bytes()

    def _delete_abandoned(self) -> None:
        """Delete what was left by processes that were killed while they built or deleted an entry."""
        for folder in self.root.glob("*.old"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.root.glob("*.tmp"):
            if (lock := Lock.take(folder.with_suffix(".build"))) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.delete()

    def _by_last_use(self) -> list[str]:
        locks = [(path.stat().st_mtime_ns, path.stem) for path in self.root.glob("*.lock") if path.stem != "room"]
        return [name for _, name in sorted(locks)]

    def _evict(self, name: str) -> None:
        """Delete an entry unless it is in use."""
        lock = Lock.take(self._lock_path(name))
        if lock is None:
            return
        folder = self.root / name
        if folder.is_dir():
            leaving = self.root / f"{name}.old"
            shutil.rmtree(leaving, ignore_errors=True)
            folder.rename(leaving)  # so that a kill halfway leaves no entry that misses files
            shutil.rmtree(leaving)
        lock.delete()

    def _lock_path(self, name: str) -> Path:
        return self.root / f"{name}.lock"


def _wait_for(path: Path, *, shared: bool = False, on_wait: Callable[[], None] = lambda: None) -> Lock:
    while (lock := Lock.take(path, shared=shared)) is None:
        on_wait()
        time.sleep(WAIT_S)
    return lock
