"""Files without their metadata: nothing that pixels need is lost, and nothing hostile gets further than before."""

from __future__ import annotations

import io
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from autonl_core.data.decode import read_image
from autonl_core.datasets.bare_images import MAX_PARTS, bare_image, has_whole_boxes
from autonl_core.datasets.image_files import open_image, read_opened
from autonl_core.datasets.limits import DEFAULT_LIMITS
from autonl_core.errors import ImageError
from tests.autonl_core.faulty_images import PICTURE, PLAIN, TURNED, chunk, faulty_files, saved, segment, tiff

WITHOUT_METADATA = {"gif", "ppm", "bmp"}  # formats whose decoders need no help


def loaded(data: bytes) -> np.ndarray:
    with open_image(data) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("kind", sorted(PLAIN.keys() - WITHOUT_METADATA))
def test_the_bare_file_has_the_same_pixels(kind: str) -> None:
    by_kind: dict[str, dict[str, Any]] = {"webp": {"lossless": True}, "heif": {"quality": -1}}
    options = by_kind.get(kind, {})
    name = "JPEG" if kind == "progressive" else kind.upper()
    data = saved(name, exif=b"Exif\0\0" + TURNED, icc_profile=b"0" * 300, **options) if kind != "tiff" else tiff()
    bare = bare_image(data)
    assert np.array_equal(loaded(bare or data), loaded(data))
    assert b"0" * 300 not in (bare or b"") or kind in ("heif", "avif")


@pytest.mark.parametrize("kind", sorted(WITHOUT_METADATA))
def test_other_formats_stay_as_they_are(kind: str) -> None:
    assert bare_image(PLAIN[kind]) is None


def test_colours_of_adobe_and_of_palettes_are_kept() -> None:
    """What tells a decoder how colours are stored is no metadatum."""
    for data in (saved("JPEG", PICTURE.convert("CMYK")), saved("JPEG", PICTURE, keep_rgb=True)):
        broken = data[:2] + segment(0xEE, b"Adobe")[:6] + b"\0" + data[2:]
        assert np.array_equal(loaded(bare_image(broken) or b""), loaded(data))
    palette = saved("PNG", PICTURE.quantize(16), transparency=3)
    broken = palette[:33] + chunk(b"tEXt", b"a\0b", 1) + palette[33:]
    expected, found = (read_image(data, 40, DEFAULT_LIMITS) for data in (palette, broken))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [30, 90])
def test_a_jpeg_without_its_end_is_whole_or_refused(progressive: bool, quality: int) -> None:
    """Of every length, cut by a byte each time: either all pixels are right, or none are used."""
    noise = np.random.default_rng(3).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((48, 48), Image.Resampling.BICUBIC)
    data = saved("JPEG", image, progressive=progressive, quality=quality)
    expected = loaded(data)
    used = 0
    for cut in range(1, 200):
        found = read_image(data[:-cut], 48, DEFAULT_LIMITS)
        if not isinstance(found, str):
            assert np.array_equal(found, expected), cut
            used += 1
    if progressive:  # it may lack scans that refine the picture
        assert used == 0
    else:
        assert 2 <= used <= 8  # the end marker, and at most the bits that fill up the last bytes


def test_the_first_fault_is_reported_if_the_bare_file_is_damaged_too() -> None:
    png = PLAIN["png"]
    broken = png[:33] + chunk(b"gAMA", b"") + png[33:200]
    with pytest.raises(ImageError, match="gAMA"):
        read_opened(broken, DEFAULT_LIMITS, lambda image: image.load())


def test_limits_hold_for_bare_files() -> None:
    """No more pixels, scans or parts than before, and what would inflate is not touched."""
    zeros = zlib.compress(bytes(100 << 20))
    bomb = PLAIN["png"][:33] + chunk(b"zTXt", b"a\0\0" + zeros) + PLAIN["png"][33:]
    began = time.perf_counter()
    assert np.array_equal(read_image(bomb, 40, DEFAULT_LIMITS), read_image(PLAIN["png"], 40, DEFAULT_LIMITS))
    assert time.perf_counter() - began < 0.5
    many = PLAIN["png"][:33] + chunk(b"aaAa", b"") * (MAX_PARTS + 1) + PLAIN["png"][33:]
    assert bare_image(many) is None
    huge = bomb.replace((56).to_bytes(4, "big") + (40).to_bytes(4, "big"), (20_000).to_bytes(4, "big") * 2)
    with pytest.raises((ImageError, ValueError)):
        read_opened(huge, DEFAULT_LIMITS, lambda image: image.load())
    scans = saved("JPEG", PICTURE, progressive=True)
    at = scans.rindex(b"\xff\xda")
    endless = scans[:2] + segment(0xEE, b"Adobe") + scans[2:at] + scans[at:-2] * 200 + scans[-2:]
    with pytest.raises(ImageError):
        read_opened(endless, DEFAULT_LIMITS, lambda image: image.load())


@pytest.mark.parametrize("kind", ["heif", "avif"])
def test_boxes(kind: str) -> None:
    data = PLAIN[kind]
    assert has_whole_boxes(data)
    assert has_whole_boxes(data + b"\0\0\0\x40skip")  # something else was cut
    assert not has_whole_boxes(data[:-1])
    assert not has_whole_boxes(b"\0\0\0\x08free" * (MAX_PARTS + 1))
    at = data.index(b"mdat") - 4
    to_the_end = data[:at] + bytes(4) + data[at + 4 :]
    assert has_whole_boxes(to_the_end)
    assert np.array_equal(loaded(to_the_end), loaded(data))


def test_random_damage_never_raises_anything_else() -> None:
    """`bare_image` answers whatever the bytes are."""
    rng = np.random.default_rng(4)
    files = [data for _, _, data in faulty_files()][::7] + list(PLAIN.values())
    for data in files:
        for _ in range(20):
            content = bytearray(data[:4000])
            for at in rng.integers(0, len(content), 8):
                content[at] = rng.integers(256)
            bare_image(bytes(content[: rng.integers(1, len(content) + 1)]))
            has_whole_boxes(bytes(content))


def test_a_file_object_of_zeros() -> None:
    assert bare_image(bytes(100)) is None
    assert bare_image(b"") is None
    assert bare_image(io.BytesIO(b"\xff\xd8").getvalue()) is None
