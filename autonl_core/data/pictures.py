"""Whole pictures of a dataset, for crops that have their true aspect ratio and more pixels than a network gets.

`prepare` keeps the centre square at the resolution of a network. Here a picture keeps its shape, upright, scaled down
(never up) until its longer side is at most `side`. It is stored at the top left of a square of that many pixels, so
that everything that stores and decodes squares serves pictures too, in `cache_dir/<fingerprint>-p<side>/`, or
`<...>-sharded`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.build import SIZES
from autonl_core.data.cache import Cache
from autonl_core.data.decode import Images
from autonl_core.data.decode_worker import Sizes
from autonl_core.data.decoding_report import DecodingReport
from autonl_core.data.pixels import Pixels, Rows, ShardedPixels
from autonl_core.data.prepare import OnProgress, PreparedData, decoded_images
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DatasetError


@dataclass(frozen=True)
class Pictures:
    """Whole pictures, on disk until they are used. Their rows are those of `PreparedData` of the same dataset."""

    pixels: Pixels  # (N, side, side, 3), each picture at the top left of its square
    sizes: Sizes  # (N, 2): height and width of every picture
    labels: NDArray[np.int64]  # (N,)
    side: int
    report: DecodingReport

    def __len__(self) -> int:
        return len(self.sizes)

    def read(self, rows: Rows) -> list[Images]:
        """Pictures of these rows, (height, width, 3) uint8 each. Raises as `Pixels.read`."""
        return self._without_margins(rows, self.pixels.read(rows))

    def read_ahead(self, batches: Iterable[Rows]) -> Iterator[list[Images]]:
        """The same for a sequence of batches of rows; the next may be read before it is requested."""
        wanted = list(batches)
        for rows, images in zip(wanted, self.pixels.read_ahead(wanted), strict=True):
            yield self._without_margins(rows, images)

    def _without_margins(self, rows: Rows, images: Images) -> list[Images]:
        sizes = self.sizes[rows].tolist()
        return [image[:height, :width] for image, (height, width) in zip(images, sizes, strict=True)]

    @property
    def sharded(self) -> bool:
        """Whether pictures are decoded each time they are used, because the decoded ones did not fit."""
        return isinstance(self.pixels, ShardedPixels)

    def require_rows_of(self, data: PreparedData) -> None:
        """Raise DatasetError unless every row here is that of the same image of `data`.

        They can differ if the two were prepared with other limits: other images were left out.
        """
        ours, theirs = self.report, data.report
        same = (ours.images, ours.unreadable) == (theirs.images, theirs.unreadable)
        same &= {image.file for image in ours.problems} == {image.file for image in theirs.problems}
        if not same or not np.array_equal(self.labels, data.train.labels):
            raise DatasetError(
                f"{ours.unreadable} images were left out of the pictures at {self.side} pixels and {theirs.unreadable} "
                f"of the images at {data.resolution}, so they do not belong together; delete both from the cache to "
                "prepare them again with the same limits"
            )


def prepare_pictures(
    dataset: DatasetSpec,
    side: int,
    cache_dir: Path,
    on_progress: OnProgress = lambda share: None,
    limits: Limits = DEFAULT_LIMITS,
    cache_limit_bytes: int = 0,
) -> Pictures:
    """Whole pictures of at most `side` pixels in height and width; stored, shared and raised as in `prepare`."""
    cache = Cache(cache_dir, cache_limit_bytes)
    folder, pixels = decoded_images(dataset, side, "whole", cache, on_progress, limits)
    sizes, labels = np.load(folder / SIZES), np.load(folder / "labels.npy")
    return Pictures(pixels, sizes, labels, side, DecodingReport.load(folder))
