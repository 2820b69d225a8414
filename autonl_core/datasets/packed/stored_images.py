"""Where the images of a Parquet file lie in it as they are: then one is read alone, without its row group.

So they do where they are not compressed, as the library `datasets` writes images, and mostly where they are small and
Snappy found nothing to compress. What is found is what was compared, byte for byte: nothing that the file says of
itself is believed.
"""

from __future__ import annotations

from autonl_core.datasets.packed.places import PackedFile, read_part

_LENGTH_BYTES = 4  # of an image, before it
_WINDOW_BYTES = 1 << 20  # behind an image that is searched for the next one: a header, and columns of small values
_FIRST_BYTES = 256  # of an image that are searched for
_MISSES = 8  # one after the other, until no more are searched for in a row group


class StoredImages:
    """Finds the images of one file, in its order."""

    def __init__(self, file: PackedFile) -> None:
        self._file, self._end = file, 0
        self._misses = 0

    def begin_group(self) -> None:
        """The next image is the first one of a row group."""
        self._misses = 0

    def find(self, data: bytes) -> int | None:
        """The offset of an image; None: it is compressed, in pieces, or not where it is searched for."""
        if self._misses == _MISSES or not data:
            return None
        start = self._end + _LENGTH_BYTES
        if not self._is_at(start, data):
            window = read_part(self._file, self._end, _WINDOW_BYTES)
            at = window.find(data[:_FIRST_BYTES])
            start = self._end + at
            if at < 0 or not self._is_at(start, data):
                self._misses += 1
                return None
        self._misses = 0
        self._end = start + len(data)
        return start

    def _is_at(self, start: int, data: bytes) -> bool:
        return read_part(self._file, start, len(data)) == data
