"""The rows of a Parquet file: what each image would be called in a folder, and how many bytes it has.

Parquet does not say how long a value is, so the images are read once, a few at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from autonl_core.datasets.names import image_suffix, parts_of
from autonl_core.datasets.packed.class_names import folder_name
from autonl_core.datasets.packed.index import image_name, split_folder
from autonl_core.datasets.packed.labels import Label, class_of
from autonl_core.datasets.packed.parquet_columns import Columns
from autonl_core.datasets.packed.parquet_file import (
    MAX_GROUP_BYTES,
    OpenParquet,
    group_too_large,
    naming,
)
from autonl_core.datasets.packed.places import PackedFile
from autonl_core.datasets.packed.stored_images import StoredImages
from autonl_core.datasets.zip_archive import MAX_NAME_CHARS, leads_out
from autonl_core.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow

_FIRST_BYTES = 16  # say the format of an image


class _Row(NamedTuple):
    """What the index needs of a row. An image that is missing has no bytes."""

    data: bytes
    path: str | None
    label: Label | None


class ListedRow(NamedTuple):
    """An image by the name that it would have in a folder. One that is missing has no bytes."""

    name: str
    at: int  # its row; or, negative, the complement of its offset in the file, where its bytes lie as they are
    size_bytes: int


def list_rows(file: PackedFile, opened: OpenParquet, names: Mapping[int, str]) -> Iterator[ListedRow]:
    """The images of a file, in its order.

    Args:
        names: of classes that its labels only number, where its own metadata have none.

    Raises:
        DatasetError: it is damaged, a label names no class, a path leads out, or it has rows but no image.
    """
    columns = opened.columns
    split = split_folder(file.name)
    folders: dict[Label | None, str] = {None: ""}
    present = 0
    for number, (row, offset) in enumerate(_rows(opened, file)):
        present += row.data != b""
        if row.label not in folders:
            folders[row.label] = _folder_of(row.label, columns, names, file, number)
        name = image_name(split, folders[row.label], _member(row, file, number))
        yield ListedRow(name, number if offset is None else ~offset, len(row.data))
    if opened.starts[-1] and not present:
        raise DatasetError(
            f"{file.name!r} has no images: {columns.bytes_leaf!r} is empty in every row; write it with the images "
            "embedded, as Dataset.push_to_hub does; Dataset.to_parquet writes their paths alone"
        )


def _rows(opened: OpenParquet, file: PackedFile) -> Iterator[tuple[_Row, int | None]]:
    """One row group after the other, each with the offset of its image, if that is known. Raises DatasetError."""
    stored = StoredImages(file)
    for group in range(len(opened.starts) - 1):
        size_bytes = 0
        stored.begin_group()
        for batch in opened.batches(file, group, opened.columns.leaves):
            with naming(file):  # a path may be no text
                rows = _rows_of(batch, opened.columns)
            size_bytes += sum(len(row.data) for row in rows)
            if size_bytes > MAX_GROUP_BYTES:  # whatever the footer says
                raise group_too_large(file, group, size_bytes)
            yield from ((row, stored.find(row.data)) for row in rows)


def _rows_of(batch: pyarrow.RecordBatch, columns: Columns) -> list[_Row]:
    column = batch.column(columns.image)
    images = columns.images_of(column)
    missing = [None] * len(images)
    paths = column.field("path").to_pylist() if columns.has_path else missing
    labels = missing if columns.label is None else batch.column(columns.label).to_pylist()
    return [_Row(data or b"", path or None, label) for data, path, label in zip(images, paths, labels, strict=True)]


def _folder_of(label: Label | None, columns: Columns, names: Mapping[int, str], file: PackedFile, at: int) -> str:
    where = f"{file.name!r}, row {at:,}"
    if isinstance(label, str):
        return folder_name(label, where)
    assert label is not None
    if label < 0:
        raise DatasetError(
            f"{where} has the {columns.label} {label}, which stands for no class; give the image one, "
            "or leave out the file"
        )
    if not columns.class_names:
        return class_of(label, names, where)
    if label not in columns.class_names:
        raise DatasetError(
            f"{where} has the {columns.label} {label:,}, but the metadata of the file name 0 to "
            f"{len(columns.class_names) - 1:,}; write the file again with the names of all classes"
        )
    return columns.class_names[label]


def _member(row: _Row, file: PackedFile, at: int) -> str:
    """The name of an image within its class. Raises DatasetError if its path cannot be one."""
    if row.path is None:
        return _own_name(file, at, row.data[:_FIRST_BYTES])
    path = row.path if row.data else _last_of(row.path)  # without bytes, it says where the image once was
    where = f"{file.name!r}, row {at:,}: the path {path[:200]!r}"
    if len(path) > MAX_NAME_CHARS:
        raise DatasetError(f"{where} has {len(path):,} characters; at most {MAX_NAME_CHARS:,} are allowed")
    parts = parts_of(path)
    if leads_out(path) or not parts:
        raise DatasetError(
            f"{where} must be relative, without '..', backslashes or NUL; write the file again with names of files"
        )
    return "/".join(parts)


def _last_of(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


def _own_name(file: PackedFile, at: int, first_bytes: bytes) -> str:
    """The name of an image without a path: of its file and its row, with the suffix of its format."""
    last = file.name[file.name.rfind("/") + 1 :]
    return f"{last[: last.rfind('.')]}-{at:08}{image_suffix(first_bytes)}"
