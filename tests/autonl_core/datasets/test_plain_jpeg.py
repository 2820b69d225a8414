"""Ordinary JPEG files give the pixels that Pillow gives; for all others there is no answer, never another one."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from autonl_core.datasets.image_files import open_image
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.datasets.plain_jpeg import decode_plain_jpeg
from autonl_core.errors import ImageError
from tests.autonl_core.photo_like_images import photo

LEAST_PX = 32


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def by_pillow(data: bytes) -> tuple[tuple[int, int], bytes, str] | None:
    """Size, reduced pixels and mode; None if the file cannot be read."""
    try:
        with open_image(data) as image:
            size = image.size
            image.draft("RGB", (LEAST_PX, LEAST_PX))
            image.load()
            return size, image.tobytes(), image.mode
    except (ImageError, OSError, SyntaxError):
        return None


def quickly(data: bytes) -> tuple[tuple[int, int], bytes, str] | None:
    decoded = decode_plain_jpeg(data, LEAST_PX, DEFAULT_LIMITS)
    return None if decoded is None else (decoded[0], decoded[1].tobytes(), decoded[1].mode)


@pytest.mark.parametrize("side", [1, 9, 31, 32, 64, 200, 301])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 30, "subsampling": 0}, {"comment": b"text"}]
)
def test_the_same_pixels_and_size(side: int, options: dict[str, object]) -> None:
    for image in (photo(side, side), photo(side, side).convert("L")):
        data = jpeg(image.resize((side, side + 7)), **options)
        assert quickly(data) is not None
        assert quickly(data) == by_pillow(data)


def test_no_answer_for_files_that_need_more_than_pixels() -> None:
    image = photo(1, 64)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert quickly(jpeg(image, exif=exif)) is None
    assert quickly(jpeg(image.convert("CMYK"))) is None
    png = io.BytesIO()
    image.save(png, "PNG")
    assert quickly(png.getvalue()) is None
    assert quickly(b"") is None


def test_no_answer_beyond_a_limit() -> None:
    data = jpeg(photo(1, 64))
    assert decode_plain_jpeg(data, LEAST_PX, Limits(image_pixels=64 * 64)) is not None
    assert decode_plain_jpeg(data, LEAST_PX, Limits(image_pixels=64 * 64 - 1)) is None
    assert quickly(data + 100 * b"\xff\xda") is None


@pytest.mark.parametrize("progressive", [False, True])
def test_damaged_files_get_no_answer_or_that_of_pillow(progressive: bool) -> None:
    data = jpeg(photo(3, 48), progressive=progressive)
    draw = random.Random(0)
    answers = 0
    for _ in range(1_000):
        damaged = bytearray(data)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(700 if draw.random() < 0.8 else len(data))] = draw.randrange(256)
        content = bytes(damaged[: draw.randrange(len(data))] if draw.random() < 0.1 else damaged)
        if (found := quickly(content)) is not None:
            answers += 1
            assert found == by_pillow(content)
    assert answers > 50
