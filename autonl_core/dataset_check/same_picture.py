"""Whether two images show the same picture, decided on their pixels.

A copy that was compressed, resized, converted or cropped by a pixel or two has lost some detail, but what detail is
left in it is that of the original, everywhere. Two pictures are different if one of these holds:

- *Their finest detail is unrelated*: it is as strong in one as in the other, and does not correlate, as is the noise of
  two exposures by the same camera. What compression does to detail removes it, or leaves it correlated.
- *Their coarser detail is unrelated* in half of the places where both have some, or runs against each other in one.
- *One has a mark that the other lacks*: all detail is the same, except in one place (a scratch, a word).
- *Their colours differ*: in some place by more than compression and shifts by a pixel can explain.

Detail is divided into levels: differences of neighbouring pixels, of their means by 2, by 4, and by 8 (a Haar wavelet
transform of luminance). The constants are measured by `python -m benchmarks.duplicates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from autonl_core.dataset_check.alignment import Planes, align, halved

SIDE = 256  # longest side of the pixels that are compared
_LEVELS = 5
_LEAST_PX = 8
_TINY, _TINY_MEAN = 24.0, 16.0  # differences of images of fewer pixels on a side: of a pixel's luminance, of the mean

# Noise: the mean of squares of the diagonal detail in the smoother half of the picture, in squared levels of 255.
_STRONG, _WEAK, _FAINT = 0.22, 0.15, 0.08
_AS_STRONG = 0.75  # the weaker in relation to the stronger
_MOVED_AS_STRONG = 0.45  # of the finest detail, where one was moved: values between pixels have less noise
# Correlations below which detail is unrelated: the finest one, if it is strong or weak, with that of the next level;
# and detail of the next two levels.
_STRONG_UNRELATED, _WEAK_UNRELATED, _COARSER_UNRELATED = (0.2, 0.75), (0.18, 0.5), (0.25, 0.2)
_ENOUGH = 64  # coefficients
_ROUNDED = 0.6  # of these numbers at least: whole levels are noise too, however much an image was reduced

# Detail, by level: how it is related to the stronger of both, at places where both have some, in levels of 255.
_DETAIL, _DETAIL_PLACES = 3.0, 8
_SOME_RELATION, _REVERSED = (-1.0, 0.3, 0.6, 0.8), (-2.0, -2.0, -0.6, -0.3)
# Marks, by level: detail that is in one picture only, in levels of 255, while all other detail is the same.
_MARK, _MARK_RELATED, _SAME_DETAIL = 16.0, (0.3, 0.3, 0.15, 0.15), 0.98

# Colours: how far one picture is outside what the other has around the same place, in levels of 255, by level.
_LUMINANCE, _CHROMINANCE = {2: 60.0, 3: 36.0, 4: 20.0}, {2: 30.0, 3: 22.0, 4: 14.0}
_MEAN, _MEAN_OF_CONTRAST = 2.0, 0.12  # of the whole pictures

Level = tuple[Planes, Planes]  # the two pictures, (H, W, 3) luminance and chrominance


class Likeness(NamedTuple):
    """Whether two images show the same picture, and how far apart their pixels are."""

    same: bool
    distance: float  # root mean square difference of luminance and chrominance, in levels of 255


class _Relation(NamedTuple):
    """How the diagonal detail of two pictures is related, where they are smooth."""

    correlation: float  # in relation to the weaker
    weaker: float  # mean square
    stronger: float
    coefficients: int

    def is_of_both(self, as_strong: float) -> bool:
        """Whether there is enough of it, and the weaker has this share of the stronger."""
        return self.coefficients >= _ENOUGH and self.weaker > as_strong * self.stronger


def compare(one: Image.Image, other: Image.Image, reduction: float = 1.0) -> Likeness:
    """Compare two RGB images of about the same shape, each at most `SIDE` long.

    Args:
        reduction: how many times longer the files are than what is compared, the shorter of them: noise is averaged.
    """
    a, b = _at_one_size(one, other)
    if np.array_equal(a, b):
        return Likeness(True, 0.0)
    if not _are_different(a, b, reduction):
        return Likeness(True, _distance(a, b))
    if (aligned := align(a, b)) is None:
        return Likeness(False, _distance(a, b))
    return Likeness(not _are_different(*aligned, reduction, _MOVED_AS_STRONG), _distance(*aligned))


def _at_one_size(one: Image.Image, other: Image.Image) -> Level:
    """Luminance and chrominance at the smaller size of the two."""
    size = min(one.width, other.width), min(one.height, other.height)
    return _planes(one, size), _planes(other, size)


def _planes(image: Image.Image, size: tuple[int, int]) -> Planes:
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX)
    return np.asarray(image.convert("YCbCr"), dtype=np.float32)


def _distance(one: Planes, other: Planes) -> float:
    return float(np.sqrt(np.square(one - other).mean()))


def _are_different(one: Planes, other: Planes, reduction: float, as_strong: float = _AS_STRONG) -> bool:
    if min(one.shape[:2]) < _LEAST_PX:
        far = np.abs(one - other)
        return bool(far[..., 0].max() > _TINY or far.mean(axis=(0, 1)).max() > _TINY_MEAN)
    levels = [(one, other)]
    while len(levels) < _LEVELS and min(levels[-1][0].shape[:2]) >= _LEAST_PX:
        levels.append((halved(levels[-1][0]), halved(levels[-1][1])))
    return _differ_in_colour(levels) or _differ_in_noise(levels, reduction, as_strong) or _differ_in_detail(levels)


def _differ_in_colour(levels: Sequence[Level]) -> bool:
    one, other = levels[min(1, len(levels) - 1)]  # a quarter of the numbers, the same means
    most = _MEAN + _MEAN_OF_CONTRAST * one[..., 0].std()
    if np.abs(one.mean(axis=(0, 1)) - other.mean(axis=(0, 1))).max() > most:
        return True
    for number, (a, b) in list(enumerate(levels))[2:]:
        luminance, blue, red = np.maximum(_outside(a, b), _outside(b, a)).max(axis=(0, 1)).tolist()
        if luminance > _LUMINANCE[number] or max(blue, red) > _CHROMINANCE[number]:
            return True
    return False


def _outside(planes: Planes, of: Planes) -> Planes:
    """How far `planes` are outside the range of the 3 by 3 places of `of` around the same place."""
    low = high = of
    for axis in (0, 1):
        padding = [(1, 1) if number == axis else (0, 0) for number in range(3)]
        padded_low, padded_high = np.pad(low, padding, mode="edge"), np.pad(high, padding, mode="edge")
        parts = [tuple(slice(start, start + of.shape[axis]) if number == axis else slice(None) for number in range(3))
                 for start in range(3)]  # fmt: skip
        low = np.minimum.reduce([padded_low[part] for part in parts])
        high = np.maximum.reduce([padded_high[part] for part in parts])
    return np.maximum(np.maximum(planes - high, low - planes), 0)


def _differ_in_noise(levels: Sequence[Level], reduction: float, as_strong: float) -> bool:
    """Whether detail is as strong in both and unrelated.

    Args:
        reduction: weakens noise and what compression makes of nothing alike.
        as_strong: how strong the weaker of both has to be at the finest level.
    """
    unit = max(1 / reduction, _ROUNDED)
    none = _Relation(1.0, 0.0, 0.0, 0)
    finest, *coarser = [_relation(a[..., 0], b[..., 0]) for a, b in levels[:3]]
    following = coarser[0] if coarser else none
    if finest.is_of_both(as_strong):
        found = finest.correlation, following.correlation
        if finest.weaker > _STRONG * unit and found[0] < _STRONG_UNRELATED[0] and found[1] < _STRONG_UNRELATED[1]:
            return True
        # Weak detail may be what compression made of nothing; not so if there is some at the next level as well.
        is_weak = finest.weaker > _WEAK * unit and following.weaker > _FAINT * unit
        if is_weak and found[0] < _WEAK_UNRELATED[0] and found[1] < _WEAK_UNRELATED[1]:
            return True
    return any(
        relation.is_of_both(_AS_STRONG) and relation.weaker > _WEAK * unit and relation.correlation < unrelated
        for relation, unrelated in zip(coarser, _COARSER_UNRELATED, strict=False)
    )


def _relation(one: Planes, other: Planes) -> _Relation:
    a, b = _diagonal(one), _diagonal(other)
    products = [_in_cells(product) for product in (a * a, b * b, a * b)]
    if not products[0].size:
        return _Relation(1.0, 0.0, 0.0, 0)
    smooth = np.argsort(products[0] + products[1], kind="stable")[: max(1, products[0].size // 2)]
    own, its, both = (float(product[smooth].mean()) for product in products)
    weaker, stronger = min(own, its), max(own, its)
    return _Relation(both / max(weaker, 1e-9), weaker, stronger, 4 * len(smooth))


def _corners(plane: Planes) -> tuple[Planes, Planes, Planes, Planes]:
    """The four pixels of every 2 by 2 block, each (H / 2, W / 2)."""
    height, width = (side // 2 * 2 for side in plane.shape)
    plane = plane[:height, :width]
    return plane[0::2, 0::2], plane[0::2, 1::2], plane[1::2, 0::2], plane[1::2, 1::2]


def _diagonal(plane: Planes) -> Planes:
    """Detail that no slope has: brightness that changes evenly, in any direction, leaves nothing here."""
    a, b, c, d = _corners(plane)
    return (a - b - c + d) * np.float32(0.5)


def _in_cells(values: Planes) -> Planes:
    """Means of 2 by 2 values, flat."""
    return halved(values).ravel() if min(values.shape) >= 2 else values[:0].ravel()


def _differ_in_detail(levels: Sequence[Level]) -> bool:
    for number, (a, b) in enumerate(levels[: len(_MARK_RELATED)]):
        own, its, both = _local_products(a[..., 0], b[..., 0])
        stronger, weaker = np.maximum(own, its), np.minimum(own, its)
        related = both / np.maximum(stronger, np.float32(1e-9))
        detailed = related[weaker > _DETAIL**2]
        usual = 0.0 if number == 0 else 1.0  # without detail; halving an image removes the finest one altogether
        if len(detailed) >= _DETAIL_PLACES:
            usual = float(np.median(detailed))
            if usual < _SOME_RELATION[number]:
                return True
        lowest = float(related.min(where=stronger > _MARK**2, initial=1.0))
        if lowest < _REVERSED[number] or (usual > _SAME_DETAIL and lowest < _MARK_RELATED[number]):
            return True
    return False


def _local_products(one: Planes, other: Planes) -> tuple[Planes, Planes, Planes]:
    """Squares and products of all detail of a level, in overlapping cells of 2 by 2 coefficients."""
    details = []
    for plane in (one, other):
        a, b, c, d = _corners(plane)
        details.append(np.stack([a - b - c + d, a - b + c - d, a + b - c - d]) * np.float32(0.5))
    (x, y) = details
    return _smoothed((x * x).sum(axis=0)), _smoothed((y * y).sum(axis=0)), _smoothed((x * y).sum(axis=0))


def _smoothed(values: Planes) -> Planes:
    return (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]) * np.float32(0.25)
