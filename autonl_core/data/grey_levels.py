"""Deep images have one channel of more than 8 bits, or of values whose white is not 255: one range serves a dataset.

Their values have no natural black and white: a thermal camera has 7,600 to 8,400, an X-ray 0 to 4,095. One range, found
in the training images, is used for all images of a dataset. It is made of the ranges of single images, which leave out
the few brightest and darkest pixels, so that neither a defective pixel nor a damaged image changes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autonl_core.datasets.image_files import MAXVAL
from autonl_core.datasets.spec import GreyRange

BAND_ROWS = 64  # rows of a large image converted at a time
LEVELS = 255  # steps from black to white
_SAMPLED_SIDE = 256  # pixels: of larger images, evenly spread rows and columns are looked at
_EXTREME_SHARE = 0.001  # of an image's pixels on either side that do not count
_EXTREME_PIXELS = {1024: 4, 256: 2, 64: 1}  # at least so many, of an image of so many
_FILLS = (0.0, 65535.0, 32767.0, -32768.0, -9999.0, -999.0)  # usual values of pixels that were not measured
_FAR = 4.0  # spans between such a value and all others: if it counted, these would keep few grey levels
_LARGEST = 1e30  # larger numbers mark missing values
_DAMAGED_SHARE = 0.02  # of a class's images on either side that do not count
_DAMAGED_FROM = 8  # images of a class; of fewer, all count
_MARGIN = 0.02  # of the range, added on either side: rare values keep a little contrast
_USUAL_WHITES = (1.0, 255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_USUAL_SHARE = 0.75  # of 0 to a usual white that a range must cover, so that all of it is used

Values = NDArray[np.float64]


def is_deep(image: Image.Image) -> bool:
    """Whether an image has one channel whose values have no natural white."""
    if image.mode == "L":
        return image.info.get(MAXVAL, LEVELS) != LEVELS
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an opened image has several channels of more than 8 bits, of which Pillow reads the upper 8.

    For AVIF, Pillow does not say it.
    """
    tiles = getattr(image, "tile", ())
    deep = any(";16" in str(tile.args) or (image.format == "PPM" and _maxval(tile.args) > LEVELS) for tile in tiles)
    return not is_deep(image) and (deep or image.info.get("bit_depth", 8) > 8)


def _maxval(arguments: object) -> int:
    """Of the decoder of a PPM file that scales, whose last argument it is."""
    last = arguments[-1] if isinstance(arguments, tuple) else LEVELS
    return last if isinstance(last, int) else LEVELS


def values_of(image: Image.Image) -> Values:
    """(H, W): the values as its file has them. Pillow scales those of a PPM file to a white of its own."""
    values = np.asarray(image, dtype=np.float64)
    if (maxval := image.info.get(MAXVAL)) is not None:
        values = np.round(values * (maxval / (LEVELS if image.mode == "L" else 65535)))
    return values


def to_levels(values: Values, grey_range: GreyRange) -> NDArray[np.uint8]:
    """Values to 0 to 255; those outside the range to the nearer end, and what is no number to black."""
    low, high = grey_range
    inside = np.nan_to_num(values, nan=low, posinf=high, neginf=low).clip(low, high) - low
    levels: NDArray[np.uint8] = np.round(inside * LEVELS / (high - low)).astype(np.uint8)
    return levels


def range_of_image(image: Image.Image) -> GreyRange | None:
    """The lowest and highest value of a deep image but for its most extreme pixels; None if it has no numbers."""
    step = math.ceil(max(1.0, max(image.size) / _SAMPLED_SIDE))
    rows = BAND_ROWS * step
    parts = [
        values_of(image.crop((0, start, image.width, min(start + rows, image.height))))[::step, ::step].ravel()
        for start in range(0, image.height, rows)
    ]
    values = np.concatenate(parts)
    values = np.sort(values[np.isfinite(values) & (np.abs(values) < _LARGEST)])
    if not len(values):
        return None
    values = _without_fills(values)
    least = next((count for size, count in _EXTREME_PIXELS.items() if len(values) >= size), 0)
    ignored = max(least, int(_EXTREME_SHARE * len(values)))
    return float(values[ignored]), float(values[len(values) - 1 - ignored])


def _without_fills(values: Values) -> Values:
    """Sorted values without usual marks of what was not measured, such as borders, if they are far from all others."""
    others = values[~np.isin(values, _FILLS)]
    if not len(others) or others[0] == others[-1]:
        return values
    reach = _FAR * (others[-1] - others[0])
    return values[(values >= others[0] - reach) & (values <= others[-1] + reach)]


def common_range(ranges: Sequence[GreyRange], labels: Sequence[int]) -> GreyRange | None:
    """The range that serves images of these ranges and classes; None if there are none.

    Every class counts, since a rare one may be the bright one; in each, a few images that are unlike all others do not.
    """
    by_class: dict[int, list[GreyRange]] = {}
    for label, found in zip(labels, ranges, strict=True):
        by_class.setdefault(label, []).append(found)
    if not by_class:
        return None
    of_classes = [_of_class(found) for found in by_class.values()]
    return _usual(min(low for low, _ in of_classes), max(high for _, high in of_classes))


def _of_class(ranges: Sequence[GreyRange]) -> GreyRange:
    ignored = 0
    if len(ranges) >= _DAMAGED_FROM:
        ignored = max(1, int(_DAMAGED_SHARE * len(ranges)))
    return sorted(low for low, _ in ranges)[ignored], sorted(high for _, high in ranges)[-1 - ignored]


def _usual(low: float, high: float) -> GreyRange:
    """A usual range, if little of it is unused; else the one that was found, with a margin, in round numbers."""
    for white in _USUAL_WHITES:
        if low >= 0 and _USUAL_SHARE * white <= high - low and high <= white:
            return 0.0, white
    margin = _MARGIN * (high - low) or max(abs(low) / LEVELS, 1 / LEVELS)  # all values are equal: any range will do
    unit = 10.0 ** math.floor(math.log10(margin))
    lowest, highest = math.floor((low - margin) / unit) * unit, math.ceil((high + margin) / unit) * unit
    if low >= 0:
        lowest = max(lowest, 0.0)
    return float(f"{lowest:.12g}"), float(f"{highest:.12g}")
