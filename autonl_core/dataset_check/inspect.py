"""Decode every image once, small: can it be read, what is unusual about it, and what does it look like.

What is kept of an image takes about 350 bytes, so that hundreds of thousands fit into memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from autonl_core.data.decode import reduced_rgb, upright
from autonl_core.datasets.file_source import FileSource
from autonl_core.datasets.image_files import MAX_EXIF_BYTES, describe, open_image
from autonl_core.datasets.limits import Limits
from autonl_core.errors import ImageError

SIDE = 16  # of the thumbnail that an image is compared by
FREQUENCIES = 8  # of it, in each direction, that are kept: finer detail does not survive a resize
LOOK_DIM = FREQUENCIES**2 - 1  # all but the mean
COLOUR_SIDE = 4
_FAINT = 4.0  # grey levels of contrast below which an image counts as flat, and its noise not as a picture
_ORIENTATION = 0x0112
_MANY = 512  # images between two reports of progress


class Oddity(IntFlag):
    """What a person might not know about an image; each is dealt with in reading."""

    ANIMATED = 1
    CMYK = 2
    DEEP = 4
    ALPHA = 8
    ROTATED = 16


@dataclass
class Inspected:
    """One row per image, in the order of `names`; rows of unreadable images are zero but for `digests`."""

    names: Sequence[str]
    digests: list[bytes] = field(default_factory=list)  # of the files' bytes
    problems: dict[int, str] = field(default_factory=dict)  # why an image cannot be read
    oddities: NDArray[np.uint8] = field(init=False)  # (N,) of Oddity
    sizes: NDArray[np.int32] = field(init=False)  # (N, 2) width and height
    looks: NDArray[np.float32] = field(init=False)  # (N, LOOK_DIM) low frequencies of the luminance, relative
    means: NDArray[np.float32] = field(init=False)  # (N,) luminance, 0 to 255
    colours: NDArray[np.uint8] = field(init=False)  # (N, 2, COLOUR_SIDE, COLOUR_SIDE) chrominance
    formats: dict[str, int] = field(default_factory=dict)  # how many images of each

    def __post_init__(self) -> None:
        count = len(self.names)
        self.oddities = np.zeros(count, np.uint8)
        self.sizes = np.zeros((count, 2), np.int32)
        self.looks = np.zeros((count, LOOK_DIM), np.float32)
        self.means = np.zeros(count, np.float32)
        self.colours = np.zeros((count, 2, COLOUR_SIDE, COLOUR_SIDE), np.uint8)

    @property
    def readable(self) -> NDArray[np.int64]:
        """Rows of images that can be read."""
        good = np.ones(len(self.names), bool)
        good[list(self.problems)] = False
        return np.flatnonzero(good)


def inspect(
    files: FileSource, names: Sequence[str], limits: Limits, on_progress: Callable[[float], None] = lambda share: None
) -> Inspected:
    """Read all the named images of `files`, one after the other."""
    found = Inspected(names)
    thumbs = np.zeros((_MANY, 3, SIDE, SIDE), np.uint8)
    for row, name in enumerate(names):
        data = files.read(name)
        found.digests.append(hashlib.blake2b(data, digest_size=16).digest())
        try:
            thumbs[row % _MANY] = _inspect_one(data, limits, found, row)
        except MemoryError:
            raise
        except ImageError as error:
            found.problems[row] = str(error)
        except Exception as error:  # noqa: BLE001  (decoders raise anything on damaged bytes; the image is reported)
            found.problems[row] = describe(error)
        if row % _MANY == _MANY - 1 or row == len(names) - 1:
            _keep_looks(found, thumbs[: row % _MANY + 1], row - row % _MANY)
            thumbs[:] = 0
            on_progress((row + 1) / len(names))
    return found


def _inspect_one(data: bytes, limits: Limits, found: Inspected, row: int) -> NDArray[np.uint8]:
    """Its thumbnail, (3, SIDE, SIDE) of luminance and chrominance; the rest goes into `found`."""
    with open_image(data, limits) as image:
        size, kind, oddities = image.size, image.format or "", _oddities(image)
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG: decode no larger than needed; all of the file is read anyway
        rgb = reduced_rgb(upright(image), min(image.size) // (2 * SIDE))
        larger = min(rgb.size) >= SIDE
        thumb = rgb.resize((SIDE, SIDE), Image.Resampling.BOX if larger else Image.Resampling.BILINEAR).convert("YCbCr")
    found.sizes[row] = size
    found.oddities[row] = oddities
    found.formats[kind] = found.formats.get(kind, 0) + 1
    return np.asarray(thumb).transpose(2, 0, 1)


def _oddities(image: Image.Image) -> Oddity:
    found = Oddity(0)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a camera's MPO holds the same photo, smaller
        found |= Oddity.ANIMATED
    if image.mode in ("CMYK", "YCCK"):
        found |= Oddity.CMYK
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        found |= Oddity.DEEP
    if image.has_transparency_data:
        found |= Oddity.ALPHA
    if 0 < len(image.info.get("exif", b"")) <= MAX_EXIF_BYTES and image.getexif().get(_ORIENTATION, 1) not in (0, 1):
        found |= Oddity.ROTATED
    return found


def _keep_looks(found: Inspected, thumbs: NDArray[np.uint8], start: int) -> None:
    """What comparisons need of thumbnails (B, 3, SIDE, SIDE)."""
    rows = slice(start, start + len(thumbs))
    waves = dctn(thumbs[:, 0].astype(np.float32), axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    waves = waves.reshape(len(thumbs), -1)  # (B, FREQUENCIES ** 2)
    contrast = np.sqrt(np.square(waves[:, 1:]).sum(axis=1, keepdims=True))
    found.looks[rows] = waves[:, 1:] / np.maximum(contrast, _FAINT * SIDE)
    found.means[rows] = waves[:, 0] / SIDE
    blocks = thumbs[:, 1:].reshape(len(thumbs), 2, COLOUR_SIDE, SIDE // COLOUR_SIDE, COLOUR_SIDE, SIDE // COLOUR_SIDE)
    found.colours[rows] = np.round(blocks.mean(axis=(3, 5)))
