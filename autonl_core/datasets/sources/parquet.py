"""Parquet files as the library `datasets` writes them, in a folder or stored in a zip archive, read in place."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import ClassVar

from autonl_core.datasets.data_source import Location
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.packed.index import Index
from autonl_core.datasets.packed.kinds import PackedKind
from autonl_core.datasets.packed.parquet_file import OpenParquet, load_pyarrow, open_parquet
from autonl_core.datasets.packed.parquet_index import index_parquets
from autonl_core.datasets.packed.places import Packed, PackedFile, read_part
from autonl_core.datasets.packed.source import ImageReader, PackedSource
from autonl_core.errors import DatasetError

_OPEN_FILES = 256  # whose footers are kept
_KEPT_BYTES = 32 << 20  # of row groups, beside the one that was read last

Images = list[bytes | None]


class Parquet(PackedSource):
    """An image that is not compressed is one ranged read, as in shards.

    For any other, its row group is read: neighbours are read once.
    """

    name = "parquet"
    title = "a set of Parquet files"
    kind: ClassVar[PackedKind] = "parquet"

    def index(self, packed: Packed, limits: Limits) -> Index:
        return index_parquets(packed, limits)

    def image_reader(self, limits: Limits) -> ImageReader:
        return _GroupReader()


class _GroupReader:
    """Keeps the footers of files, and the row groups that were read last, of which a few may be small."""

    def __init__(self) -> None:
        load_pyarrow()  # here, so that what it takes is no part of the memory for images
        self._opened: OrderedDict[PackedFile, OpenParquet] = OrderedDict()
        self._groups: OrderedDict[tuple[PackedFile, int], Images] = OrderedDict()

    def read(self, file: PackedFile, location: Location) -> bytes:
        if location.offset < 0:
            return read_part(file, ~location.offset, location.size_bytes)
        try:
            opened = self._open(file)
            group = bisect_right(opened.starts, location.offset) - 1
            if not 0 <= group < len(opened.starts) - 1:
                return b""
            images = self._group(file, opened, group)
        except DatasetError as error:
            raise ValueError(str(error)) from error
        row = location.offset - opened.starts[group]
        return (images[row] if row < len(images) else None) or b""

    def _open(self, file: PackedFile) -> OpenParquet:
        if file not in self._opened:
            self._opened[file] = open_parquet(file)
            while len(self._opened) > _OPEN_FILES:
                self._opened.popitem(last=False)
        self._opened.move_to_end(file)
        return self._opened[file]

    def _group(self, file: PackedFile, opened: OpenParquet, group: int) -> Images:
        key = (file, group)
        if key not in self._groups:
            while sum(map(_size_of, self._groups.values())) > _KEPT_BYTES:
                self._groups.popitem(last=False)
            columns = opened.columns
            batches = opened.batches(file, group, [columns.bytes_leaf])
            self._groups[key] = [image for batch in batches for image in columns.images_of(batch.column(columns.image))]
        self._groups.move_to_end(key)
        return self._groups[key]


def _size_of(images: Images) -> int:
    return sum(len(image or b"") for image in images)


MEMBER = Parquet()
