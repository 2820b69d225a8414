"""The index of Parquet files: every row that has an image, by the name that it would have in a folder."""

from __future__ import annotations

from autonl_core.datasets.limits import Limits
from autonl_core.datasets.packed.class_names import read_class_names
from autonl_core.datasets.packed.index import Index, Place
from autonl_core.datasets.packed.parquet_file import open_parquet
from autonl_core.datasets.packed.parquet_rows import list_rows
from autonl_core.datasets.packed.places import Packed
from autonl_core.errors import DatasetError


def index_parquets(packed: Packed, limits: Limits) -> Index:
    """The images in Parquet files.

    Raises:
        DatasetError: no `pyarrow` is installed, a file is damaged or refused, a label names no class, a path leads out,
            or there are more than `folder_files` rows.
        OSError: one cannot be read.
    """
    names = read_class_names(packed.others)
    index = Index(packed.files)
    left = limits.folder_files
    for number, file in enumerate(packed.files):
        opened = open_parquet(file)
        left -= opened.starts[-1]
        if left < 0:
            raise DatasetError(
                f"the Parquet files up to {file.name!r} have more than {limits.folder_files:,} rows; add fewer files"
            )
        try:
            for name, at, size_bytes in list_rows(file, opened, names):
                index.add(name, Place(number, at, size_bytes))
        except MemoryError as error:
            raise DatasetError(
                f"{file.name!r} needs more memory to be read than there is; write it again with smaller row groups"
            ) from error
    return index
