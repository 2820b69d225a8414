"""Objects fetched several at a time, each into a file that appears once it is complete."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path

from autonl_core.datasets.buckets.objects import BucketObjects, StoredObject
from autonl_core.errors import DatasetError

AT_ONCE = 16  # requests, each for at most PIECE_BYTES, which are in memory meanwhile
PIECE_BYTES = 8 << 20
_LOOK_S = 0.5
_WAITING = 4 * AT_ONCE
_STAMPS_NS = (1 << 31) * 10**9  # the times that every file system knows

OnProgress = Callable[[float], None]


def stamp_ns(wanted: StoredObject) -> int:
    """The modification time of the file of an object: it stands for the ETag, and is equal on all hosts.

    Sources mark files by size and modification time, so a file is marked as another one exactly if its object was
    replaced by other content. Times of objects have seconds only, and change when the same content is put again.
    """
    digest = hashlib.sha256(wanted.version.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8]) % _STAMPS_NS


def part_name(wanted: StoredObject) -> str:
    """What the file of an object is called until it is complete; another one for each version."""
    return hashlib.sha256(f"{wanted.name}\n{wanted.version}".encode(errors="surrogateescape")).hexdigest()[:32]


class Fetching:
    """Fetches objects into files.

    Nothing is forced to the disk, since file systems record the size of a file after its data: whatever a power failure
    leaves incomplete has another size, and is fetched again.

    Args:
        target_of: the file of each object.
        parts: the folder of incomplete files, on the same disk.
    """

    def __init__(self, bucket: BucketObjects, target_of: Callable[[StoredObject], Path], parts: Path) -> None:
        self._bucket, self._target_of, self._parts = bucket, target_of, parts
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._done_bytes = 0

    def fetch(self, wanted: Sequence[StoredObject], on_progress: OnProgress) -> None:
        """Fetch all of them; goes on with parts of the same version. `on_progress` may raise, to end it early.

        Raises:
            DatasetError, DatasetUnavailable: as `BucketObjects.read`.
            OSError: a file cannot be written.
        """
        total_bytes = sum(one.size_bytes for one in wanted)
        left, running = iter(wanted), set[Future[None]]()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bucket") as pool:
            try:
                while True:
                    running |= {pool.submit(self._fetch, one) for one in islice(left, _WAITING - len(running))}
                    if not running:
                        return
                    finished, running = wait(running, _LOOK_S, FIRST_COMPLETED)
                    for one in finished:
                        one.result()
                    on_progress(self._done_bytes / total_bytes if total_bytes else 1.0)
            finally:
                self._stopping.set()
                pool.shutdown(cancel_futures=True)

    def _fetch(self, wanted: StoredObject) -> None:
        part, target, stamp = self._parts / part_name(wanted), self._target_of(wanted), stamp_ns(wanted)
        with part.open("ab") as file:
            if file.tell() > wanted.size_bytes:
                file.truncate(0)
            self._count(file.tell())
            for piece in self._pieces(wanted, file.tell()):
                file.write(piece)
                self._count(len(piece))
        if part.stat().st_size != wanted.size_bytes:
            return  # it was stopped
        os.utime(part, ns=(stamp, stamp))
        if part.stat().st_mtime_ns != stamp:
            raise DatasetError(
                f"the disk of {self._parts} keeps no times of nanoseconds, by which changed files are noticed; keep "
                "data on another one: AUTONL_DATA_DIR"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)

    def _pieces(self, wanted: StoredObject, start: int) -> Iterator[bytes]:
        for at in range(start, wanted.size_bytes, PIECE_BYTES):
            if self._stopping.is_set():
                return
            yield self._bucket.read(wanted, at, min(at + PIECE_BYTES, wanted.size_bytes))

    def _count(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
