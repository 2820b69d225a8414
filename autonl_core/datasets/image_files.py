"""Opening images that nobody vouches for: few formats, headers on a budget, no more pixels than memory is meant for.

No torch here: the service reads sizes with this module, the search decodes with it.
"""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.errors import ImageError

# By content, whatever the suffix says. Not all that Pillow knows: for EPS it runs Ghostscript, which runs PostScript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS_OF_FORMAT = {  # whose decoders hold the image several times over
    "TIFF": 32 * 10**6,
    "WEBP": 16 * 10**6,
}
MAX_EXIF_BYTES = 64 << 10  # a camera's; larger ones are not read, and the image stays as it lies
MAX_JPEG_SCANS = 100  # usual are 1 to 10; every one of them goes through all the pixels again
_MAX_HEADER_READS = 5_000
_MAX_HEADER_BYTES = 4 << 20
_SCAN_MARKER = b"\xff\xda"  # never part of compressed data, where a zero follows every 255


class _Sparing(io.BytesIO):
    """A file that ends early while its header is read: hostile ones have tags and chunks by the million.

    Reads of the whole rest cost nothing here: the file is in memory anyway.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.sparing = True
        self._reads_left = _MAX_HEADER_READS
        self._bytes_left = _MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if self.sparing:
            self._reads_left -= 1
            self._bytes_left -= max(size or 0, 0)
            if self._reads_left < 0 or self._bytes_left < 0:
                return b""
        return super().read(size)


def open_image(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """The image of which `data` is the file; its header is read, its pixels are not.

    Raises:
        ImageError: what is wrong with it.
    """
    if not data:
        raise ImageError(f"empty, damaged where it is stored, or larger than {limits.image_bytes:,} bytes")
    file = _Sparing(data)
    try:
        image = Image.open(file, formats=FORMATS)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"not an image of a known format ({', '.join(FORMATS)}), or one with a bad header") from error
    except Exception as error:
        raise ImageError(describe(error)) from error
    file.sparing = False
    limit = min(MAX_PIXELS_OF_FORMAT.get(image.format or "", limits.image_pixels), limits.image_pixels)
    if image.width * image.height > limit:
        raise ImageError(f"{image.width}x{image.height} pixels; a {image.format} may have {limit:,}: make it smaller")
    if image.format in ("JPEG", "MPO") and (scans := data.count(_SCAN_MARKER)) > MAX_JPEG_SCANS:
        raise ImageError(f"a JPEG of {scans:,} scans; it may have {MAX_JPEG_SCANS}: save it anew")
    return image


def image_size(data: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int] | None:
    """Width and height from an image's header, or None if it has none that can be read."""
    try:
        with open_image(data, limits) as image:
            return image.size
    except ImageError:
        return None


def describe(error: Exception) -> str:
    """What a decoder says of damaged bytes, in one line for a report."""
    return f"{type(error).__name__}: {str(error)[:200] or 'cannot be decoded'}"
