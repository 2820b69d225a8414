"""Decode a data set once, at one resolution, for this search and all later ones on the same images.

`cache_dir/<fingerprint>-r<R>/` holds the decoded images. Where there is no room for them, a folder `<...>-sharded`
holds a listing of the encoded files instead, which reader processes decode in every epoch: the same pixels, more
slowly. That costs no disk. Files are read where they lie, one read each, which is cheap beside decoding them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autonl_core.data.build import DIGITS_ARCHIVE, IMAGES, OWN_GROUP, REPORT, PixelFile, build
from autonl_core.data.cache import Cache, Entry
from autonl_core.data.listing import Listing
from autonl_core.data.pixels import CachedPixels, Pixels, ShardedPixels
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.datasets.splits import stratified_draw
from autonl_core.errors import DatasetError
from autonl_core.host_memory import return_freed_memory

OnProgress = Callable[[float], None]


@dataclass(frozen=True)
class ImageSet:
    """Images of one split, on disk until they are used: `labels` and `groups` are (N,) int64, by row of `pixels`.

    Images of one group show the same picture; `OWN_GROUP` is a picture of its own.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]  # rows of `pixels` that belong to this set
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def subset(self, chosen: NDArray[np.int64]) -> ImageSet:
        """The images at positions `chosen` of this set."""
        return ImageSet(self.pixels, self.labels, self.indices[chosen], self.groups)

    def take(self, positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Images (B, R, R, 3) uint8 and labels (B,) at `positions` of this set."""
        rows = self.indices[positions]
        return torch.from_numpy(self.pixels.read(rows)), torch.from_numpy(self.labels[rows])

    def take_ahead(self, batches: Iterable[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        """The same for one batch of positions after the other; the next may be read before it is asked for."""
        rows = [self.indices[positions] for positions in batches]
        for some, images in zip(rows, self.pixels.read_ahead(rows), strict=True):
            yield torch.from_numpy(images), torch.from_numpy(self.labels[some])


@dataclass(frozen=True)
class PreparedData:
    """A prepared data set. `mean` and `std` are per channel, of the training images, in units of 0 to 1."""

    train: ImageSet
    test: ImageSet
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resolution: int
    report: dict[str, Any]

    @property
    def sharded(self) -> bool:
        """Whether images are decoded each time they are used, because there was no room for them decoded."""
        return isinstance(self.train.pixels, ShardedPixels)


def prepare(
    dataset: DatasetSpec,
    resolution: int,
    cache_dir: Path,
    on_progress: OnProgress = lambda share: None,
    limits: Limits = DEFAULT_LIMITS,
    cache_limit_bytes: int = 0,
) -> PreparedData:
    """The data set at `resolution`, prepared now or by an earlier search; if by one that runs, after waiting for it.

    Decoded images that nobody uses are deleted, the longest unused first, to keep `cache_dir` below
    `cache_limit_bytes` (0: as the disk allows). If these do not fit even so, they are not stored but decoded whenever
    they are used.

    Raises:
        DatasetError: the files are gone or changed, or a class has no readable image left in some split.
    """
    cache = Cache(cache_dir, cache_limit_bytes)
    name = f"{dataset.fingerprint}-r{resolution}"
    if (entry := cache.open(name)) is not None:
        return _cached(entry, resolution)
    with cache.building(name, on_wait=lambda: on_progress(0.0)) as folder:
        if (entry := cache.open(name)) is not None:  # another search was at work on it
            return _cached(entry, resolution)
        count = dataset.train_images + dataset.test_images
        with cache.room_for(count * resolution**2 * 3) as fits:
            file = PixelFile.create(folder / IMAGES, count, resolution) if fits else None
        if file is not None:
            build(dataset, resolution, folder, file, on_progress, limits)
            return_freed_memory()  # of the lists of files, a kilobyte each
            return _cached(cache.publish(folder, name), resolution)
        sharded = _sharded_name(dataset, name)
        if (entry := cache.open(sharded)) is None:
            build(dataset, resolution, folder, None, on_progress, limits)
            return_freed_memory()
            entry = cache.publish(folder, sharded)
        return _sharded(entry, dataset, resolution)


def split_validation(train: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training images in two: those that fit weights, and a stratified `fraction` that only ever judges.

    Images that show the same picture stay together.
    """
    labels = train.labels[train.indices].tolist()
    groups = None if train.groups is None else _shared(train.groups[train.indices])
    held_out = np.array(sorted(stratified_draw(labels, fraction, seed, groups)), dtype=np.int64)
    kept = np.setdiff1d(np.arange(len(labels)), held_out)
    return train.subset(kept), train.subset(held_out)


def _shared(groups: NDArray[np.int64]) -> list[int | None] | None:
    if (groups == OWN_GROUP).all():
        return None
    return [None if group == OWN_GROUP else group for group in groups.tolist()]


def _sharded_name(dataset: DatasetSpec, name: str) -> str:
    """Where members lie differs between archives of the same content, so this archive has a listing of its own."""
    if dataset.kind != "zip":
        return f"{name}-sharded"
    try:
        found = Path(dataset.location).stat()
    except OSError as error:
        raise DatasetError(f"no data set at {dataset.location}: {error.strerror}") from error
    mark = hashlib.sha256(f"{dataset.location} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()
    return f"{name}-sharded-{mark[:16]}"


def _cached(entry: Entry, resolution: int) -> PreparedData:
    return _load(entry, CachedPixels(entry.folder / IMAGES, entry), resolution)


def _sharded(entry: Entry, dataset: DatasetSpec, resolution: int) -> PreparedData:
    limits = Limits(**json.loads((entry.folder / REPORT).read_text())["limits"])  # that all of its images kept to
    location = entry.folder / DIGITS_ARCHIVE if dataset.kind == "builtin" else Path(dataset.location)
    listing = Listing.load(entry.folder, location, is_archive=dataset.kind != "folder")
    return _load(entry, ShardedPixels(entry, listing, resolution, limits), resolution)


def _load(entry: Entry, pixels: Pixels, resolution: int) -> PreparedData:
    report = json.loads((entry.folder / REPORT).read_text())
    labels, is_test, groups = (np.load(entry.folder / f"{name}.npy") for name in ("labels", "is_test", "groups"))
    return PreparedData(
        train=ImageSet(pixels, labels, np.flatnonzero(~is_test), groups),
        test=ImageSet(pixels, labels, np.flatnonzero(is_test), groups),
        mean=tuple(report["mean"]),
        std=tuple(report["std"]),
        resolution=resolution,
        report=report,
    )
