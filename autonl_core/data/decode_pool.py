"""Reader processes: images decoded ahead of their use, in the order in which they are requested.

Every reader has at most one request, and decodes its share of one batch while the search computes on the previous one.
This bounds the memory, and avoids deadlock: this process never writes to a reader that is blocked on its output.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import Framing
from autonl_core.data.decode_worker import LENGTH, OUT_OF_MEMORY, Decoded, Handshake
from autonl_core.data.listing import Listing
from autonl_core.data.reader_process import ReaderGone, ReaderProcess, end
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange
from autonl_core.host.cpus import available_cpus

MAX_READERS = 4
PATIENCE_S = 600.0  # without a byte from a reader that has a request, before giving up

Rows = NDArray[np.int64]


@dataclass
class Request:
    """Images that readers are decoding; `decoded` is complete once it is `settled`."""

    shares: list[Rows]
    decoded: Decoded
    settled: bool = False
    dropped: bool = False


class Readers:
    """A few processes that decode images of one listing, saved in `folder`, at one resolution.

    Not thread-safe. The processes end with this object or with this process.
    """

    def __init__(
        self,
        folder: Path,
        listing: Listing,
        resolution: int,
        limits: Limits,
        count: int,
        patience_s: float = PATIENCE_S,
        framing: Framing = "square",
        grey_range: GreyRange | None = None,
    ) -> None:
        self.resolution, self.patience_s = resolution, patience_s
        self._processes: list[ReaderProcess] = []
        self._pending: Request | None = None
        weakref.finalize(self, end, self._processes)
        source = (str(folder), listing.kind, str(listing.path), limits)
        line = Handshake(*source, resolution, framing, grey_range).to_line()
        for _ in range(count):
            self._processes.append(ReaderProcess("autonl_core.data.decode_worker"))
            self._send(self._processes[-1], line)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def decode(self, rows: Rows) -> Decoded:
        """Images of these rows.

        Raises:
            MemoryError: a reader ran out of memory.
            RuntimeError: a reader died, or sent nothing for `patience_s`.
        """
        return self._result(self._request(rows))

    def decode_ahead(self, wanted: Iterable[Rows]) -> Iterator[Decoded]:
        """The same for a sequence of batches of rows; readers are one batch ahead. Raises as `decode` does."""
        ahead: Request | None = None
        try:
            for rows in wanted:
                current, ahead = ahead, None
                if current is None:
                    ahead = self._request(rows)
                    continue
                result = self._result(current)
                ahead = self._request(rows)
                yield result
            if ahead is not None:
                yield self._result(ahead)
        finally:
            if ahead is not None:  # the caller stopped early: its images are not needed
                ahead.dropped = True

    def _request(self, rows: Rows) -> Request:
        self._settle()  # another iterator may have requested images ahead
        if not self._processes:
            raise RuntimeError("the reader processes were stopped after an earlier error")
        shares = np.array_split(rows, len(self._processes))
        request = Request(shares, Decoded.empty(len(rows), self.resolution))
        for process, share in zip(self._processes, shares, strict=True):
            self._send(process, LENGTH.pack(len(share)) + share.astype(np.int64).tobytes())
        self._pending = request
        return request

    def _result(self, request: Request) -> Decoded:
        if not request.settled:
            self._settle()
        return request.decoded

    def _settle(self) -> None:
        """Receive the images that readers are decoding, if any."""
        request, self._pending = self._pending, None
        if request is None:
            return
        try:
            start = 0
            for process, share in zip(self._processes, request.shares, strict=True):
                self._receive_share(process, request, start, len(share))
                start += len(share)
        except BaseException:  # later answers would no longer match their requests
            self._give_up()
            raise
        request.settled = True
        if request.dropped:
            request.decoded = Decoded.empty(0, self.resolution)

    def _receive_share(self, process: ReaderProcess, request: Request, start: int, count: int) -> None:
        head = bytearray(LENGTH.size)
        self._receive(process, memoryview(head))
        text = bytearray(LENGTH.unpack(head)[0])
        self._receive(process, memoryview(text))
        decoded = request.decoded
        for part in (decoded.sizes, decoded.images):
            self._receive(process, memoryview(part[start : start + count].reshape(-1).view(np.uint8).data))
        decoded.problems.update({start + int(at): problem for at, problem in json.loads(text).items()})

    def _give_up(self) -> None:
        for process in self._processes:
            process.kill()
        end(self._processes)
        self._processes.clear()

    def _send(self, process: ReaderProcess, data: bytes) -> None:
        try:
            process.send(data)
        except ReaderGone:
            death = _death(process)
            self._give_up()
            raise death from None

    def _receive(self, process: ReaderProcess, into: memoryview) -> None:
        try:
            process.receive(into, self.patience_s)
        except ReaderGone:
            raise _death(process) from None


def _death(process: ReaderProcess) -> Exception:
    """The exception for a reader that is gone."""
    if process.code() == OUT_OF_MEMORY:
        return MemoryError(f"reader process {process.pid} ran out of memory")
    return RuntimeError(
        f"reader process {process.pid} {process.ending()} while it decoded images; its output is in the log of the "
        "search"
    )


def reader_count() -> int:
    """One per core, up to MAX_READERS."""
    return min(MAX_READERS, available_cpus())
