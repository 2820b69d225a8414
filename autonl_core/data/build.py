"""Decoding a whole data set once: what can be read, the statistics of its channels, and the pixels if there is room."""

from __future__ import annotations

import io
import json
import os
import weakref
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autonl_core.data.decode import Images
from autonl_core.data.decode_pool import Readers, reader_count
from autonl_core.data.decode_worker import Decoder
from autonl_core.data.listing import Listing, list_archive, list_folder
from autonl_core.datasets.layout import Split
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import TEST_FRACTION, DatasetSpec, Item, list_items
from autonl_core.datasets.splits import stratified_draw
from autonl_core.errors import DatasetError, is_disk_full

IMAGES, REPORT, DIGITS_ARCHIVE = "images.npy", "report.json", "digits.zip"
OWN_GROUP = -1  # of an image that shows a picture of its own
SHOWN_PROBLEMS = 100
ALONE_IMAGES = 2_000  # fewer are decoded in this process: to start readers takes longer
_CHUNK_IMAGES, _CHUNK_BYTES = 256, 16 << 20  # decoded at a time
_STATISTICS_IMAGES = 20_000


class PixelFile:
    """An .npy file of images, (N, R, R, 3) uint8, filled from its beginning."""

    def __init__(self, path: Path, descriptor: int, start: int) -> None:
        self.path = path
        self._descriptor, self._end = descriptor, start
        self._close = weakref.finalize(self, os.close, descriptor)

    @staticmethod
    def create(path: Path, count: int, resolution: int) -> PixelFile | None:
        """A new file, all of its room taken: a disk that fills up later would harm whoever writes. None: no room."""
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
        return PixelFile(path, os.open(path, os.O_WRONLY | os.O_CLOEXEC), start)

    def append(self, images: Images) -> None:
        rest = memoryview(np.ascontiguousarray(images).reshape(-1).data)
        while rest:  # written, not mapped: pages of a mapped file count as memory of this process
            count = os.pwrite(self._descriptor, rest, self._end)
            self._end += count
            rest = rest[count:]

    def close(self) -> None:
        os.fsync(self._descriptor)
        self._close()


class ChannelStatistics:
    """Mean and standard deviation of every channel, 0 to 1. Sums are of integers, hence equal in any order."""

    def __init__(self) -> None:
        self._total, self._squares, self._pixels = np.zeros(3, np.int64), np.zeros(3, np.int64), 0

    def add(self, images: Images) -> None:
        values = images.astype(np.uint16)  # 255^2 fits
        self._total += values.sum(axis=(0, 1, 2), dtype=np.int64)
        self._squares += np.square(values).sum(axis=(0, 1, 2), dtype=np.int64)
        self._pixels += values.size // 3

    def mean_and_std(self) -> tuple[list[float], list[float]]:
        mean = self._total / self._pixels / 255
        std = np.sqrt(np.maximum(self._squares / self._pixels / 255**2 - mean**2, 1e-6))
        return mean.tolist(), std.tolist()


