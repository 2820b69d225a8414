"""A process that opens images for a dataset check: `python -m autonl_core.dataset_check.inspect_worker`.

The first line of standard input is an `InspectTask` in JSON. Then come requests: a `REQUEST` and that many rows. The
answer is one or more blocks: a `BLOCK`, that many `RECORD`s of the next rows, and a JSON text, why some of them cannot
be read, by their position in the block.

What the process has no memory for is marked so in its record (`request_loop.py`). Does not import PyTorch or SciPy.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from enum import IntFlag
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from autonl_core.data.decode import reduced_rgb, turn_of, upright
from autonl_core.data.grey_levels import is_deep, is_deep_colour, range_of_image
from autonl_core.data.listing import ListedFiles
from autonl_core.dataset_check.request_loop import BLOCK, InspectTask, serve_requests
from autonl_core.datasets.image_files import describe, read_opened
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.plain_jpeg import decode_plain_jpeg
from autonl_core.datasets.spec import GreyRange
from autonl_core.errors import ImageError

SIDE = 16  # of the thumbnails that are compared
DIGEST_BYTES = 16
RECORD = np.dtype(
    [
        ("digest", np.uint8, DIGEST_BYTES),  # of the file's bytes
        ("length", np.int64),  # of the file, in bytes
        ("crc", np.uint32),  # CRC-32 of its bytes
        ("short_of_memory", np.bool_),
        ("format", "S8"),  # empty if the image cannot be read; the fields below are zero then
        ("traits", np.uint8),  # of `ImageTrait`
        ("size", np.int32, 2),  # width and height
        ("range", np.float64, 2),  # of the values of a deep image, which its thumbnail has as 0 to 255
        ("thumb", np.uint8, (SIDE, SIDE, 3)),  # luminance and chrominance
    ]
)
EIGHT_BITS: GreyRange = (0.0, 255.0)
_BLOCK_S = 1.0  # between blocks at most, or one image if that takes longer

Records = NDArray[Any]  # (N,) of RECORD


class ImageTrait(IntFlag):
    """Unusual properties of an image, each handled when it is decoded."""

    ANIMATED = 1
    CMYK = 2
    DEEP = 4
    ALPHA = 8
    ROTATED = 16
    DEEP_COLOUR = 32
    DAMAGED_METADATA = 64


def digest(data: bytes) -> bytes:
    """Equal for equal files."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


class Opened(NamedTuple):
    """What was found in an image file. Without a `format` it cannot be read, and `problem` says why."""

    digest: bytes
    problem: str | None = None
    format: str = ""
    traits: int = 0  # of ImageTrait
    size: tuple[int, int] = (0, 0)  # width and height
    range: GreyRange = EIGHT_BITS
    thumb: bytes = bytes(3 * SIDE * SIDE)  # (SIDE, SIDE, 3) RGB


_NOTHING = Opened(bytes(DIGEST_BYTES))


def open_file(data: bytes, limits: Limits) -> Opened:
    """Open an image file. Raises MemoryError."""
    try:
        return _open_plain(data, limits) or _open(data, limits)
    except MemoryError:
        raise
    except ImageError as error:
        return Opened(digest(data), str(error))
    except Exception as error:  # noqa: BLE001  (decoders raise anything on damaged bytes; the problem is reported)
        return Opened(digest(data), describe(error))


def _open_plain(data: bytes, limits: Limits) -> Opened | None:
    """What `_open` finds in an ordinary JPEG file, in a third of the time; None for any other."""
    decoded = decode_plain_jpeg(data, 2 * SIDE, limits)
    if decoded is None:
        return None
    return Opened(digest(data), None, "JPEG", 0, decoded[0], EIGHT_BITS, _thumb(decoded[1], EIGHT_BITS))


def _open(data: bytes, limits: Limits) -> Opened:
    def look(image: Image.Image) -> Opened:
        size, kind, traits = image.size, image.format or "", _traits(image)
        image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG: decode no larger than needed; damage is detected nevertheless
        turned = upright(image)
        grey_range = _range(turned, traits)
        return Opened(digest(data), None, kind, traits.value, size, grey_range, _thumb(turned, grey_range))

    found, is_bare = read_opened(data, limits, look)
    return found._replace(traits=found.traits | ImageTrait.DAMAGED_METADATA.value) if is_bare else found


