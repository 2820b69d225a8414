"""Generates JPEG files about as large as photographs: coloured gradients, shapes and grain."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

QUALITY = 88


def picture(rng: np.random.Generator, width: int, height: int) -> bytes:
    """The bytes of one JPEG file."""
    coarse = rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, size = (int(rng.integers(0, most)) for most in (width, height, max(3, width // 3)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((x, y, x + size, y + size), fill=colour)
    grain = np.asarray(image).astype(np.int16) + rng.integers(-6, 7, size=(height, width, 3), dtype=np.int16)
    buffer = io.BytesIO()
    Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def write_folder(root: Path, count: int, sides: tuple[int, int], classes: int = 4) -> Path:
    """Write `count` JPEG files to class folders, width and height between the two `sides`."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class-{number % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        width, height = (int(side) for side in rng.integers(sides[0], sides[1] + 1, size=2))
        (folder / f"{number:06d}.jpg").write_bytes(picture(rng, width, height))
    return root


def write_archive(path: Path, count: int, side: int, classes: int = 20) -> Path:
    """Write `count` JPEG files to an uncompressed archive, which appears only once it is complete."""
    rng = np.random.default_rng(0)
    unfinished = path.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_STORED) as archive:
        for number in range(count):
            archive.writestr(f"class-{number % classes:02d}/{number:06d}.jpg", picture(rng, side, side))
    unfinished.rename(path)
    return path
