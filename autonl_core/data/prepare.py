"""Decode a data set once, at one resolution, into arrays that later searches map into memory.

`cache_dir/<fingerprint>-r<resolution>/` holds images.npy, (N, R, R, 3) uint8, labels.npy, and report.json. It is built
beside its final name and renamed, so a half-built cache is never read and two builders do no harm.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from autonl_core.datasets import TEST_FRACTION, DatasetSpec, Item, Split, list_items, read_members
from autonl_core.errors import DatasetError, ImageError
from autonl_core.files import check_room
from autonl_core.images import describe, open_image
from autonl_core.limits import DEFAULT_LIMITS, Limits
from autonl_core.splits import stratified_draw

SHOWN_PROBLEMS = 100
ABANDONED_S = 24 * 3600.0
_BAND_ROWS = 64  # of a large image that are converted at a time
_MAX_EXIF_BYTES = 64 << 10  # a camera's; larger ones are not read, and the image stays as it lies

Images = NDArray[np.uint8]
_Decoded = tuple[Item, Images | str]  # an image, or why it cannot be read


@dataclass(frozen=True)
class ImageSet:
    """Images of one split, on disk until they are used: `images` is (N, R, R, 3) uint8, `labels` is (N,) int64."""

    images: Images
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]  # rows of `images` that belong to this set

    def __len__(self) -> int:
        return len(self.indices)

    def subset(self, chosen: NDArray[np.int64]) -> ImageSet:
        """The images at positions `chosen` of this set."""
        return ImageSet(self.images, self.labels, self.indices[chosen])

    def take(self, positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Images (B, R, R, 3) uint8 and labels (B,) at `positions` of this set."""
        rows = self.indices[positions]
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows])


@dataclass(frozen=True)
class PreparedData:
    """A decoded data set. `mean` and `std` are per channel, of the training images, in units of 0 to 1."""

    train: ImageSet
    test: ImageSet
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resolution: int
    report: dict[str, Any]


def prepare(
    dataset: DatasetSpec,
    resolution: int,
    cache_dir: Path,
    on_progress: Callable[[float], None] = lambda share: None,
    limits: Limits = DEFAULT_LIMITS,
) -> PreparedData:
    """The data set at `resolution`, decoded now or taken from the cache.

    Raises:
        DatasetError: the files are gone or changed, or a class has no readable image left in some split.
    """
    folder = cache_dir / f"{dataset.fingerprint}-r{resolution}"
    if not (folder / "report.json").exists():
        _build(dataset, resolution, folder, on_progress, limits)
    report = json.loads((folder / "report.json").read_text())
    images = np.load(folder / "images.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy")
    is_test = np.load(folder / "is_test.npy")
    return PreparedData(
        train=ImageSet(images, labels, np.flatnonzero(~is_test)),
        test=ImageSet(images, labels, np.flatnonzero(is_test)),
        mean=tuple(report["mean"]),
        std=tuple(report["std"]),
        resolution=resolution,
        report=report,
    )


