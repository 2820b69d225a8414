"""Decode a whole dataset once: which images are readable, channel statistics, and the pixels if they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autonl_core.data.decode import Framing, Images
from autonl_core.data.decode_pool import PATIENCE_S, Readers, reader_count
from autonl_core.data.decode_worker import Decoded, Decoder, Sizes
from autonl_core.data.decoding_report import Channels, DecodingReport, UnreadableImage
from autonl_core.data.digits import DIGITS_ARCHIVE, DIGITS_SOURCE, list_digits, write_digits
from autonl_core.data.listing import Listing, list_files
from autonl_core.data.sinks import Sink
from autonl_core.datasets.items import Item, too_few_images
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.scan import list_items
from autonl_core.datasets.spec import DatasetSpec, GreyRange
from autonl_core.errors import DatasetError
from autonl_core.wording.counts import agreeing, counted

SIZES = "sizes.npy"  # of whole pictures
KEPT = "kept.npy"  # places of the readable images among all
OWN_GROUP = -1  # group of an image that shares its picture with no other
SHOWN_PROBLEMS = 100
ALONE_IMAGES = 2_000  # fewer are decoded in this process: starting readers would take longer
_CHUNK_IMAGES, _CHUNK_BYTES = 256, 16 << 20  # decoded at a time
_STATISTICS_IMAGES = 20_000
_SHOWN_CLASSES = 10
_LEAST_STD = 1 / 255  # one level, for a channel that is the same in all images: others may come later


class ChannelStatistics:
    """Mean and standard deviation of every channel, 0 to 1. Sums are integers, hence independent of the order."""

    def __init__(self) -> None:
        self._total, self._squares, self._pixels = np.zeros(3, np.int64), np.zeros(3, np.int64), 0

    def add(self, images: Images) -> None:
        values = images.astype(np.uint16)  # 255^2 fits
        self._total += values.sum(axis=(0, 1, 2), dtype=np.int64)
        self._squares += np.square(values).sum(axis=(0, 1, 2), dtype=np.int64)
        self._pixels += values.size // 3

    def mean_and_std(self) -> tuple[Channels, Channels]:
        mean = self._total / self._pixels / 255
        variance = self._squares / self._pixels / 255**2 - mean**2
        std = np.sqrt(np.maximum(variance, _LEAST_STD**2))
        return tuple(mean.tolist()), tuple(std.tolist())


@dataclass
class _Findings:
    """What a build found so far."""

    kept: list[int] = field(default_factory=list)  # rows of readable images
    sizes: list[Sizes] = field(default_factory=list)  # of those
    problems: list[UnreadableImage] = field(default_factory=list)
    statistics: ChannelStatistics = field(default_factory=ChannelStatistics)

    def measure(self, images: Images, sizes: Sizes, positions: Sequence[int]) -> None:
        """Add those at `positions` to the statistics, without what surrounds them."""
        at = np.array(positions, dtype=np.int64)
        for height, width in np.unique(sizes[at], axis=0):
            alike = at[(sizes[at] == (height, width)).all(axis=1)]
            self.statistics.add(images[alike, :height, :width])


def build(
    dataset: DatasetSpec,
    resolution: int,
    folder: Path,
    sink: Sink,
    on_progress: Callable[[float], None],
    limits: Limits,
    framing: Framing = "square",
) -> None:
    """Decode all images once. Readable ones go to `sink`; labels, splits, groups and a report into `folder`.

    Of whole pictures, the sizes too; their channel statistics are those of the pixels that they cover.

    Raises:
        DatasetError: the files are missing or changed, or a class has too few readable images in a split.
    """
    items, listing = _list(dataset, folder, limits)
    sampled = set(sampled_training_rows(items))
    found = _Findings()
    for rows, (images, sizes, problems) in _decoded(listing, resolution, folder, limits, framing, dataset.grey_range):
        good = [position for position in range(len(rows)) if position not in problems]
        found.problems += [UnreadableImage(items[rows[at]].member, problem) for at, problem in problems.items()]
        found.kept += [int(rows[position]) for position in good]
        found.sizes.append(sizes[good])
        sink.append(images[good] if problems else images)
        found.measure(images, sizes, [position for position in good if rows[position] in sampled])
        on_progress(rows[-1] / len(items))
    kept = [items[row] for row in found.kept]
    _require_readable(dataset, kept, found.problems)
    sink.close(listing, np.array(found.kept))
    _write(folder, kept, found, limits)
    if framing == "whole":
        np.save(folder / SIZES, np.concatenate(found.sizes))


def stored_at(dataset: DatasetSpec, folder: Path) -> tuple[str, Path]:
    """The kind and path of the data source with the encoded images; those of a built-in dataset are in `folder`."""
    if dataset.is_builtin:
        return DIGITS_SOURCE, folder / DIGITS_ARCHIVE
    return dataset.kind, Path(dataset.location)


def list_names(dataset: DatasetSpec, limits: Limits) -> list[str]:
    """The names of all images, in the order in which they are decoded.

    Raises:
        DatasetError: the dataset is missing, or changed since it was added.
        OSError: it cannot be read.
    """
    items = list_digits() if dataset.is_builtin else list_items(dataset, limits)
    return [item.member for item in items]


def _list(dataset: DatasetSpec, folder: Path, limits: Limits) -> tuple[list[Item], Listing]:
    """All images, and where they are stored."""
    kind, path = stored_at(dataset, folder)
    items = write_digits(path) if dataset.is_builtin else list_items(dataset, limits)
    return items, list_files(kind, path, [item.member for item in items], limits)


def sampled_training_rows(items: Sequence[Item]) -> list[int]:
    """Rows of the training images that statistics are computed from: all, or evenly spread ones of many."""
    train = [row for row, item in enumerate(items) if item.split == "train"]
    return train[:: max(1, len(train) // _STATISTICS_IMAGES)]


def _decoded(
    listing: Listing, resolution: int, folder: Path, limits: Limits, framing: Framing, grey_range: GreyRange | None
) -> Iterator[tuple[NDArray[np.int64], Decoded]]:
    """All images in order, in chunks, with their rows."""
    size = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // (3 * resolution**2)))
    chunks = [np.arange(start, min(start + size, len(listing))) for start in range(0, len(listing), size)]
    if len(listing) < ALONE_IMAGES:
        decoder = Decoder(listing, resolution, limits, framing, grey_range)
        for rows in chunks:
            yield rows, decoder.decode(rows)
        return
    listing.save(folder)
    readers = Readers(folder, listing, resolution, limits, reader_count(), PATIENCE_S, framing, grey_range)
    yield from zip(chunks, readers.decode_ahead(chunks), strict=True)


def _require_readable(dataset: DatasetSpec, kept: Sequence[Item], problems: Sequence[UnreadableImage]) -> None:
    """A class that lost its images to damage cannot be trained or tested: name the class and the first problem."""
    if short := too_few_images(dataset.classes, kept):
        first = f"; first problem: {problems[0].file}: {problems[0].problem}" if problems else ""
        raise DatasetError(
            f"dataset {dataset.name!r}: too few readable images for {', '.join(short[:_SHOWN_CLASSES])}; "
            f"{counted(len(problems), 'file')} {agreeing(len(problems), 'is')} unreadable{first}"
        )


def _write(folder: Path, kept: Sequence[Item], found: _Findings, limits: Limits) -> None:
    np.save(folder / KEPT, np.array(found.kept, dtype=np.int64))
    groups = [OWN_GROUP if item.group is None else item.group for item in kept]
    np.save(folder / "labels.npy", np.array([item.label for item in kept], dtype=np.int64))
    np.save(folder / "is_test.npy", np.array([item.split == "test" for item in kept]))
    np.save(folder / "groups.npy", np.array(groups, dtype=np.int64))
    mean, std = found.statistics.mean_and_std()
    shown = tuple(found.problems[:SHOWN_PROBLEMS])
    DecodingReport(len(kept), len(found.problems), shown, mean, std, limits).save(folder)
