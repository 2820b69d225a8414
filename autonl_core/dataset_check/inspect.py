"""Decode every image once, at a small size: whether it is readable, what is unusual about it, and its descriptor.

The result takes about 350 bytes per image, so that hundreds of thousands fit into memory.
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
from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.image_files import MAX_EXIF_BYTES, describe, open_image
from autonl_core.datasets.limits import Limits
from autonl_core.errors import ImageError

SIDE = 16  # of the thumbnails that are compared
FREQUENCIES = 8  # kept in each direction: finer detail does not survive resizing
DESCRIPTOR_DIM = FREQUENCIES**2 - 1  # all frequencies but the mean
COLOUR_SIDE = 4
_FAINT = 4.0  # grey levels of contrast below which an image is considered flat, so that its noise is not compared
_ORIENTATION = 0x0112
_CHUNK = 512  # images between progress updates


class ImageTrait(IntFlag):
    """Unusual properties of an image, each handled when it is decoded."""

    ANIMATED = 1
    CMYK = 2
    DEEP = 4
    ALPHA = 8
    ROTATED = 16


@dataclass
class Inspected:
    """One row per image, in the order of `names`; rows of unreadable images are zero, except in `digests`."""

    names: Sequence[str]
    digests: list[bytes] = field(default_factory=list)  # of the files' bytes
    problems: dict[int, str] = field(default_factory=dict)  # why an image cannot be read
    traits: NDArray[np.uint8] = field(init=False)  # (N,) of ImageTrait
    sizes: NDArray[np.int32] = field(init=False)  # (N, 2) width and height
    descriptors: NDArray[np.float32] = field(init=False)  # (N, DESCRIPTOR_DIM) low frequencies of normalised luminance
    means: NDArray[np.float32] = field(init=False)  # (N,) luminance, 0 to 255
    colours: NDArray[np.uint8] = field(init=False)  # (N, 2, COLOUR_SIDE, COLOUR_SIDE) chrominance
    formats: dict[str, int] = field(default_factory=dict)  # number of images

    def __post_init__(self) -> None:
        count = len(self.names)
        self.traits = np.zeros(count, np.uint8)
        self.sizes = np.zeros((count, 2), np.int32)
        self.descriptors = np.zeros((count, DESCRIPTOR_DIM), np.float32)
        self.means = np.zeros(count, np.float32)
        self.colours = np.zeros((count, 2, COLOUR_SIDE, COLOUR_SIDE), np.uint8)

    @property
    def readable(self) -> NDArray[np.int64]:
        """Rows of readable images."""
        good = np.ones(len(self.names), bool)
        good[list(self.problems)] = False
        return np.flatnonzero(good)


def inspect(
    files: FileSource, names: Sequence[str], limits: Limits, on_progress: Callable[[float], None] = lambda share: None
) -> Inspected:
    """Decode the named images of `files`, one by one."""
    found = Inspected(names)
    thumbs = np.zeros((_CHUNK, 3, SIDE, SIDE), np.uint8)
    for row, name in enumerate(names):
        data = files.read(name)
        found.digests.append(hashlib.blake2b(data, digest_size=16).digest())
        try:
            thumbs[row % _CHUNK] = _inspect_one(data, limits, found, row)
        except MemoryError:
            raise
        except ImageError as error:
            found.problems[row] = str(error)
        except Exception as error:  # noqa: BLE001  (decoders raise anything on damaged bytes; the problem is reported)
            found.problems[row] = describe(error)
        if row % _CHUNK == _CHUNK - 1 or row == len(names) - 1:
            _store_descriptors(found, thumbs[: row % _CHUNK + 1], row - row % _CHUNK)
            thumbs[:] = 0
            on_progress((row + 1) / len(names))
    return found


def _inspect_one(data: bytes, limits: Limits, found: Inspected, row: int) -> NDArray[np.uint8]:
    """The thumbnail of an image, (3, SIDE, SIDE) of luminance and chrominance; everything else goes into `found`."""
    with open_image(data, limits) as image:
        size, kind, traits = image.size, image.format or "", _traits(image)
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG: decode no larger than needed; damage is detected nevertheless
        rgb = reduced_rgb(upright(image), min(image.size) // (2 * SIDE))
        larger = min(rgb.size) >= SIDE
        thumb = rgb.resize((SIDE, SIDE), Image.Resampling.BOX if larger else Image.Resampling.BILINEAR).convert("YCbCr")
    found.sizes[row] = size
    found.traits[row] = traits
    found.formats[kind] = found.formats.get(kind, 0) + 1
    return np.asarray(thumb).transpose(2, 0, 1)


def _traits(image: Image.Image) -> ImageTrait:
    found = ImageTrait(0)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a smaller copy
        found |= ImageTrait.ANIMATED
    if image.mode in ("CMYK", "YCCK"):
        found |= ImageTrait.CMYK
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        found |= ImageTrait.DEEP
    if image.has_transparency_data:
        found |= ImageTrait.ALPHA
    if 0 < len(image.info.get("exif", b"")) <= MAX_EXIF_BYTES and image.getexif().get(_ORIENTATION, 1) not in (0, 1):
        found |= ImageTrait.ROTATED
    return found


def _store_descriptors(found: Inspected, thumbs: NDArray[np.uint8], start: int) -> None:
    """Compute descriptors, means and colours from thumbnails (B, 3, SIDE, SIDE)."""
    rows = slice(start, start + len(thumbs))
    waves = dctn(thumbs[:, 0].astype(np.float32), axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES]
    waves = waves.reshape(len(thumbs), -1)  # (B, FREQUENCIES ** 2)
    contrast = np.sqrt(np.square(waves[:, 1:]).sum(axis=1, keepdims=True))
    found.descriptors[rows] = waves[:, 1:] / np.maximum(contrast, _FAINT * SIDE)
    found.means[rows] = waves[:, 0] / SIDE
    blocks = thumbs[:, 1:].reshape(len(thumbs), 2, COLOUR_SIDE, SIDE // COLOUR_SIDE, COLOUR_SIDE, SIDE // COLOUR_SIDE)
    found.colours[rows] = np.round(blocks.mean(axis=(3, 5)))