def split_validation(train: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training images in two: those that fit weights, and a stratified `fraction` that only ever judges."""
    labels = train.labels[train.indices].tolist()
    held_out = np.array(sorted(stratified_draw(labels, fraction, seed)), dtype=np.int64)
    kept = np.setdiff1d(np.arange(len(labels)), held_out)
    return train.subset(kept), train.subset(held_out)


def _open_images(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A new file of that shape, all of its room taken: a disk that fills up later would kill whoever writes to it.

    Raises:
        OSError (ENOSPC): there is not so much room.
    """
    check_room(path.parent, math.prod(shape))
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return images


def _delete_abandoned(folder: Path) -> None:
    """Delete what builders of this cache left when they were killed; none takes a day."""
    for left in folder.parent.glob(f"{folder.name}.*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another search was faster
            if left.stat().st_mtime < time.time() - ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)


def _build(
    dataset: DatasetSpec, resolution: int, folder: Path, on_progress: Callable[[float], None], limits: Limits
) -> None:
    decoded, total = _decode(dataset, resolution, limits)
    building = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
    _delete_abandoned(folder)
    building.mkdir(parents=True)
    try:
        shape = (total, resolution, resolution, 3)
        images = _open_images(building / "images.npy", shape)
        kept: list[Item] = []
        problems: list[dict[str, str]] = []
        for count, (item, image) in enumerate(decoded):
            if isinstance(image, str):
                problems.append({"file": item.member, "problem": image})
            else:
                images[len(kept)] = image
                kept.append(item)
            if count % 256 == 0:
                on_progress(count / total)
        _check_readable(dataset, kept, problems)
        is_test = np.array([item.split == "test" for item in kept])
        mean, std = _channel_statistics(images, np.flatnonzero(~is_test))
        images.flush()
        np.save(building / "labels.npy", np.array([item.label for item in kept], dtype=np.int64))
        np.save(building / "is_test.npy", is_test)
        report = {"images": len(kept), "unreadable": len(problems), "problems": problems[:SHOWN_PROBLEMS]}
        (building / "report.json").write_text(json.dumps(report | {"mean": mean, "std": std}))
        try:
            building.rename(folder)
        except OSError:
            if not (folder / "report.json").exists():  # otherwise another search built the same cache first
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _decode(dataset: DatasetSpec, resolution: int, limits: Limits) -> tuple[Iterator[_Decoded], int]:
    """Images one after the other, and how many there will be."""
    if dataset.kind == "builtin":
        return _decode_digits(resolution), dataset.train_images + dataset.test_images
    items = list_items(dataset, limits)
    contents = read_members(dataset, [item.member for item in items], limits)
    pairs = zip(items, contents, strict=True)
    return ((item, _read_image(data, resolution, limits)) for item, (_, data) in pairs), len(items)


def _decode_digits(resolution: int) -> Iterator[_Decoded]:
    """The 1,797 digits of scikit-learn, 8x8 with 17 grey levels; a fifth of each class is the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = [int(label) for label in digits.target]
    tested = stratified_draw(labels, TEST_FRACTION, seed=0)
    for index, (pixels, label) in enumerate(zip(digits.images, labels, strict=True)):
        image = Image.fromarray(np.round(pixels * (255 / 16)).astype(np.uint8))
        split: Split = "test" if index in tested else "train"
        yield Item(split, label, f"digit-{index:04d}"), _fit(image, resolution)


def _read_image(data: bytes, resolution: int, limits: Limits) -> Images | str:
    try:
        with open_image(data, limits) as image:
            image.draft("RGB", (resolution, resolution))  # JPEG: decode no larger than needed
            image.load()
            if len(image.info.get("exif", b"")) <= _MAX_EXIF_BYTES:
                ImageOps.exif_transpose(image, in_place=True)
            return _fit(image, resolution)
    except MemoryError:
        raise
    except ImageError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (decoders raise anything on damaged bytes; the image is reported)
        return describe(error)


def _fit(image: Image.Image, resolution: int) -> Images:
    """RGB, shorter side scaled to `resolution`, centre square: (R, R, 3) uint8."""
    rgb = _reduced_rgb(image, min(image.size) // (2 * resolution))
    if rgb.size != (resolution, resolution):
        rgb = ImageOps.fit(rgb, (resolution, resolution), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def _reduced_rgb(image: Image.Image, factor: int) -> Image.Image:
    """RGB, both sides smaller by a whole `factor`: band by band, because conversions take many times the memory."""
    top = _top_level(image)
    if factor < 2:
        return _to_rgb(image, top)
    width, height = (-(-side // factor) for side in image.size)
    reduced = Image.new("RGB", (width, height))
    rows = max(1, _BAND_ROWS // factor) * factor
    for start in range(0, image.height, rows):
        band = image.crop((0, start, image.width, min(start + rows, image.height)))
        reduced.paste(_to_rgb(band, top).reduce(factor), (0, start // factor))
    return reduced


def _top_level(image: Image.Image) -> float:
    """What is white in an image of one deep channel; 0 for all others."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return 0.0
    brightest = float(np.asarray(image).max())
    if image.mode == "F" and brightest <= 1:
        return 1.0
    return 65535.0 if brightest > 255 else 255.0


def _to_rgb(image: Image.Image, top: float) -> Image.Image:
    """Eight bits and three colours: deep grey levels scaled, not clipped; transparency laid on white."""
    if top:
        grey = np.asarray(image, dtype=np.float64)
        return Image.fromarray(np.round(grey.clip(0, top) * (255 / top)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


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


def _channel_statistics(images: Images, rows: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of every channel, 0 to 1, over at most 20,000 evenly spread images."""
    rows = rows[:: max(1, len(rows) // 20_000)]
    total, squares, pixels = np.zeros(3), np.zeros(3), 0
    for start in range(0, len(rows), 512):
        chunk = images[rows[start : start + 512]].astype(np.float64) / 255
        total += chunk.sum(axis=(0, 1, 2))
        squares += np.square(chunk).sum(axis=(0, 1, 2))
        pixels += chunk.shape[0] * chunk.shape[1] * chunk.shape[2]
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 1e-6))
    return mean.tolist(), std.tolist()
