"""Deep images of every kind that instruments write, as files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[np.float64]


def deep_png(values: NDArray[np.generic]) -> bytes:
    return _saved(Image.fromarray(np.asarray(values).astype(np.uint16)), "PNG")


def deep_tiff(values: NDArray[np.generic], kind: str) -> bytes:
    """`kind` is that of NumPy: uint16, int32 or float32."""
    return _saved(Image.fromarray(np.asarray(values).astype(kind)), "TIFF")


def pgm(values: NDArray[np.generic], maxval: int, *, plain: bool = False) -> bytes:
    """White is `maxval`, as its head says."""
    height, width = values.shape
    head = f"{'P2' if plain else 'P5'}\n{width} {height}\n{maxval}\n".encode()
    if plain:
        return head + " ".join(str(int(value)) for value in values.ravel()).encode() + b"\n"
    return head + values.astype(">u2" if maxval > 255 else "u1").tobytes()


def signed_tiff(values: NDArray[np.generic]) -> bytes:
    """16 bits with a sign, which Pillow does not write."""
    height, width = values.shape
    raw = values.astype("<i2").tobytes()
    tags = [(256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    tags += [(278, 3, height), (279, 4, len(raw)), (339, 3, 2)]
    directory = b"".join(struct.pack("<HHLL", number, kind, 1, value) for number, kind, value in tags)
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + directory + bytes(4)).ljust(200, b"\0") + raw


def colour_png(values: NDArray[np.generic]) -> bytes:
    """(H, W, 3) with 16 bits per channel, which Pillow does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = (
        (b"IHDR", struct.pack(">LLBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def scene(seed: int, side: int = 32, *, bright: bool = False) -> Values:
    """(side, side), 0 to 1: a smooth picture with a brighter or darker spot in it, another for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / (side - 1)
    across, down = rng.uniform(0.3, 0.7, 2)
    spot = np.exp(-((x - across) ** 2 + (y - down) ** 2) / 0.03) * (0.3 if bright else -0.3)
    slope = 0.25 * (rng.uniform(-1, 1) * (x - 0.5) + rng.uniform(-1, 1) * (y - 0.5))
    values: Values = (0.5 + slope + spot + rng.normal(0, 0.02, (side, side))).clip(0, 1)
    return values


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
