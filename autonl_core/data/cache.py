"""The folder of prepared datasets: shared use, one builder at a time, eviction when space is short.

`<root>/<name>/` is one prepared dataset. All its users hold a shared lock on `<name>.lock`; its builder holds
`<name>.build`. The locks are the kernel's (flock): they end with the process that holds them, however it ends.
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

WAIT_S = 0.2  # between two attempts to take a lock
DISK_RESERVE_BYTES = 1 << 30  # left free for run states and artifacts, or half of the free space if that is less


class Lock:
    """An advisory lock on a file, held until `release`, or until this object or its process ends."""

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
        if not current:  # held by another, or its file was deleted after we opened it
            os.close(descriptor)
            return None
        return Lock(path, descriptor)

    def release(self) -> None:
        self._close()

    def delete(self) -> None:
        """Release the lock and delete its file; a waiting process creates a new one."""
        self.path.unlink(missing_ok=True)
        self._close()


class Entry:
    """A prepared dataset, which is not evicted as long as this object exists."""

    def __init__(self, folder: Path, lock: Lock) -> None:
        self.folder = folder
        self._lock = lock


class Cache:
    """Prepared datasets in `root`, in at most `limit_bytes`; 0: as many as fit on the disk."""

    def __init__(self, root: Path, limit_bytes: int = 0) -> None:
        self.root, self.limit_bytes = root, limit_bytes
        root.mkdir(parents=True, exist_ok=True)

    def open(self, name: str) -> Entry | None:
        """The entry of this name, in use from now on; None if there is none."""
        folder = self.root / name
        if not folder.is_dir():
            return None
        lock = _wait_for(self._lock_path(name), shared=True)  # held exclusively only for a moment, to evict it
        if not folder.is_dir():
            lock.release()  # do not delete its file: another process may hold the shared lock by now
            return None
        os.utime(lock.path)  # records the last use
        return Entry(folder, lock)

    @contextlib.contextmanager
    def building(self, name: str, on_wait: Callable[[], None]) -> Iterator[Path]:
        """A new folder to build the entry `name` in, for one process at a time; finish with `publish`.

        The folder is deleted at the end unless published; if this process is killed, by the next builder.
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
        """Turn the folder from `building` into the entry `name`, in use from now on."""
        lock = _wait_for(self._lock_path(name), shared=True)
        unfinished.rename(self.root / name)
        return Entry(self.root / name, lock)

    @contextlib.contextmanager
    def room_for(self, needed_bytes: int) -> Iterator[bool]:
        """Whether `needed_bytes` fit, after evicting unused entries if necessary, least recently used first.

        No other process can decide the same until the `with` block ends: allocate the space inside it.
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
        """Bytes of all files in the root, including entries that are being built."""
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
        """Whether evicting entries could help."""
        within_limit = not self.limit_bytes or needed_bytes <= self.limit_bytes
        return within_limit and needed_bytes <= shutil.disk_usage(self.root).free + self.size_bytes()

    def _delete_abandoned(self) -> None:
        """Delete what processes left behind that were killed while they built or evicted an entry."""
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
            folder.rename(leaving)  # if killed halfway, no entry with missing files remains
            shutil.rmtree(leaving)
        lock.delete()

    def _lock_path(self, name: str) -> Path:
        return self.root / f"{name}.lock"


def _wait_for(path: Path, *, shared: bool = False, on_wait: Callable[[], None] = lambda: None) -> Lock:
    while (lock := Lock.take(path, shared=shared)) is None:
        on_wait()
        time.sleep(WAIT_S)
    return lock
