"""Processes that open the images of a dataset check side by side, and survive images that end one or take too long.

An image that a process has no memory for beside the others is opened again while no other is being opened. So are the
images that a process had not answered when it ended: the one that ends a second process cannot be read.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import time
import weakref
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode_worker import OUT_OF_MEMORY
from autonl_core.data.listing import ListedFiles, Listing
from autonl_core.data.reader_process import ReaderGone, ReaderProcess, ReaderSilent, end, readable
from autonl_core.dataset_check.inspect_worker import RECORD, Records, digest
from autonl_core.dataset_check.request_loop import BLOCK, REQUEST, InspectTask
from autonl_core.datasets.limits import Limits
from autonl_core.host.cpus import available_cpus

BLOCK_S = 1.0  # a process sends what it found so often, or once for each image that takes longer
MAX_FATAL = 20  # images that end the process that opens them, before the check fails
_MODULE = "autonl_core.dataset_check.inspect_worker"
_LEAST_SHARE_BYTES = 256 << 20  # suffices for all but the largest images
_FAULTS = tuple(-code for code in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT))

Rows = NDArray[np.int64]


@dataclass
class Portion:
    """Images to open: their rows, or any numbers that say which, and in the same order what was found."""

    rows: Rows
    record: np.dtype[Any] = RECORD
    records: Records = field(init=False)
    problems: dict[int, str] = field(default_factory=dict)  # why an image cannot be read, by position
    done: int = 0  # records received
    again: deque[int] = field(default_factory=deque)  # positions to open again, alone

    def __post_init__(self) -> None:
        self.records = np.zeros(len(self.rows), self.record)


class Inspectors:
    """Up to `most` processes that open images, by default one per core. They end with this object or this process.

    One is started at once: it takes as long as it takes to list the images.
    """

    record: ClassVar[np.dtype[Any]] = RECORD  # of an answer

    def __init__(self, most: int | None = None) -> None:
        self._most = most or inspector_count()
        self._fatal = 0
        self._silent_until: dict[ReaderProcess, float] = {}  # monotonic, of processes that have a request
        self._processes: list[ReaderProcess] = []
        weakref.finalize(self, end, self._processes)
        self.start(1)

    def start(self, portions: int) -> None:
        """Start as many processes as are of use for so many portions."""
        while len(self._processes) < min(self._most, portions):
            self._processes.append(_started(self.module()))

    @staticmethod
    def module() -> str:
        """What each process runs."""
        return _MODULE

    def begin(self, folder: Path, listing: Listing, limits: Limits) -> None:
        """Tell the processes which images to open; they find the listing in `folder`."""
        try:
            listing.save(folder)
        except OSError as error:  # of this host, not of the dataset: the check failed, and may be tried again
            raise RuntimeError(f"the list of images could not be written: {error}") from error
        self._listing, self._limits = listing, limits
        task = InspectTask(str(folder), listing.kind, str(listing.path), limits, _share_bytes(len(self._processes)))
        self._first_line = self.line_of(task)
        for process in self._processes:
            with contextlib.suppress(ReaderGone):  # noticed when it is to open images
                process.send(self._first_line)

    def dismiss(self) -> None:
        """Let the processes end, without waiting for it."""
        for process in self._processes:
            process.close()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def inspect(self, portions: Iterable[Rows]) -> Iterator[Portion]:
        """Open all images; portions come back in the order in which they are completed.

        Raises:
            MemoryError: memory does not suffice for an image, or for a process.
            RuntimeError: a process was killed from outside, or too many images ended one or took too long.
        """
        waiting = (Portion(rows, self.record) for rows in portions)
        busy: dict[ReaderProcess, Portion] = {}
        faulty: list[Portion] = []
        complete: list[Portion] = []
        while True:
            if not faulty:  # else nothing more is begun, so that soon nothing else is being opened
                self._hand_out(waiting, busy, faulty)
            yield from complete  # while others are being opened
            complete = []
            if busy:
                for portion in self._received(busy):
                    (faulty if portion.again else complete).append(portion)
            elif faulty:
                complete = [self._opened_alone(faulty.pop())]
            else:
                return

    def _replace(self, process: ReaderProcess) -> None:
        end([process])
        self._silent_until.pop(process, None)
        place = self._processes.index(process)
        self._processes[place] = _started(self.module())
        with contextlib.suppress(ReaderGone):
            self._processes[place].send(self._first_line)

    def _hand_out(self, waiting: Iterator[Portion], busy: dict[ReaderProcess, Portion], faulty: list[Portion]) -> None:
        """Give every idle process a portion."""
        for process in [process for process in self._processes if process not in busy]:
            if (portion := next(waiting, None)) is None:
                return
            try:
                _request(process, portion, alone=False)
                self._expect_soon(process)
                busy[process] = portion
            except ReaderGone:
                self._replace(process)
                portion.again.extend(range(len(portion.rows)))
                faulty.append(portion)

    def _received(self, busy: dict[ReaderProcess, Portion]) -> list[Portion]:
        """Wait for answers; returns portions that are no longer being opened."""
        ended = []
        ready = readable(list(busy), max(0.0, min(self._silent_until[process] for process in busy) - time.monotonic()))
        late = [] if ready else [process for process in busy if self._silent_until[process] <= time.monotonic()]
        for process in (*ready, *late):
            portion = busy[process]
            try:
                if process in late:
                    process.kill()  # images that took too long, like those that crash a process, are opened again
                    raise ReaderGone
                _receive_block(process, portion, self._patience_s)
                self._expect_soon(process)
            except ReaderGone:
                self._replace(process)
                portion.again.extend(range(portion.done, len(portion.rows)))
                portion.done = len(portion.rows)
            if portion.done == len(portion.rows):
                ended.append(busy.pop(process))
        return ended

    def _opened_alone(self, portion: Portion) -> Portion:
        """Open again what has to be, one image at a time, while no other process is busy."""
        while portion.again:
            position = portion.again.popleft()
            single = Portion(portion.rows[position : position + 1], self.record)
            process = self._processes[0]
            try:
                _request(process, single, alone=True)
                _receive_block(process, single, self._patience_s)
            except (ReaderGone, ReaderSilent) as gone:
                single.problems[0] = self._fault(process, gone, self.name_of(single.rows, self._listing))
                self.note_fatal(single, self._listing, self._limits)
                self._replace(process)
            if single.again:
                raise MemoryError(_too_large(self.name_of(single.rows, self._listing)))
            portion.records[position] = single.records[0]
            if single.problems:
                portion.problems[position] = single.problems[0]
        return portion

    def _expect_soon(self, process: ReaderProcess) -> None:
        """From now on, it has the time of one image to send something."""
        self._silent_until[process] = time.monotonic() + self._patience_s

    @property
    def _patience_s(self) -> float:
        return self._limits.image_s + BLOCK_S

    def line_of(self, task: InspectTask) -> bytes:
        """What each process reads first."""
        return task.to_line()

    @staticmethod
    def name_of(rows: Rows, listing: Listing) -> str:
        """What a single image is called in messages."""
        return repr(listing.name(int(rows[0])))

    @staticmethod
    def note_fatal(single: Portion, listing: Listing, limits: Limits) -> None:
        """Complete the record of an image that ended two processes."""
        data = ListedFiles(listing, limits).read(int(single.rows[0]))
        single.records["digest"] = np.frombuffer(digest(data), np.uint8)
        single.records["length"], single.records["crc"] = len(data), zlib.crc32(data)

    def _fault(self, process: ReaderProcess, gone: Exception, name: str) -> str:
        """Why an image that ended the process cannot be read. Raises if that may not be due to the image."""
        if isinstance(gone, ReaderSilent):
            process.kill()
            ending = f"took more than {self._limits.image_s:g} s"
        elif process.code() == OUT_OF_MEMORY:
            raise MemoryError(_too_large(name))
        elif process.code() not in _FAULTS:
            raise RuntimeError(f"the process that opened {name} {process.ending()}")
        else:
            ending = process.ending()
        self._fatal += 1
        if self._fatal > MAX_FATAL:
            raise RuntimeError(
                f"more than {MAX_FATAL} images ended the process that opened them; the last one, {name}, {ending}"
            )
        return f"the process that decoded it {ending}, twice"


def _started(module: str) -> ReaderProcess:
    try:
        return ReaderProcess(module)
    except OSError as error:
        raise RuntimeError(f"a process that opens images could not be started: {error}") from error


def inspector_count() -> int:
    """One per core, as far as each gets enough memory."""
    limit_bytes = _limit_bytes()
    return max(1, min(available_cpus(), limit_bytes // _LEAST_SHARE_BYTES - 1)) if limit_bytes else available_cpus()


def _limit_bytes() -> int:
    """The limit of the address space of this process, which those that it starts inherit; 0: none."""
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_AS)
    return 0 if limit_bytes == resource.RLIM_INFINITY else limit_bytes


def _share_bytes(count: int) -> int:
    """What each of `count` processes may allocate beside the others and this one; 0: as much as alone."""
    return _limit_bytes() // (count + 1) if count > 1 else 0


def _too_large(name: str) -> str:
    return f"{name} needs more memory than the check may use"


def _request(process: ReaderProcess, portion: Portion, *, alone: bool) -> None:
    process.send(REQUEST.pack(len(portion.rows), alone) + portion.rows.tobytes())


def _receive_block(process: ReaderProcess, portion: Portion, patience_s: float) -> None:
    """Receive records of the next images of `portion`. Raises ReaderGone, and ReaderSilent after `patience_s`."""
    head = bytearray(BLOCK.size)
    process.receive(memoryview(head), patience_s)
    count, text_bytes = BLOCK.unpack(head)
    records = portion.records[portion.done : portion.done + count]
    process.receive(memoryview(records.view(np.uint8).reshape(-1).data), patience_s)
    text = bytearray(text_bytes)
    process.receive(memoryview(text), patience_s)
    portion.problems.update({portion.done + int(position): problem for position, problem in json.loads(text).items()})
    portion.again.extend(portion.done + int(position) for position in np.flatnonzero(records["short_of_memory"]))
    portion.done += count