def _range(image: Image.Image, traits: ImageTrait) -> GreyRange:
    """The range of a deep image's values; of a colour image that was one, the levels that Pillow left of it."""
    if ImageTrait.DEEP in traits:
        low, high = range_of_image(image) or EIGHT_BITS
        return low, high if high > low else math.nextafter(low, math.inf)
    if ImageTrait.DEEP_COLOUR in traits:
        return 0.0, float(np.asarray(image.convert("L")).max())
    return EIGHT_BITS


def _thumb(image: Image.Image, grey_range: GreyRange) -> bytes:
    """(SIDE, SIDE, 3) RGB, from a decoded image."""
    rgb = reduced_rgb(image, min(image.size) // (2 * SIDE), grey_range)
    larger = min(rgb.size) >= SIDE
    return rgb.resize((SIDE, SIDE), Image.Resampling.BOX if larger else Image.Resampling.BILINEAR).tobytes()


def _traits(image: Image.Image) -> ImageTrait:
    found = ImageTrait(0)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # MPO: a smaller copy
        found |= ImageTrait.ANIMATED
    if image.mode in ("CMYK", "YCCK"):
        found |= ImageTrait.CMYK
    if is_deep(image):
        found |= ImageTrait.DEEP
    elif is_deep_colour(image):
        found |= ImageTrait.DEEP_COLOUR
    if image.has_transparency_data:
        found |= ImageTrait.ALPHA
    try:
        if turn_of(image) is not None:
            found |= ImageTrait.ROTATED
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (readers of EXIF data raise anything on damaged ones; it is reported)
        found |= ImageTrait.DAMAGED_METADATA
    return found


def _answer(rows: list[int], files: ListedFiles, limits: Limits, answers: BinaryIO) -> None:
    """Open the files of these rows, and send blocks of records."""
    opened: list[Opened | None] = []
    sums: list[tuple[int, int]] = []  # length and CRC-32
    send_at = time.monotonic() + _BLOCK_S
    for position, row in enumerate(rows):
        try:
            opened.append(open_file(data := files.read(row), limits))
            sums.append((len(data), zlib.crc32(data)))
        except MemoryError:
            opened.append(None)
            sums.append((0, 0))
        if time.monotonic() >= send_at or position == len(rows) - 1:
            problems = {number: one.problem for number, one in enumerate(opened) if one and one.problem is not None}
            text = json.dumps(problems).encode()
            answers.write(BLOCK.pack(len(opened), len(text)) + _records(opened, sums).tobytes() + text)
            answers.flush()
            opened, sums = [], []
            send_at = time.monotonic() + _BLOCK_S


def _records(opened: Sequence[Opened | None], sums: Sequence[tuple[int, int]]) -> Records:
    """One record for each file; None: memory did not suffice to open it."""
    records = np.zeros(len(opened), RECORD)
    records["short_of_memory"] = [one is None for one in opened]
    found = [_NOTHING if one is None else one for one in opened]
    records["digest"] = np.frombuffer(b"".join(one.digest for one in found), np.uint8).reshape(-1, DIGEST_BYTES)
    records["length"], records["crc"] = zip(*sums, strict=True)
    records["format"] = [one.format.encode() for one in found]
    records["traits"] = [one.traits for one in found]
    records["size"] = [one.size for one in found]
    records["range"] = [one.range for one in found]
    pixels = b"".join(one.thumb for one in found)
    thumbs = Image.frombytes("RGB", (SIDE, SIDE * len(found)), pixels).convert("YCbCr").tobytes()
    readable = records["format"] != b""
    records["thumb"][readable] = np.frombuffer(thumbs, np.uint8).reshape(-1, SIDE, SIDE, 3)[readable]
    return records


def main() -> int:
    def begin(files: ListedFiles, task: InspectTask) -> Callable[[bytes], None]:
        return lambda rows: _answer(np.frombuffer(rows, np.int64).tolist(), files, task.limits, sys.stdout.buffer)

    return serve_requests(InspectTask, np.dtype(np.int64).itemsize, begin)


if __name__ == "__main__":
    sys.exit(main())
