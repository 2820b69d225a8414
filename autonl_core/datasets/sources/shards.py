"""Tar shards as `webdataset` writes them, in a folder or stored in a zip archive, read in place."""

from __future__ import annotations

from typing import ClassVar

from autonl_core.datasets.data_source import Location
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.packed.index import Index
from autonl_core.datasets.packed.kinds import PackedKind
from autonl_core.datasets.packed.places import Packed, PackedFile, read_part
from autonl_core.datasets.packed.source import ImageReader, PackedSource
from autonl_core.datasets.packed.tar_index import index_tars


class Shards(PackedSource):
    """Plain tar archives: an image is one ranged read, wherever it is."""

    name = "shards"
    title = "a set of tar shards"
    kind: ClassVar[PackedKind] = "shards"

    def index(self, packed: Packed, limits: Limits) -> Index:
        return index_tars(packed, limits)

    def image_reader(self, limits: Limits) -> ImageReader:
        return _TarReader()


class _TarReader:
    def read(self, file: PackedFile, location: Location) -> bytes:
        return read_part(file, location.offset, location.size_bytes)


MEMBER = Shards()
