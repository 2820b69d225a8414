"""Open untrusted images: few formats, a bounded header, and no more pixels than memory allows.

Imports neither NumPy nor PyTorch: the service reads image sizes with this module, searches decode with it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from PIL import AvifImagePlugin, Image, UnidentifiedImageError
from pillow_heif import register_heif_opener

from autonl_core.datasets.bare_images import JPEG_END, bare_image, has_whole_boxes, is_whole_jpeg
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.errors import ImageError

# By content, whatever the suffix. Not every format that Pillow supports: for EPS it runs Ghostscript, hence PostScript.
FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS_OF_FORMAT = {  # formats whose decoders hold several copies of the image
    "AVIF": 50 * 10**6,
    "HEIF": 50 * 10**6,
    "TIFF": 32 * 10**6,
    "WEBP": 16 * 10**6,
}
MAXVAL = "maxval"  # of `Image.info`: the white of a grey PPM file, where Pillow scales values to a white of its own
_BOXES = b"ftyp"  # of HEIF and AVIF: the kind of the first box
_PILLOWS_WHITE = {"L": 255, "I": 65535}
MAX_EXIF_BYTES = 64 << 10  # larger EXIF data is not from a camera: it is ignored, and the image is not rotated
MAX_JPEG_SCANS = 100  # 1 to 10 are usual; a decoder visits all pixels once per scan
_MAX_HEADER_READS = 5_000
_MAX_HEADER_BYTES = 4 << 20
_read = io.BytesIO.read  # looked up once: the header of a small image is read in forty pieces
SCAN_MARKER = b"\xff\xda"  # never part of compressed data, where every 255 is followed by a zero

# Phones store smaller copies and depth maps beside an image: only the image is read, by one thread.
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

Read = TypeVar("Read")


@dataclass(frozen=True)
class _Found(Generic[Read]):
    read: Read


class _BoundedHeader(io.BytesIO):
    """A file that seems to end early while its header is read: hostile files have millions of tags and chunks.

    Reading all that is left is free: the file is in memory anyway.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.bounded = True
        self._reads_left = _MAX_HEADER_READS
        self._bytes_left = _MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if self.bounded:
            self._reads_left -= 1
            if size and size > 0:
                self._bytes_left -= size
            if self._reads_left < 0 or self._bytes_left < 0:
                return b""
        return _read(self, size)


def open_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Open an image from the bytes of its file. Reads its header, not its pixels.

    Raises:
        ImageError: it cannot be opened, or exceeds a limit; says which.
    """
    if not data:
        raise ImageError(f"the file is empty, damaged in its archive, or larger than {limits.image_bytes:,} bytes")
    if data[4:8] == _BOXES and not has_whole_boxes(data):
        raise ImageError("the file ends before its image does, or consists of too many parts")
    file = _BoundedHeader(data)
    try:
        image = Image.open(file, formats=_formats(data))
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"not an image in a supported format ({', '.join(FORMATS)}), or its header is bad") from error
    except Exception as error:
        raise ImageError(describe(error)) from error
    file.bounded = False
    limit = min(MAX_PIXELS_OF_FORMAT.get(image.format or "", limits.image_pixels), limits.image_pixels)
    if image.width * image.height > limit:
        raise ImageError(
            f"{image.width}x{image.height} pixels exceed the limit of {limit:,} for a {image.format} image; resize it"
        )
    if image.format in ("JPEG", "MPO") and (scans := data.count(SCAN_MARKER)) > MAX_JPEG_SCANS:
        raise ImageError(f"a JPEG with {scans:,} scans; at most {MAX_JPEG_SCANS} are allowed: save it again")
    if image.format == "PPM" and isinstance(arguments := image.tile[0].args, tuple) and image.mode in _PILLOWS_WHITE:
        image.info[MAXVAL] = arguments[-1]
    return image


def read_opened(data: bytes, limits: Limits, read: Callable[[Image.Image], Read]) -> tuple[Read, bool]:
    """What `read` returns for the opened image; and whether the file was read without its metadata, being damaged.

    Raises as `open_image` and `read` do for the file as it is. What is wrong with its metadata keeps no image from
    being read; a JPEG file that lacks nothing but its end marker is complete too.
    """
    try:
        with open_image(data, limits) as image:
            return read(image), False
    except MemoryError:
        raise
    except Exception:
        if (found := _read_bare(data, limits, read)) is None:
            raise  # damaged beyond its metadata: the first error says how
        return found.read, True


def _read_bare(data: bytes, limits: Limits, read: Callable[[Image.Image], Read]) -> _Found[Read] | None:
    """What `read` returns for the image without its metadata; None if it cannot be read either."""
    if (bare := bare_image(data)) is None:
        return None
    try:
        with open_image(bare, limits) as image:
            found = _Found(read(image))
        is_ended = not bare.endswith(JPEG_END) or data.rstrip(b"\0").endswith(JPEG_END)
        return found if is_ended or is_whole_jpeg(bare) else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (decoders raise anything on damaged bytes)
        return None


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats that the bytes may have: a container of boxes can have HEIF or AVIF in it, and lists which."""
    if data[4:8] != _BOXES:
        return FORMATS
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return ("AVIF",) if b"avif" in brands or b"avis" in brands else ("HEIF",)


def image_size(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int] | None:
    """Width and height from an image's header, or None if it cannot be read."""
    try:
        with open_image(data, limits) as image:
            return image.size
    except ImageError:
        return None


def describe(error: Exception) -> str:
    """What a decoder reported about damaged bytes, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error)[:200].split()) or 'cannot be decoded'}"
