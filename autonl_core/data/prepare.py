"""Decode a dataset once, at one resolution, for this search and all later ones on the same images.

`cache_dir/<fingerprint>-r<R>/` has the decoded images; a range of grey levels is part of the name too. If they do not
fit, a folder `<...>-sharded` has a listing of the encoded files instead, which reader processes decode in every epoch:
the same pixels, more slowly, but without disk space. Files are read in place, one read each, which is cheap compared to
decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autonl_core.data.build import KEPT, OWN_GROUP, build, list_names, stored_at
from autonl_core.data.cache import Cache, Entry
from autonl_core.data.decode import Framing
from autonl_core.data.decoding_report import Channels, DecodingReport
from autonl_core.data.listing import Listing
from autonl_core.data.pixels import CachedPixels, Pixels, ShardedPixels
from autonl_core.data.sinks import IMAGES, ListingSink, PixelSink
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.sources import get_source
from autonl_core.datasets.spec import DatasetSpec, GreyRange
from autonl_core.datasets.splits import stratified_draw
from autonl_core.errors import DatasetError
from autonl_core.host.memory import return_freed_memory

OnProgress = Callable[[float], None]
_LETTERS: dict[Framing, str] = {"square": "r", "whole": "p"}  # in names of entries


@dataclass(frozen=True)
class ImageSet:
    """Images of one split, on disk until they are used. `labels` and `groups` are (N,) int64, by row of `pixels`.

    Images of one group show the same picture; `OWN_GROUP` marks an image without a group.
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
        """The same for a sequence of batches of positions; the next may be read before it is requested."""
        batches_of_rows = [self.indices[positions] for positions in batches]
        for rows, images in zip(batches_of_rows, self.pixels.read_ahead(batches_of_rows), strict=True):
            yield torch.from_numpy(images), torch.from_numpy(self.labels[rows])


@dataclass(frozen=True)
class PreparedData:
    """A prepared dataset. `mean` and `std` are per channel, of the training images, on a scale of 0 to 1."""

    train: ImageSet
    test: ImageSet
    mean: Channels
    std: Channels
    resolution: int
    report: DecodingReport
    grey_range: GreyRange | None = None  # that of the dataset, which deep images were mapped with
    kept: NDArray[np.int64] | None = None  # places of the readable images among all; None: not written down

    @property
    def sharded(self) -> bool:
        """Whether images are decoded each time they are used, because the decoded ones did not fit."""
        return isinstance(self.train.pixels, ShardedPixels)

    def image_names(self, dataset: DatasetSpec) -> list[str]:
        """The names of the images in `dataset`, by row of the pixels.

        Raises:
            DatasetError: the dataset is missing or was changed, or its images were prepared by a version that did not
                write down which of them it could read.
            OSError: it cannot be read.
        """
        names = list_names(dataset, self.report.limits)
        if self.kept is not None:
            return [names[place] for place in self.kept]
        if self.report.unreadable:
            raise DatasetError(
                f"an earlier version prepared these images and could not read {self.report.unreadable:,} of them, and "
                "it did not write down which"
            )
        return names


def prepare(
    dataset: DatasetSpec,
    resolution: int,
    cache_dir: Path,
    on_progress: OnProgress = lambda share: None,
    limits: Limits = DEFAULT_LIMITS,
    cache_limit_bytes: int = 0,
) -> PreparedData:
    """The dataset at `resolution`, prepared now, by an earlier search, or by a running one, which is waited for.

    Unused entries are evicted, least recently used first, to keep `cache_dir` below `cache_limit_bytes` (0: as the disk
    allows). If the decoded images do not fit even so, they are not stored but decoded whenever they are used.

    Raises:
        DatasetError: the files are missing or changed, or a class has too few readable images in a split.
    """
    cache = Cache(cache_dir, cache_limit_bytes)
    folder, pixels = decoded_images(dataset, resolution, "square", cache, on_progress, limits)
    return replace(_load(folder, pixels, resolution), grey_range=dataset.grey_range)


def decoded_images(
    dataset: DatasetSpec, resolution: int, framing: Framing, cache: Cache, on_progress: OnProgress, limits: Limits
) -> tuple[Path, Pixels]:
    """The images of a dataset and the folder of what a build writes beside them, in use as long as the images are.

    Raises as `prepare`, which says how images are stored.
    """
    name = f"{dataset.fingerprint}{_range_mark(dataset)}-{_LETTERS[framing]}{resolution}"
    if (entry := cache.open(name)) is not None:
        return _cached(entry)
    with cache.building(name, on_wait=lambda: on_progress(0.0)) as folder:
        if (entry := cache.open(name)) is not None:  # another search has just built it
            return _cached(entry)
        count = dataset.train_images + dataset.test_images
        with cache.room_for(count * resolution**2 * 3) as fits:
            sink = PixelSink.create(folder, count, resolution) if fits else None
        if sink is not None:
            build(dataset, resolution, folder, sink, on_progress, limits, framing)
            return_freed_memory()  # of the lists of files, about a kilobyte per file
            return _cached(cache.publish(folder, name))
        sharded = _sharded_name(dataset, name)
        if (entry := cache.open(sharded)) is None:
            build(dataset, resolution, folder, ListingSink(folder), on_progress, limits, framing)
            return_freed_memory()
            entry = cache.publish(folder, sharded)
        return _sharded(entry, dataset, resolution, framing)


def split_validation(train: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split training images into those that fit weights and a stratified `fraction` for validation.

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


def _range_mark(dataset: DatasetSpec) -> str:
    """What sets the entry of images mapped by a range apart from that of the same images without one."""
    return "" if dataset.grey_range is None else "-" + hashlib.sha256(repr(dataset.grey_range).encode()).hexdigest()[:8]


def _sharded_name(dataset: DatasetSpec, name: str) -> str:
    """The entry with the listing of this dataset: another archive of equal content has other locations."""
    if dataset.is_builtin:
        return f"{name}-sharded"
    try:
        mark = get_source(dataset.kind).storage_mark(Path(dataset.location)) + dataset.stored
    except OSError as error:
        raise DatasetError(f"no dataset at {dataset.location}: {error.strerror}") from error
    suffix = f"-{hashlib.sha256(mark.encode()).hexdigest()[:16]}" if mark else ""
    return f"{name}-sharded{suffix}"


def _cached(entry: Entry) -> tuple[Path, Pixels]:
    return entry.folder, CachedPixels(entry.folder / IMAGES, entry)


def _sharded(entry: Entry, dataset: DatasetSpec, resolution: int, framing: Framing) -> tuple[Path, Pixels]:
    limits = DecodingReport.load(entry.folder).limits  # those it was built with
    listing = Listing.load(entry.folder, *stored_at(dataset, entry.folder))
    return entry.folder, ShardedPixels(entry, listing, resolution, limits, framing, dataset.grey_range)


def _load(folder: Path, pixels: Pixels, resolution: int) -> PreparedData:
    report = DecodingReport.load(folder)
    labels, is_test, groups = (np.load(folder / f"{name}.npy") for name in ("labels", "is_test", "groups"))
    return PreparedData(
        train=ImageSet(pixels, labels, np.flatnonzero(~is_test), groups),
        test=ImageSet(pixels, labels, np.flatnonzero(is_test), groups),
        mean=report.mean,
        std=report.std,
        resolution=resolution,
        report=report,
        kept=np.load(kept) if (kept := folder / KEPT).exists() else None,
    )
