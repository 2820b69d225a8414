"""An image file without its metadata: what is read if metadata are so damaged that a decoder refuses the file.

Only what the pixels need is kept, and the orientation where it is intact. Metadata are never decompressed. Imports
nothing of ours: a bundle has a copy of this file.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib

from PIL import Image

MAX_PARTS = 5_000  # chunks, segments or boxes; hostile files have millions
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_DROPPED_FLAGS = 0x20 | 0x04  # colour profile, XMP
_TIFF_PIXELS = frozenset({
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 332, 338, 339, 347,
    512, 513, 514, 515, 519, 520, 521, 529, 530, 531, 532,
})  # fmt: skip
_TIFF_ORIENTATION = 274
_TIFF_TYPE_BYTES = {1: 1, 3: 2, 4: 4, 5: 8, 7: 1}  # of unsigned numbers and of bytes; pixels need no other types
_JPEG_PIXELS = (0xC4, 0xDB, 0xDD, *(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC)))
_FRAMES_OF_ONE_SCAN = (0xC0, 0xC1)  # if it has all channels
_SCAN, _EXIF, _ADOBE = 0xDA, 0xE1, 0xEE
_ADOBE_BYTES = 12
_BOXES_OF_PIXELS = (b"mdat", b"meta", b"moov")
_EXIF_ITEM = re.compile(rb"(infe[\x02\x03].{7,9}?)Exif", re.DOTALL)
JPEG_END = b"\xff\xd9"
_NOISES = b"", b"\xaa" * 1500, bytes(range(254, 0, -1)) * 8  # of 4,069 files that lacked pixels, these found all
_HASHED_ROWS = 64


def bare_image(data: bytes) -> bytes | None:
    """`data` without its metadata; None if it is of another format, or has none that could be left out."""
    try:
        bare = _bare(data)
    except (struct.error, IndexError):  # damaged beyond metadata
        return None
    return None if bare == data else bare


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG file has all its pixels, if its end marker was added.

    Decoders fill in what is missing. Bytes before the end marker are pixels if any are missing, and skipped if not.
    """
    start = data.removesuffix(JPEG_END)
    return len({_pixels_hash(start + noise + JPEG_END) for noise in _NOISES}) == 1


def _pixels_hash(data: bytes) -> bytes:
    """A hash of the pixels of a JPEG file, row by row: copies of all of them would take too much memory."""
    found = hashlib.blake2b()
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        for row in range(0, image.height, _HASHED_ROWS):
            found.update(image.crop((0, row, image.width, min(row + _HASHED_ROWS, image.height))).tobytes())
    return found.digest()


def has_whole_boxes(data: bytes) -> bool:
    """Whether a HEIF or AVIF file has all bytes of its image: decoders leave parts of an image that are missing blank.

    Other boxes, and bytes behind the last one, may be damaged.
    """
    at = 0
    for _ in range(MAX_PARTS):
        head = data[at : at + 16].ljust(16, b"\0")
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if at + 8 > len(data) or size < 8:  # 0: to the end of the file
            return True
        if at + size > len(data):
            return head[4:8] not in _BOXES_OF_PIXELS
        at += size
    return False


def _bare(data: bytes) -> bytes | None:
    if data.startswith(_PNG):
        return _bare_png(data)
    if data.startswith(b"\xff\xd8"):
        return _bare_jpeg(data)
    if data.startswith((b"II*\0", b"MM\0*")):
        return _bare_tiff(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _bare_webp(data)
    if data[4:8] == b"ftyp":
        return _EXIF_ITEM.sub(rb"\1skip", data)  # the item stays, as one of an unknown type
    return None


def _bare_png(data: bytes) -> bytes | None:
    kept, at = [_PNG], len(_PNG)
    for _ in range(MAX_PARTS):
        if at + 12 > len(data):
            return b"".join(kept)
        (length,) = struct.unpack_from(">L", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if kind in _PNG_PIXELS or (kind == b"eXIf" and _is_intact(data, at, end)):
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    return None


def _is_intact(data: bytes, start: int, end: int) -> bool:
    """Whether a PNG chunk of EXIF data has its checksum, and begins as EXIF data does."""
    checksum = zlib.crc32(data[start + 4 : end - 4])
    return data[end - 4 : end] == struct.pack(">L", checksum) and data[start + 8 : start + 10] in (b"II", b"MM")


def _bare_jpeg(data: bytes) -> bytes | None:
    """Without segments of applications and comments, and without bytes between segments.

    Its end marker is added, unless scans could be missing before it.
    """
    kept, at, channels = [data[:2]], 2, 0
    for _ in range(MAX_PARTS):
        at = data.find(b"\xff", at)
        if at < 0:
            return None
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == _SCAN:
            scans = data[at:]
            if scans[4] == channels and not data.rstrip(b"\0").endswith(JPEG_END):
                scans = scans.rstrip(b"\0").removesuffix(b"\xff") + JPEG_END
            return b"".join((*kept, scans))
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _JPEG_PIXELS or _is_needed(data, at, marker, length):
            kept.append(data[at : at + 2 + length])
        if marker in _FRAMES_OF_ONE_SCAN:
            channels = data[at + 9]
        at += 2 + max(length, 2) if marker in _JPEG_PIXELS or _follows(data, at, length) else 2
    return None


def _is_needed(data: bytes, at: int, marker: int, length: int) -> bool:
    """Whether a segment says how colours are stored, or how the camera was held."""
    if marker == _ADOBE:
        return length >= 2 + _ADOBE_BYTES and data.startswith(b"Adobe", at + 4)
    return marker == _EXIF and data.startswith((b"Exif\0\0II", b"Exif\0\0MM"), at + 4)


def _follows(data: bytes, at: int, length: int) -> bool:
    """Whether another segment follows one of this length: a wrong length must not hide those behind it."""
    return length >= 2 and data[at + 2 + length : at + 3 + length] == b"\xff"


def _bare_webp(data: bytes) -> bytes | None:
    kept, at = [], 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        kind, (length,) = data[at : at + 4], struct.unpack_from("<L", data, at + 4)
        end = at + 8 + length + length % 2
        chunk = data[at:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_DROPPED_FLAGS]) + chunk[9:]
        if kind in _WEBP_PIXELS or (kind == b"EXIF" and end <= len(data)):
            kept.append(chunk)
        at = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<L", len(body)) + body


def _bare_tiff(data: bytes) -> bytes | None:
    """With no more images than the first, and in its directory only the tags that pixels need."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "L", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    end = start + 2 + 12 * count + 4
    if count > MAX_PARTS or end > len(data):
        return None
    entries = [data[at : at + 12] for at in range(start + 2, end - 4, 12)]
    kept = [entry for entry in entries if _is_sound(entry, order, len(data))]
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept)
    return data[:start] + directory.ljust(end - start, b"\0") + data[end:]


def _is_sound(entry: bytes, order: str, end: int) -> bool:
    """Whether a tag is needed, has a type that it can have, and lies within the file."""
    tag, kind, count, offset = struct.unpack(order + "HHLL", entry)
    if tag == _TIFF_ORIENTATION:
        return (kind, count) == (3, 1)
    size = _TIFF_TYPE_BYTES.get(kind, 0) * count
    return tag in _TIFF_PIXELS and size > 0 and (size <= 4 or offset + size <= end)
