"""Open untrusted images: few formats, a bounded header, and no more pixels than memory allows.

Imports neither NumPy nor PyTorch: the service reads image sizes with this module, searches decode with it.
"""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.errors import ImageError

# By content, whatever the suffix. Not every format that Pillow supports: for EPS it runs Ghostscript, hence PostScript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS_OF_FORMAT = {  # formats whose decoders hold several copies of the image
    "TIFF": 32 * 10**6,
    "WEBP": 16 * 10**6,
}
MAX_EXIF_BYTES = 64 << 10  # larger EXIF data is not from a camera: it is ignored, and the image is not rotated
MAX_JPEG_SCANS = 100  # 1 to 10 are usual; a decoder visits all pixels once per scan
_MAX_HEADER_READS = 5_000
_MAX_HEADER_BYTES = 4 << 20
_read = io.BytesIO.read  # looked up once: the header of a small image is read in forty pieces
SCAN_MARKER = b"\xff\xda"  # never part of compressed data, where every 255 is followed by a zero


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
    file = _BoundedHeader(data)
    try:
        image = Image.open(file, formats=FORMATS)
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
    return image


def image_size(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int] | None:
    """Width and height from an image's header, or None if it cannot be read."""
    try:
        with open_image(data, limits) as image:
            return image.size
    except ImageError:
        return None


def describe(error: Exception) -> str:
    """What a decoder reported about damaged bytes, in one line."""
    return f"{type(error).__name__}: {str(error)[:200] or 'cannot be decoded'}"
