"""How large a data set may be, and each of its images. The service has a setting for every one of these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What reading a data set is bound by. Whatever exceeds one is refused, or reported, with its number."""

    upload_bytes: int = 20 << 30  # of an archive that is sent to the service
    files: int = 250_000  # in an archive: all of them are listed in memory, about 1 KB and 13 microseconds each
    folder_files: int = 2_000_000  # in a folder, of whatever kind
    content_bytes: int = 60 << 30  # of all files of an archive together, decompressed
    ratio: int = 200  # of that to the archive's bytes on disk; images that are compressed hardly get smaller
    image_bytes: int = 64 << 20  # of one file, after it was taken out of an archive
    image_pixels: int = 64 * 10**6  # of one image; 4 bytes each when decoded
    classes: int = 10_000


DEFAULT_LIMITS = Limits()
