"""What a build keeps of the readable images: their pixels in one file, or, without room for these, where they are."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import Images
from autonl_core.data.digits import DIGITS_ARCHIVE
from autonl_core.data.listing import Listing
from autonl_core.errors import is_disk_full

IMAGES = "images.npy"


class Sink(Protocol):
    """Receives the readable images of a dataset in order."""

    def append(self, images: Images) -> None:
        """Take the next images, (B, R, R, 3) uint8."""

    def close(self, listing: Listing, kept: NDArray[np.int64]) -> None:
        """Finish. `listing` is of all files; `kept` are the rows of those that were appended."""


class PixelSink:
    """Writes pixels to images.npy, (N, R, R, 3) uint8, from its beginning. The listing is not kept."""

    def __init__(self, folder: Path, descriptor: int, start: int) -> None:
        self._folder = folder
        self._descriptor, self._end = descriptor, start
        self._close = weakref.finalize(self, os.close, descriptor)

    @staticmethod
    def create(folder: Path, count: int, resolution: int) -> PixelSink | None:
        """A new file in `folder` with all of its disk space allocated; None if there is not enough.

        Without the allocation, a disk that fills up later would fail run states and artifacts as well.
        """
        path = folder / IMAGES
        shape = (count, resolution, resolution, 3)
        with path.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            try:
                os.posix_fallocate(file.fileno(), 0, start + int(np.prod(shape)))
            except OSError as error:
                path.unlink()
                if is_disk_full(error):
                    return None
                raise
        return PixelSink(folder, os.open(path, os.O_WRONLY | os.O_CLOEXEC), start)

    def append(self, images: Images) -> None:
        rest = memoryview(np.ascontiguousarray(images).reshape(-1).data)
        while rest:  # written, not mapped: pages of a mapped file count as memory of this process
            count = os.pwrite(self._descriptor, rest, self._end)
            self._end += count
            rest = rest[count:]

    def close(self, listing: Listing, kept: NDArray[np.int64]) -> None:
        os.fsync(self._descriptor)
        self._close()
        Listing.delete(self._folder)
        (self._folder / DIGITS_ARCHIVE).unlink(missing_ok=True)


class ListingSink:
    """Keeps no pixels, only where the readable images are stored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, images: Images) -> None: ...

    def close(self, listing: Listing, kept: NDArray[np.int64]) -> None:
        listing.subset(kept).save(self._folder)