def build(
    dataset: DatasetSpec,
    resolution: int,
    folder: Path,
    file: PixelFile | None,
    on_progress: Callable[[float], None],
    limits: Limits,
) -> None:
    """Decode everything once and fill `folder`: pixels go to `file`; without one, the listing of the files stays.

    Raises:
        DatasetError: the files are gone or changed, or a class has no readable image left in some split.
    """
    items, listing = _list(dataset, folder, limits)
    train = [row for row, item in enumerate(items) if item.split == "train"]
    sampled = set(train[:: max(1, len(train) // _STATISTICS_IMAGES)])
    statistics, problems, kept = ChannelStatistics(), [], []
    for rows, images, wrong in _decoded(listing, resolution, folder, limits):
        good = [position for position in range(len(rows)) if position not in wrong]
        problems += [{"file": items[rows[position]].member, "problem": why} for position, why in wrong.items()]
        kept += [rows[position] for position in good]
        if file is not None:
            file.append(images[good] if wrong else images)
        if measured := [position for position in good if rows[position] in sampled]:
            statistics.add(images[measured])
        on_progress(rows[-1] / len(items))
    _check_readable(dataset, [items[row] for row in kept], problems)
    if file is not None:
        file.close()
        Listing.delete(folder)
        (folder / DIGITS_ARCHIVE).unlink(missing_ok=True)
    else:
        listing.subset(np.array(kept)).save(folder)
    _write(folder, [items[row] for row in kept], problems, statistics, limits)


def _write(
    folder: Path, kept: list[Item], problems: list[dict[str, str]], statistics: ChannelStatistics, limits: Limits
) -> None:
    groups = [OWN_GROUP if item.group is None else item.group for item in kept]
    np.save(folder / "labels.npy", np.array([item.label for item in kept], dtype=np.int64))
    np.save(folder / "is_test.npy", np.array([item.split == "test" for item in kept]))
    np.save(folder / "groups.npy", np.array(groups, dtype=np.int64))
    mean, std = statistics.mean_and_std()
    report = {"images": len(kept), "unreadable": len(problems), "problems": problems[:SHOWN_PROBLEMS]}
    (folder / REPORT).write_text(json.dumps(report | {"mean": mean, "std": std, "limits": asdict(limits)}))


def _list(dataset: DatasetSpec, folder: Path, limits: Limits) -> tuple[list[Item], Listing]:
    """All images, and where they lie."""
    if dataset.kind == "builtin":
        items = _write_digits(folder / DIGITS_ARCHIVE)
        return items, list_archive(folder / DIGITS_ARCHIVE, [item.member for item in items], limits)
    items = list_items(dataset, limits)
    members = [item.member for item in items]
    if dataset.kind == "zip":
        return items, list_archive(Path(dataset.location), members, limits)
    return items, list_folder(Path(dataset.location), members)


def _write_digits(path: Path) -> list[Item]:
    """The 1,797 digits of scikit-learn, 8x8 with 17 grey levels; a fifth of each class is the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = [int(label) for label in digits.target]
    tested = stratified_draw(labels, TEST_FRACTION, seed=0)
    items = []
    with zipfile.ZipFile(path, "w") as archive:
        for index, (pixels, label) in enumerate(zip(digits.images, labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(np.round(pixels * (255 / 16)).astype(np.uint8)).save(buffer, "png")
            archive.writestr(f"digit-{index:04d}", buffer.getvalue())
            split: Split = "test" if index in tested else "train"
            items.append(Item(split, label, f"digit-{index:04d}"))
    return items


def _decoded(
    listing: Listing, resolution: int, folder: Path, limits: Limits
) -> Iterator[tuple[NDArray[np.int64], Images, dict[int, str]]]:
    """All images in order, some at a time: their rows, their pixels, and what is wrong at which position."""
    size = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // (3 * resolution**2)))
    chunks = [np.arange(start, min(start + size, len(listing))) for start in range(0, len(listing), size)]
    if len(listing) < ALONE_IMAGES:
        decoder = Decoder(listing, resolution, limits)
        for rows in chunks:
            yield rows, *decoder.decode(rows)
        return
    listing.save(folder)
    readers = Readers(folder, listing, resolution, limits, reader_count())
    for rows, (images, wrong) in zip(chunks, readers.decode_ahead(chunks), strict=True):
        yield rows, images, wrong


def _check_readable(dataset: DatasetSpec, kept: list[Item], problems: list[dict[str, str]]) -> None:
    """A class that lost its images to damage cannot be learned or tested: say which, and why."""
    counts = Counter((item.label, item.split) for item in kept)
    needed: tuple[tuple[Split, int], ...] = (("train", 2), ("test", 1))  # one of the training images validates
    lost = [
        f"{name!r} ({split}: {counts[label, split]} of {least})"
        for label, name in enumerate(dataset.classes)
        for split, least in needed
        if counts[label, split] < least
    ]
    if lost:
        first = f"; first problem: {problems[0]['file']}: {problems[0]['problem']}" if problems else ""
        raise DatasetError(
            f"data set {dataset.name!r}: too few readable images for {', '.join(lost[:10])}; "
            f"{len(problems)} files are unreadable{first}"
        )
