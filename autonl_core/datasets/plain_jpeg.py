"""Decode ordinary JPEG files at a reduced size, without Pillow's reading of the header, which takes longer than that.

A file is ordinary if its header has no more than tables, a comment, JFIF or Adobe data, one frame of one or three
channels, and a scan. The pixels are those that Pillow gives for the file: the same decoder with the same arguments. For
every other file, and for a damaged one, there is no answer, and Pillow's has to be asked for.
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from autonl_core.datasets.image_files import MAX_JPEG_SCANS, SCAN_MARKER
from autonl_core.datasets.limits import Limits

_START = b"\xff\xd8"
_SCAN, _TABLES, _JFIF, _ADOBE = 0xDA, 0xDB, 0xE0, 0xEE
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_SKIPPED = (0xC4, 0xDD, 0xFE)  # Huffman tables, restart interval, comment
_MODES = {1: "L", 3: "RGB"}
_TABLE_BYTES = 65
_MAX_SEGMENTS = 50
_MAX_PIXELS = 32 * 10**6
_SCALES = (8, 4, 2)  # that the decoder divides by at no cost


class _Frame(NamedTuple):
    width: int
    height: int
    mode: str


def decode_plain_jpeg(data: bytes, least_px: int, limits: Limits) -> tuple[tuple[int, int], Image.Image] | None:
    """The size of an image, and its pixels, reduced by a power of two as long as both sides keep `least_px`.

    None if the file is not ordinary, is damaged, or exceeds a limit. Raises MemoryError.
    """
    frame = _read_header(data)
    if frame is None or not 0 < frame.width * frame.height <= min(limits.image_pixels, _MAX_PIXELS):
        return None
    if data.count(SCAN_MARKER) > MAX_JPEG_SCANS:
        return None
    most = min(frame.width // least_px, frame.height // least_px)
    scale = next((scale for scale in _SCALES if scale <= most), 1)
    size = (frame.width + scale - 1) // scale, (frame.height + scale - 1) // scale
    try:
        pixels = Image.frombytes(frame.mode, size, data, "jpeg", frame.mode, "", scale, 0)
    except (ValueError, OSError):  # damaged
        return None
    return (frame.width, frame.height), pixels


def _read_header(data: bytes) -> _Frame | None:
    """What the frame header says; None if anything is unusual."""
    if not data.startswith(_START):
        return None
    at, frame = len(_START), None
    try:
        for _ in range(_MAX_SEGMENTS):
            if data[at] != 0xFF:
                return None
            marker, length = data[at + 1], data[at + 2] << 8 | data[at + 3]  # the length includes its own two bytes
            if marker == _SCAN:
                return frame
            if marker in _FRAMES:
                if frame is not None or (frame := _read_frame(data, at, length)) is None:
                    return None
            elif marker not in _SKIPPED and not _is_usual(data, at, marker, length):
                return None
            at += 2 + max(length, 2)
    except IndexError:  # the file ends in its header
        return None
    return None


def _read_frame(data: bytes, at: int, length: int) -> _Frame | None:
    bits, channels = data[at + 4], data[at + 9]
    if bits != 8 or channels not in _MODES or length != 8 + 3 * channels:
        return None
    return _Frame(data[at + 7] << 8 | data[at + 8], data[at + 5] << 8 | data[at + 6], _MODES[channels])


def _is_usual(data: bytes, at: int, marker: int, length: int) -> bool:
    """Whether a segment is one of quantisation tables of 8 bits, or of JFIF or Adobe data, in full."""
    if marker == _TABLES:
        tables, rest = divmod(length - 2, _TABLE_BYTES)
        return rest == 0 and all(data[at + 4 + _TABLE_BYTES * number] < 16 for number in range(tables))
    if marker == _JFIF:
        return length >= 16 and data.startswith(b"JFIF\0", at + 4)
    return marker == _ADOBE and length >= 14 and data.startswith(b"Adobe", at + 4)
