"""Pixels decide: copies with all usual losses are the same picture; other exposures, marks and words are others."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from autonl_core.dataset_check.same_picture import SIDE, Likeness, compare
from tests.autonl_core import alike_images as alike
from tests.autonl_core.photo_like_images import encoded, photo

Change = Callable[[Image.Image], Image.Image]
BY = Image.Resampling


def coded(kind: str, **options: object) -> Change:
    return lambda image: Image.open(io.BytesIO(encoded(image, kind, **options))).convert("RGB")


def resized(factor: float, by: Image.Resampling = BY.BILINEAR) -> Change:
    return lambda image: image.resize((round(image.width * factor), round(image.height * factor)), by)


def there_and_back(factor: float, by: Image.Resampling = BY.BILINEAR) -> Change:
    return lambda image: resized(factor, by)(image).resize(image.size, by)


def cropped(image: Image.Image) -> Image.Image:
    return image.crop((1, 1, image.width - 1, image.height - 1))


COPIES: dict[str, Change] = {
    **{f"JPEG of quality {quality}": coded("JPEG", quality=quality) for quality in (50, 60, 75, 90)},
    "WebP": coded("WEBP", quality=60),
    "GIF": coded("GIF"),
    "halved": resized(0.5, BY.LANCZOS),
    "doubled": resized(2, BY.BICUBIC),
    **{f"times {factor} and back": there_and_back(factor) for factor in (0.5, 0.75, 1.5, 2)},
    "halved by nearest neighbour, and back": there_and_back(0.5, BY.NEAREST),
    "cropped by a pixel": cropped,
    "cropped by a pixel, and back": lambda image: cropped(image).resize(image.size, BY.BILINEAR),
    "halved and back, compressed": lambda image: coded("JPEG", quality=50)(there_and_back(0.5)(image)),
}


def likeness(one: Image.Image, other: Image.Image) -> Likeness:
    """As files of that size are compared."""
    longer = min(max(one.size), max(other.size))
    small = []
    for image in (one, other):
        factor = min(1, SIDE / max(image.size))
        small.append(resized(factor, BY.BOX)(image.convert("RGB")))
    return compare(small[0], small[1], max(1, longer / SIDE))


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("size", [32, 96, 300])
def test_copies_are_the_same_picture(name: str, size: int) -> None:
    for seed in range(6):
        assert likeness(photo(seed, size), COPIES[name](photo(seed, size))).same, seed


def test_equal_pixels_have_no_distance_and_others_that_of_their_squares() -> None:
    assert compare(photo(1), photo(1)) == (True, 0.0)
    one, other = (Image.new("RGB", (16, 16), (shade,) * 3) for shade in (100, 110))
    assert likeness(one, other) == pytest.approx((False, np.sqrt(100 / 3)))  # 10 levels of luminance, none of colour


def pairs(make: Callable[[np.random.Generator], Image.Image]) -> list[tuple[Image.Image, Image.Image]]:
    rng = np.random.default_rng(0)
    return [(make(rng), make(rng)) for _ in range(12)]


def exposures(size: int, noise: float) -> Callable[[np.random.Generator], Image.Image]:
    return lambda rng: alike.exposed(alike.scene(size), rng, noise)


OTHERS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    **{f"exposures with noise of {noise:g}": exposures(96, noise) for noise in (1, 2, 4, 8)},
    **{f"exposures of {size} pixels": exposures(size, 4) for size in (64, 256, 600)},
    "exposures saved at quality 90": lambda rng: coded("JPEG", quality=90)(alike.exposed(alike.scene(96), rng)),
    "scratches without noise": lambda rng: alike.scratched(alike.scene(96), rng),
    "scratches saved at quality 75": lambda rng: coded("JPEG", quality=75)(alike.scratched(alike.scene(96), rng)),
    "scratches in large images": lambda rng: alike.scratched(alike.scene(600), rng, 60, 8),
    "parts on a jig": lambda rng: alike.part_on_a_jig(rng, defect=False),
    "swatches of one hue": lambda rng: alike.swatch(rng, 0.3),
    "forms": alike.form,
    "large forms": lambda rng: alike.form(rng, 1000),
    "screens": lambda rng: alike.screen(int(rng.integers(100_000))),
    "icons": alike.icon,
    "nights": alike.night,
    "thermal images": lambda rng: alike.thermal(rng, hot=True),
    "weaves": alike.weave,
    "arrows": lambda rng: alike.arrow(rng, right=True),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_different_things_are_different_pictures_however_alike(name: str) -> None:
    same = [number for number, (one, other) in enumerate(pairs(OTHERS[name])) if likeness(one, other).same]
    assert same == []


def test_a_mark_on_a_photo_makes_another_picture() -> None:
    rng = np.random.default_rng(0)
    for seed in range(12):
        assert not likeness(photo(seed, 96), alike.scratched(photo(seed, 96), rng)).same


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 40), (9, 7), (8, 8), (17, 500)])
def test_images_of_any_size_can_be_compared(size: tuple[int, int]) -> None:
    image = photo(1, 512).resize(size)
    assert likeness(image, image.copy()).same
    assert likeness(image, coded("JPEG", quality=90, subsampling=0)(image)).same
    assert not likeness(image, Image.new("RGB", size, "black")).same


def test_the_order_of_the_two_does_not_matter() -> None:
    for number, change in enumerate(COPIES.values()):
        one = photo(number, 64)
        assert likeness(one, change(one)).same == likeness(change(one), one).same
    for one, other in pairs(lambda rng: alike.part_on_a_jig(rng, defect=bool(rng.random() < 0.5))):
        assert not likeness(other, one).same
