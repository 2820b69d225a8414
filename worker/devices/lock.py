"""The lock of a GPU or MIG slice among all workers of a host, and the record of why it is set aside.

Both are in one file. The kernel ends the lock when the last process that has the file open is gone: a search process
inherits it, so the GPU of a worker that was killed stays locked until its search process is gone too.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

MAX_WAIT_S = 3600.0
_MAX_DOUBLINGS = 10


@dataclass(frozen=True)
class SetAside:
    """Why a GPU is not used for a while.

    Args:
        failures: probes that failed since the last one that passed.
        until: seconds since 1970; then it is tried again.
    """

    failures: int
    until: float
    reason: str

    def lasts(self) -> bool:
        """Whether it is not tried yet. A clock that was set back does not prolong it beyond the longest wait."""
        return 0 < self.until - time.time() <= MAX_WAIT_S


class DeviceLock:
    """The lock of the device with a UUID. Open it in the process that uses it: what is forked shares the lock.

    Raises:
        OSError: the folder or the file cannot be made or opened.
    """

    def __init__(self, folder: Path, uuid: str) -> None:
        self._path = lock_path(folder, uuid)
        self.descriptor = self._open()

    def acquire(self) -> bool:
        """Whether the device is now ours alone. Never waits.

        Programs that clear temporary folders delete old files: then others would lock another file of this name.

        Raises:
            OSError: the file was deleted, and cannot be made again.
        """
        if not self._is_in_place():
            self.close()
            self.descriptor = self._open()
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if not self._is_in_place():  # deleted just now; next time there is another one
            self.release()
            return False
        os.utime(self.descriptor)
        return True

    def release(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def renew(self) -> None:
        """Release the lock for good for every process that shares it, and get ready to take it again without them.

        Raises:
            OSError: the file cannot be opened.
        """
        self.release()
        self.close()
        self.descriptor = self._open()

    def close(self) -> None:
        os.close(self.descriptor)

    def set_aside(self, reason: str, first_wait_s: float) -> SetAside:
        """Record a failure: the wait doubles with each. Call it with the lock only."""
        failures = 1 + (before.failures if (before := self.record()) is not None else 0)
        wait_s = min(first_wait_s * 2 ** min(failures - 1, _MAX_DOUBLINGS), MAX_WAIT_S)
        record = SetAside(failures, time.time() + wait_s, reason)
        self._write(json.dumps([record.failures, record.until, record.reason]))
        return record

    def clear(self) -> None:
        """Forget earlier failures. Call it with the lock only."""
        if os.fstat(self.descriptor).st_size:
            self._write("")

    def record(self) -> SetAside | None:
        """Why the device is, or was last, set aside; None: it has not failed since it last passed."""
        return read_record(self._path)

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _write(self, text: str) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)


def lock_path(folder: Path, uuid: str) -> Path:
    """The file of a device; old UUIDs of MIG slices have slashes."""
    return folder / f"{uuid.replace('/', '_')}.lock"


def read_record(path: Path) -> SetAside | None:
    """What a lock file says, which another process may be writing; None: nothing."""
    try:
        return SetAside(*json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def count_set_aside(folder: Path, uuids: tuple[str, ...]) -> int:
    """How many of these devices are set aside now."""
    records = [read_record(lock_path(folder, uuid)) for uuid in uuids]
    return sum(record is not None and record.lasts() for record in records)
