"""Pictures that look like photos to a duplicate finder: smooth shapes, some texture, all of them different."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter


def photo(seed: int, size: int = 64) -> Image.Image:
    """A picture of blurred blobs and noise, the same for the same seed."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    noise = rng.normal(0, 12, (size, size, 3))
    mixed = np.clip(np.asarray(blobs, dtype=np.float64) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(mixed).filter(ImageFilter.SMOOTH)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
