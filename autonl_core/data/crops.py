"""Crops cut from whole pictures on the CPU, as a function of uniform draws alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autonl_core.data.augment import CROP, FLIP, MAX_ASPECT, Augmentation
from autonl_core.data.decode import Images

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the picture


def crop_box(size: tuple[int, int], draws: NDArray[np.float64], augmentation: Augmentation) -> Box:
    """What is cut from a picture of `size` (height, width) by its draws, (`augmentation.draws`,) in [0, 1).

    The area is a share of that of the picture, uniform from `crop_min_scale` to 1; the ratio of width to height is
    log-uniform from 3/4 to 4/3. What exceeds the picture is cut off, and then what would exceed those ratios.

    With a `crop_min_scale` of 1, the centre square: nothing is random then, not even a shift.
    """
    height, width = size
    if augmentation.crop_min_scale >= 1:
        side = min(size)
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side
    area_draw, ratio_draw, x_draw, y_draw = draws[CROP : CROP + 4].tolist()
    area = height * width * (augmentation.crop_min_scale + (1 - augmentation.crop_min_scale) * area_draw)
    ratio = math.exp((2 * ratio_draw - 1) * math.log(MAX_ASPECT))
    across, down = min(math.sqrt(area * ratio), width), min(math.sqrt(area / ratio), height)
    across, down = min(across, MAX_ASPECT * down), min(down, MAX_ASPECT * across)
    left, top = x_draw * (width - across), y_draw * (height - down)
    return left, top, min(left + across, width), min(top + down, height)


def cut(pictures: Sequence[Images], draws: NDArray[np.float64], augmentation: Augmentation, side_px: int) -> Images:
    """A crop of every picture by its row of draws, mirrored or not, scaled with antialiasing: (B, S, S, 3) uint8."""
    crops = np.empty((len(pictures), side_px, side_px, 3), dtype=np.uint8)
    for crop, picture, row in zip(crops, pictures, draws, strict=True):
        height, width = picture.shape[:2]
        box = crop_box((height, width), row, augmentation)
        image = Image.fromarray(picture).resize((side_px, side_px), Image.Resampling.BILINEAR, box=box)
        mirrored = augmentation.flip and row[FLIP] < 0.5
        crop[:] = np.asarray(image)[:, ::-1] if mirrored else np.asarray(image)
    return crops
