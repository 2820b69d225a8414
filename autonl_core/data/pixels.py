"""Decoded images by row: in memory, in a file of pixels, or decoded whenever they are requested.

All return the same pixels and cache none. Files are read, not mapped, because the pages of a mapped file count as
memory of the process that touched them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.cache import Entry
from autonl_core.data.decode import Framing, Images
from autonl_core.data.decode_pool import PATIENCE_S, Readers, reader_count
from autonl_core.data.decode_worker import Decoded
from autonl_core.data.listing import Listing
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange
from autonl_core.errors import DatasetError
from autonl_core.wording.counts import counted

Rows = NDArray[np.int64]


class Pixels(Protocol):
    """Images of one resolution R, by row."""

    def read(self, rows: Rows) -> Images:
        """(B, R, R, 3) uint8. Raises DatasetError if files are missing or changed since they were prepared."""

    def read_ahead(self, wanted: Iterable[Rows]) -> Iterator[Images]:
        """The same for a sequence of batches of rows; the next may be read before it is requested."""


class ArrayPixels:
    """Images in memory: (N, R, R, 3) uint8."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def read(self, rows: Rows) -> Images:
        return self.images[rows]

    def read_ahead(self, wanted: Iterable[Rows]) -> Iterator[Images]:
        return map(self.read, wanted)


class CachedPixels:
    """Images in an .npy file, (N, R, R, 3) uint8, one read per image."""

    def __init__(self, path: Path, entry: Entry | None = None) -> None:
        self.path = path
        self._entry = entry  # in use as long as this object exists
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        mapped = np.load(path, mmap_mode="r")
        self._start, self._shape = int(mapped.offset), mapped.shape[1:]
        self._image_bytes = int(np.prod(self._shape))

    def read(self, rows: Rows) -> Images:
        images = np.empty((len(rows), *self._shape), dtype=np.uint8)
        for image, row in zip(images, rows.tolist(), strict=True):
            if os.preadv(self._descriptor, [image], self._start + row * self._image_bytes) < self._image_bytes:
                raise DatasetError(
                    f"{self.path} is too short to contain image {row}; delete its folder to prepare it again"
                )
        return images

    def read_ahead(self, wanted: Iterable[Rows]) -> Iterator[Images]:
        return map(self.read, wanted)


class ShardedPixels:
    """Images that reader processes decode each time, from the files of the dataset.

    `entry.folder` has their listing. The processes start when the first image is requested.
    """

    def __init__(
        self,
        entry: Entry,
        listing: Listing,
        resolution: int,
        limits: Limits,
        framing: Framing = "square",
        grey_range: GreyRange | None = None,
    ) -> None:
        self._entry, self._listing, self._resolution, self._limits = entry, listing, resolution, limits
        self._framing, self._grey_range = framing, grey_range
        self._readers: Readers | None = None

    @property
    def readers(self) -> Readers:
        if self._readers is None:
            settings = (self._resolution, self._limits, reader_count(), PATIENCE_S, self._framing, self._grey_range)
            self._readers = Readers(self._entry.folder, self._listing, *settings)
        return self._readers

    def read(self, rows: Rows) -> Images:
        return self._checked(rows, self.readers.decode(rows))

    def read_ahead(self, wanted: Iterable[Rows]) -> Iterator[Images]:
        batches = list(wanted)
        for rows, decoded in zip(batches, self.readers.decode_ahead(batches), strict=True):
            yield self._checked(rows, decoded)

    def _checked(self, rows: Rows, decoded: Decoded) -> Images:
        if problems := decoded.problems:
            position, problem = min(problems.items())
            name = self._listing.name(int(rows[position]))
            raise DatasetError(
                f"{counted(len(problems), 'image')} of the dataset changed, or cannot be read any more; "
                f"the first is {name!r}: {problem}; add the dataset again"
            )
        return decoded.images
