"""What is cut from a picture: boxes worked out by hand, and the pixels inside of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from autonl_core.data.augment import CROP, DRAWS, FLIP, Augmentation
from autonl_core.data.crops import crop_box, cut
from tests.autonl_core.data.picture_zips import noise

QUARTER = Augmentation(flip=True, padding_px=3, crop_min_scale=0.25)
WHOLE = Augmentation(flip=False, padding_px=3, crop_min_scale=1.0)


def draws(area: float, ratio: float, x: float, y: float) -> np.ndarray:
    row = np.full(DRAWS, 0.99)
    row[CROP : CROP + 4] = area, ratio, x, y
    return row


@pytest.mark.parametrize(
    ("size", "drawn", "expected"),
    [
        # a quarter of 300 x 400 is a square of 173.2
        ((300, 400), (0, 0.5, 0, 0), (0, 0, math.sqrt(30_000), math.sqrt(30_000))),
        # a quarter at 4:3 is 200 x 150; the rest, 200 x 150 too, is to its left and half of it above
        ((300, 400), (0, 1, 1, 0.5), (200, 75, 400, 225)),
        ((300, 400), (0, 0, 0, 0), (0, 0, 150, 200)),
        ((300, 400), (1, 1, 0.3, 0.3), (0, 0, 400, 300)),
        # all of the area, square, would be 346.4 high: the 46.4 that exceed the picture are cut off
        ((300, 400), (1, 0.5, 0, 0.7), (0, 0, math.sqrt(120_000), 300)),
        # a square of 200 does not fit; 200 x 100 would be wider than 4:3
        ((100, 400), (1, 0.5, 1, 0), (400 - 400 / 3, 0, 400, 100)),
        ((400, 100), (1, 0.5, 0, 1), (0, 400 - 400 / 3, 100, 400)),
    ],
)
def test_boxes_worked_out_by_hand(size: tuple[int, int], drawn: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert crop_box(size, draws(*drawn), QUARTER) == pytest.approx(expected)


def test_without_random_crops_it_is_the_centre_square() -> None:
    for row in np.random.default_rng(0).random((5, DRAWS)):
        assert crop_box((30, 40), row, WHOLE) == (5, 0, 35, 30)
        assert crop_box((40, 31), row, WHOLE) == (0, 4.5, 31, 35.5)


def test_every_box_is_inside_of_the_picture_and_of_moderate_shape() -> None:
    rng = np.random.default_rng(1)
    for row in rng.random((2_000, DRAWS)):
        height, width = (int(side) for side in rng.integers(1, 500, 2))
        left, top, right, bottom = crop_box((height, width), row, QUARTER)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9


def test_areas_and_ratios_are_uniform_where_the_picture_leaves_room() -> None:
    """At most half of the area of a square picture: 0.816 of a side at 4:3, so that nothing is cut off."""
    rows = np.random.default_rng(2).random((4_000, DRAWS))
    rows[:, CROP] /= 3  # areas from 0.25 to 0.5
    boxes = np.array([crop_box((1_000, 1_000), row, QUARTER) for row in rows])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas, log_ratios = widths * heights / 1e6, np.log(widths / heights) / math.log(4 / 3)
    assert np.quantile(areas, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0.25, 0.3125, 0.375, 0.4375, 0.5], abs=0.01)
    assert np.quantile(log_ratios, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=0.05)


def test_a_box_on_whole_pixels_is_copied_and_mirrored_by_the_draw() -> None:
    picture = np.asarray(noise(400, 300))
    row = draws(0, 0.5, 0, 0)
    quarter = np.asarray(noise(40, 40))  # whose quarter is 20 x 20
    for flip_draw, expected in ((0.6, quarter[:20, :20]), (0.4, quarter[:20, 19::-1])):
        row[FLIP] = flip_draw
        assert np.array_equal(cut([quarter], row[None], QUARTER, 20)[0], expected)
    scaled = Image.fromarray(picture[75:225, 200:400]).resize((16, 16), Image.Resampling.BILINEAR)
    (crop,) = cut([picture], draws(0, 1, 1, 0.5)[None], QUARTER, 16)
    inside = slice(1, -1)  # at its border, a crop also takes in neighbours outside of the box
    assert np.abs(crop[inside, inside].astype(int) - np.asarray(scaled)[inside, inside]).max() <= 1
