"""Limits on the size of a dataset and of each of its images. The service has a setting for every one of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What exceeds a limit is refused or reported, with the value and the limit."""

    upload_bytes: int = 20 << 30  # of an uploaded archive
    files: int = 250_000  # in an archive: all are listed in memory, at about 1 KB and 13 microseconds each
    folder_files: int = 2_000_000  # in a folder, images or not
    content_bytes: int = 60 << 30  # of all files of an archive together, decompressed
    ratio: int = 200  # decompressed bytes per byte of the archive on disk; images hardly compress
    image_bytes: int = 64 << 20  # of one image file, decompressed if it is in an archive
    image_pixels: int = 64 * 10**6  # of one image; 4 bytes each when decoded
    image_s: float = 60.0  # time to open one image
    classes: int = 10_000


DEFAULT_LIMITS = Limits()
