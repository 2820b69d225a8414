"""Image files of every kind that the page decodes itself, and sets of photos to predict."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLOTHING = Path(__file__).parents[2] / "examples" / "clothing.zip"
ORIENTATION = 0x0112
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_TWELVE_MEGAPIXELS = (4000, 3000)


def noisy(width: int, height: int, dice: np.random.Generator) -> Image.Image:
    """A picture with smooth parts, edges and noise."""
    places = int(dice.integers(2, 9))
    drawn = Image.fromarray(dice.integers(0, 256, (places, places, 3), dtype=np.uint8))
    smooth = np.asarray(drawn.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    grained = smooth + dice.integers(-40, 41, (height, width, 1))
    return Image.fromarray(grained.clip(0, 255).astype(np.uint8))


def content_of(image: Image.Image, file_format: str, orientation: int = 1, **options: Any) -> bytes:
    """The file of an image, whose EXIF data say that it is to be turned."""
    if orientation != 1:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = orientation
    content = io.BytesIO()
    image.save(content, file_format, **options)
    return content.getvalue()


def jpegs() -> Iterator[tuple[str, bytes]]:
    """Odd sizes, all turns, grey and colour, all usual ways to store colours, both orders of coefficients."""
    dice = np.random.default_rng(3)
    for number, (width, height) in enumerate(
        [(1, 1), (3, 200), (97, 61), (64, 64), (301, 33), (150, 271), (240, 239)] * 4
    ):
        image = noisy(width, height, dice).convert("L" if number % 5 == 4 else "RGB")
        options: dict[str, Any] = {"quality": int(dice.integers(5, 100)), "progressive": number % 2 == 1}
        if image.mode == "RGB":
            options["subsampling"] = number % 3
        if number % 3 == 2:
            options["restart_marker_blocks"] = 1 + number % 7
        turn = 1 + number % 8
        yield f"{width}x{height} turn {turn} {options}", content_of(image, "JPEG", turn, **options)
    image = noisy(50, 80, dice)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    for progressive in (False, True):
        for subsampling, factors in ((1, 0x12), (2, 0x41), (2, 0x14)):
            content = content_of(noisy(192, 128, dice), "JPEG", subsampling=subsampling, progressive=progressive)
            yield f"factors {factors:#x}, progressive: {progressive}", with_factors(content, factors)
    yield "turned by XMP", content_of(image, "JPEG", xmp=xmp)
    yield "colours stored as RGB", content_of(image, "JPEG", keep_rgb=True)
    yield "without an end", content_of(image, "JPEG")[:-2]


def with_factors(content: bytes, factors: int) -> bytes:
    """A JPEG whose brightness has as many samples for one of its colours, in another arrangement: another picture.

    Both sides of it are multiples of 32, so that it has as many parts as before.
    """
    header = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    place = header + 11
    return content[:place] + bytes([factors]) + content[place + 1 :]


def pngs() -> Iterator[tuple[str, bytes]]:
    """Alpha, palettes, few and many bits, transparent colours, turns, and interlacing."""
    dice = np.random.default_rng(4)
    image = noisy(90, 47, dice)
    alpha = Image.fromarray(dice.integers(0, 256, (47, 90), dtype=np.uint8))
    with_alpha, grey_alpha = image.copy(), image.convert("L")
    with_alpha.putalpha(alpha)
    grey_alpha.putalpha(alpha)
    colours = image.quantize(7)
    yield "alpha", content_of(with_alpha, "PNG")
    yield "grey and alpha", content_of(grey_alpha, "PNG")
    yield "grey", content_of(image.convert("L"), "PNG")
    yield "black and white", content_of(image.convert("1"), "PNG")
    for bits in (1, 2, 4, 8):
        yield f"palette of {bits} bits", content_of(image.quantize(min(2**bits, 200)), "PNG", bits=bits)
    yield "palette with alpha", content_of(colours, "PNG", transparency=bytes([0, 100, 255, 3]))
    yield "palette with a transparent colour", content_of(colours, "PNG", transparency=2)
    yield "a transparent colour", content_of(image, "PNG", transparency=image.getpixel((0, 0)))
    yield "a transparent grey", content_of(image.convert("L"), "PNG", transparency=image.convert("L").getpixel((0, 0)))
    yield "grey of 16 bits", content_of(Image.fromarray(dice.integers(0, 60000, (47, 90), dtype=np.uint16)), "PNG")
    for turn in range(2, 9):
        yield f"turn {turn}", content_of(with_alpha, "PNG", turn)
    yield "interlaced", interlaced(np.asarray(image))
    yield "interlaced, 16 bits, alpha", interlaced(dice.integers(0, 65536, (5, 3, 4)).astype(">u2"))
    yield "16 bits", interlaced(dice.integers(0, 65536, (40, 70, 3)).astype(">u2"))


def interlaced(pixels: NDArray[Any]) -> bytes:
    """An interlaced PNG file of (H, W, 3 or 4) values of 8 or 16 bits, which Pillow reads but does not write."""
    height, width, channels = pixels.shape
    rows = b""
    for left, top, step, down in _ADAM7:
        part = pixels[top::down, left::step]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, {3: 2, 4: 6}[channels], 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def photos(count: int) -> list[tuple[str, Image.Image]]:
    """Evenly spaced photos of clothes, each with its class."""
    with zipfile.ZipFile(CLOTHING) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        chosen = [names[place * len(names) // count] for place in range(count)]
        return [(name.split("/")[1], Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in chosen]


def turned(count: int) -> Iterator[bytes]:
    """Photos as phones store them: with EXIF data that say how to turn them."""
    for number, (_, photo) in enumerate(photos(count)):
        yield content_of(photo, "JPEG", 1 + number % 8, quality=90)


def cut_out(count: int) -> Iterator[bytes]:
    """Photos that fade out towards one side, as PNG files with alpha."""
    for number, (_, photo) in enumerate(photos(count)):
        photo.putalpha(Image.linear_gradient("L").rotate(90 * (number % 4)).resize(photo.size))
        yield content_of(photo, "PNG")


def large(count: int) -> Iterator[bytes]:
    """Photos of 12 megapixels."""
    for _, photo in photos(count):
        yield content_of(photo.resize(_TWELVE_MEGAPIXELS, Image.Resampling.BICUBIC), "JPEG", 6, quality=85)
