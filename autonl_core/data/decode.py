"""From the bytes of an image file to pixels: the centre square, or the whole picture.

No PyTorch: it would bloat readers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from autonl_core.datasets.image_files import MAX_EXIF_BYTES, describe, open_image
from autonl_core.datasets.limits import Limits
from autonl_core.errors import ImageError

_BAND_ROWS = 64  # rows of a large image converted at a time

Images = NDArray[np.uint8]
Framing = Literal[
    "square", "whole"
]  # the centre square, scaled to R x R; the whole picture, scaled down to fit into it


def read_image(data: bytes, resolution: int, limits: Limits, framing: Framing = "square") -> Images | str:
    """Decode the bytes of an image file, or the reason why it cannot be read.

    Returns (R, R, 3) uint8, or (height, width, 3) of at most R each if the picture is kept whole.
    """
    try:
        with open_image(data, limits) as image:
            needed = (resolution, resolution) if framing == "square" else size_within(image.size, resolution)
            image.draft("RGB", needed)  # JPEG: decode no larger than needed
            return (fit if framing == "square" else shrink)(upright(image), resolution)
    except MemoryError:
        raise
    except ImageError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (decoders raise anything on damaged bytes; the problem is reported)
        return describe(error)


def upright(image: Image.Image) -> Image.Image:
    """The decoded image, rotated or mirrored as its EXIF orientation says."""
    image.load()
    if len(image.info.get("exif", b"")) <= MAX_EXIF_BYTES:
        ImageOps.exif_transpose(image, in_place=True)
    return image


def fit(image: Image.Image, resolution: int) -> Images:
    """Convert to RGB, scale the shorter side to `resolution`, crop the centre square: (R, R, 3) uint8."""
    rgb = reduced_rgb(image, min(image.size) // (2 * resolution))
    if rgb.size != (resolution, resolution):
        rgb = ImageOps.fit(rgb, (resolution, resolution), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def shrink(image: Image.Image, side: int) -> Images:
    """Convert to RGB and scale down until no side is longer than `side`: (height, width, 3) uint8, never scaled up."""
    size = size_within(image.size, side)
    rgb = reduced_rgb(image, max(image.size) // (2 * side))
    return np.asarray(rgb if rgb.size == size else rgb.resize(size, Image.Resampling.BILINEAR))


def size_within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size to which an image of `size` is scaled down so that its longer side is at most `side`."""
    longer = max(*size, side)
    width, height = (max(1, round(length * side / longer)) for length in size)
    return width, height


def reduced_rgb(image: Image.Image, factor: int) -> Image.Image:
    """Convert to RGB and divide both sides by a whole `factor`, in bands: conversions need many times the memory."""
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
    """The white level of an image with one deep channel; 0 for all others."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return 0.0
    brightest = float(np.asarray(image).max())
    if image.mode == "F" and brightest <= 1:
        return 1.0
    return 65535.0 if brightest > 255 else 255.0


def _to_rgb(image: Image.Image, top: float) -> Image.Image:
    """Eight bits and three channels: deep grey levels are scaled, not clipped; transparency is blended with white."""
    if top:
        grey = np.asarray(image, dtype=np.float64)
        return Image.fromarray(np.round(grey.clip(0, top) * (255 / top)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == "RGB" else image.convert("RGB")
