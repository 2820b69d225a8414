"""Image files of every format, depth and mode that cameras and programs write, in several sizes and orientations."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

SIZES = (
    (8, 8),
    (45, 60),
    (61, 32),
    (500, 410),
    (1, 300),
)  # of tests at 8 and 32 pixels: kept, scaled up, down, reduced
_RGB_FORMATS: dict[str, dict[str, Any]] = {
    "avif": {"quality": 90}, "bmp": {}, "gif": {}, "jpeg": {"quality": 90}, "png": {}, "ppm": {}, "tiff": {},
    "webp": {"quality": 90},
}  # fmt: skip


def picture_grid() -> Iterator[tuple[str, bytes]]:
    """Names and contents of files."""
    for width, height in SIZES:
        rng = np.random.default_rng(width)
        colours = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        for kind, options in _RGB_FORMATS.items():
            yield f"rgb {kind} {width}x{height}", _saved(Image.fromarray(colours), kind, **options)
        alpha = np.dstack([colours, rng.integers(0, 256, (height, width), dtype=np.uint8)])
        for name, picture, kind, options in _modes(colours, alpha, rng):
            yield f"{name} {kind} {width}x{height}", _saved(picture, kind, **options)
    yield "pgm of maxval 1000", b"P5 9 9 1000\n" + bytes(range(1, 163))
    yield "pgm of maxval 100", b"P5 9 9 100\n" + bytes(range(10, 91))
    yield "heic", _heic(np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        colours = np.random.default_rng(orientation).integers(0, 256, (90, 140, 3), dtype=np.uint8)
        for kind in ("jpeg", "png", "webp", "tiff"):
            yield f"orientation {orientation} {kind}", _saved(Image.fromarray(colours), kind, exif=exif)


def _heic(colours: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(colours)).save(buffer)
    return buffer.getvalue()


def _modes(
    colours: np.ndarray[Any, Any], alpha: np.ndarray[Any, Any], rng: np.random.Generator
) -> Iterator[tuple[str, Image.Image, str, dict[str, Any]]]:
    height, width = colours.shape[:2]
    deep = rng.integers(0, 65536, (height, width), dtype=np.uint16)
    yield "cmyk", Image.fromarray(colours).convert("CMYK"), "jpeg", {}
    yield "cmyk", Image.fromarray(colours).convert("CMYK"), "tiff", {}
    yield "alpha", Image.fromarray(alpha), "png", {}
    yield "alpha", Image.fromarray(alpha), "webp", {"lossless": True}
    yield "grey alpha", Image.fromarray(alpha).convert("LA"), "png", {}
    yield "palette", Image.fromarray(alpha).quantize(), "png", {"transparency": 3}
    yield "grey", Image.fromarray(colours[..., 0]), "jpeg", {}
    yield "grey", Image.fromarray(colours[..., 0]), "png", {"transparency": 7}
    yield "bilevel", Image.fromarray(colours[..., 0]).convert("1"), "png", {}
    yield "16 bits", Image.fromarray(deep), "png", {}
    yield "16 bits", Image.fromarray(deep), "tiff", {}
    yield "12 in 16 bits", Image.fromarray(deep >> 4), "png", {}
    yield "32 bits", Image.fromarray(deep.astype(np.int32)), "tiff", {}
    yield "float", Image.fromarray(deep.astype(np.float32) / 65535), "tiff", {}
    yield "float above 1", Image.fromarray(deep.astype(np.float32)), "tiff", {}
    yield "animated", Image.fromarray(colours).quantize(), "gif", {
        "save_all": True, "append_images": [Image.new("P", (width, height))]
    }  # fmt: skip


def _saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
