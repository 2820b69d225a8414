"""Archives of pictures of different shapes, for tests of what reads whole pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

ROTATED = 6  # EXIF orientation: stored lying on its left side


def encoded(image: Image.Image, kind: str = "png", orientation: int = 0) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def picture_zip(path: Path, others: Mapping[str, bytes] | None = None, count: int = 8) -> Path:
    """Classes `a` and `b` of `count` pictures each, 28 to 40 pixels wide and 20 to 47 high; `others` replace or add."""
    files = {
        f"{label}/{n}.png": encoded(noise(28 + n % 13, 20 + 9 * (n % 4), 100 * (label == "b") + n))
        for label in ("a", "b")
        for n in range(count)
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**files, **(others or {})}.items():
            archive.writestr(member, data)
    return path
