"""From the bytes of an image file to pixels: the centre square, or the whole picture.

No PyTorch: it would bloat readers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from autonl_core.data.grey_levels import BAND_ROWS, is_deep, to_levels, values_of
from autonl_core.datasets.image_files import MAX_EXIF_BYTES, describe, read_opened
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.spec import GreyRange
from autonl_core.errors import ImageError

Images = NDArray[np.uint8]
ToGrey = Callable[[Image.Image], Images]  # of a part of a deep image, (H, W)
Framing = Literal[
    "square", "whole"
]  # the centre square, scaled to R x R; the whole picture, scaled down to fit into it

_ORIENTATION = 0x0112
_TURNS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(
    data: bytes, resolution: int, limits: Limits, framing: Framing = "square", grey_range: GreyRange | None = None
) -> Images | str:
    """Decode the bytes of an image file, or the reason why it cannot be read.

    Returns (R, R, 3) uint8, or (height, width, 3) of at most R each if the picture is kept whole.

    Args:
        grey_range: of the dataset, for deep images. None: the white of each is found from its brightest pixel.
    """

    def pixels(image: Image.Image) -> Images:
        needed = (resolution, resolution) if framing == "square" else size_within(image.size, resolution)
        image.draft("RGB", needed)  # JPEG: decode no larger than needed
        return (fit if framing == "square" else shrink)(upright(image), resolution, grey_range)

    try:
        return read_opened(data, limits, pixels)[0]
    except MemoryError:
        raise
    except ImageError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (decoders raise anything on damaged bytes; the problem is reported)
        return describe(error)


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """How its EXIF orientation says to turn the image; None if it is upright.

    Raises whatever readers of EXIF data raise if these are damaged.
    """
    if len(image.info.get("exif") or b"") > MAX_EXIF_BYTES:
        return None
    return _TURNS.get(image.getexif().get(_ORIENTATION, 1))


def upright(image: Image.Image) -> Image.Image:
    """The decoded image, rotated or mirrored as its EXIF orientation says; as it is if that cannot be read."""
    image.load()
    try:
        turn = turn_of(image)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (metadata never cost an image; the dataset check reports those that are damaged)
        turn = None
    return image if turn is None else image.transpose(turn)


def fit(image: Image.Image, resolution: int, grey_range: GreyRange | None = None) -> Images:
    """Convert to RGB, scale the shorter side to `resolution`, crop the centre square: (R, R, 3) uint8."""
    rgb = reduced_rgb(image, min(image.size) // (2 * resolution), grey_range)
    if rgb.size != (resolution, resolution):
        rgb = ImageOps.fit(rgb, (resolution, resolution), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def shrink(image: Image.Image, side: int, grey_range: GreyRange | None = None) -> Images:
    """Convert to RGB and scale down until no side is longer than `side`: (height, width, 3) uint8, never scaled up."""
    size = size_within(image.size, side)
    rgb = reduced_rgb(image, max(image.size) // (2 * side), grey_range)
    return np.asarray(rgb if rgb.size == size else rgb.resize(size, Image.Resampling.BILINEAR))


def size_within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size to which an image of `size` is scaled down so that its longer side is at most `side`."""
    longer = max(*size, side)
    width, height = (max(1, round(length * side / longer)) for length in size)
    return width, height


def reduced_rgb(image: Image.Image, factor: int, grey_range: GreyRange | None = None) -> Image.Image:
    """Convert to RGB and divide both sides by a whole `factor`, in bands: conversions need many times the memory."""
    to_grey = _mapping(image, grey_range)
    if factor < 2:
        return _to_rgb(image, to_grey)
    width, height = (-(-side // factor) for side in image.size)
    reduced = Image.new("RGB", (width, height))
    rows = max(1, BAND_ROWS // factor) * factor
    for start in range(0, image.height, rows):
        band = image.crop((0, start, image.width, min(start + rows, image.height)))
        reduced.paste(_to_rgb(band, to_grey).reduce(factor), (0, start // factor))
    return reduced


def _mapping(image: Image.Image, grey_range: GreyRange | None) -> ToGrey | None:
    """How values of a deep image become 0 to 255; None for all other images."""
    if grey_range is not None:
        return (lambda band: to_levels(values_of(band), grey_range)) if is_deep(image) else None
    if top := _top_level(image):
        return lambda band: np.round(np.asarray(band, dtype=np.float64).clip(0, top) * (255 / top)).astype(np.uint8)
    return None


def _top_level(image: Image.Image) -> float:
    """The white level of a deep image of a dataset that has no range; 0 for all other images."""
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return 0.0
    brightest = float(np.asarray(image).max())
    if image.mode == "F" and brightest <= 1:
        return 1.0
    return 65535.0 if brightest > 255 else 255.0


def _to_rgb(image: Image.Image, to_grey: ToGrey | None) -> Image.Image:
    """Eight bits and three channels: deep grey levels are scaled; transparency is blended with white."""
    if to_grey is not None:
        return Image.fromarray(to_grey(image)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image if image.mode == "RGB" else image.convert("RGB")
