"""Opens untrusted Parquet files with `pyarrow`, and reads no more of one than an image needs: its row group.

A file is refused as a whole if it was cut off, lacks what a Parquet file has, is encrypted, or has a row group that is
too large to be read for one image. `pyarrow` is loaded where the first file is opened.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from autonl_core.datasets.file_kinds import kind_of
from autonl_core.datasets.packed.parquet_columns import Columns, find_columns
from autonl_core.datasets.packed.places import PackedFile, read_part
from autonl_core.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

MAX_GROUP_BYTES = 256 << 20  # of a row group, decompressed; `datasets` writes groups of about 100 MB
_MAX_FOOTER_BYTES = 64 << 20
_MAGIC, _ENCRYPTED_MAGIC = b"PAR1", b"PARE"
_LFS_POINTER = b"version https://git-lfs"
_TAIL_BYTES = 8  # the length of the footer, and the magic
_FIRST_BYTES = 600
_ROWS = 8  # decoded at a time


class _Part(io.RawIOBase):
    """What `pyarrow` takes for a file: reads a packed file wherever it is, and keeps nothing open."""

    def __init__(self, file: PackedFile) -> None:
        super().__init__()
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        self._at = at + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size_bytes}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = read_part(self._file, self._at, self._file.size_bytes if size < 0 else size)
        self._at += len(data)
        return data


def require_pyarrow() -> None:
    """Raises DatasetError if `pyarrow` is not installed."""
    if find_spec("pyarrow") is None:
        raise DatasetError(
            "Parquet files are read with pyarrow, which is not installed here: pip install 'autonl[parquet]', or save "
            "the images as class folders or tar shards"
        )


def load_pyarrow() -> None:
    """Import it, with a memory pool that reserves nothing. Raises DatasetError if it is not installed."""
    require_pyarrow()
    import pyarrow
    import pyarrow.parquet

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())


class OpenParquet(NamedTuple):
    """A file of which the footer was read."""

    parquet: pyarrow.parquet.ParquetFile
    columns: Columns
    starts: list[int]  # the first row of every row group, and the number of rows

    def batches(self, file: PackedFile, group: int, leaves: list[str]) -> Iterator[pyarrow.RecordBatch]:
        """The rows of a group, a few at a time: decoded all at once they take twice the memory. Raises DatasetError."""
        with naming(file):
            yield from self.parquet.iter_batches(_ROWS, row_groups=[group], columns=leaves, use_threads=False)


def open_parquet(file: PackedFile) -> OpenParquet:
    """Raises DatasetError: no `pyarrow` is installed, or the file is damaged or refused; OSError: it cannot be read."""
    load_pyarrow()
    import pyarrow.parquet as pq

    _require_whole(file)
    with naming(file):
        parquet = pq.ParquetFile(_Part(file), page_checksum_verification=True)
        columns = find_columns(parquet.schema_arrow, file)
        _require_small_groups(parquet.metadata, file)
        return OpenParquet(parquet, columns, _group_starts(parquet.metadata, file))


@contextmanager
def naming(file: PackedFile) -> Iterator[None]:
    """Turns what `pyarrow` raises into DatasetError, which names the file, but for MemoryError."""
    import pyarrow

    try:
        yield
    except (DatasetError, MemoryError):
        raise
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, OverflowError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DatasetError(f"{file.name!r} is damaged ({reason}); copy or write it again") from error


def _group_starts(metadata: pyarrow.parquet.FileMetaData, file: PackedFile) -> list[int]:
    starts = [0]
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        if rows < 0:
            raise DatasetError(f"{file.name!r} is damaged (row group {number} has {rows:,} rows); write it again")
        starts.append(starts[-1] + rows)
    if starts[-1] != metadata.num_rows:
        raise DatasetError(
            f"{file.name!r} is damaged ({metadata.num_rows:,} rows, but {starts[-1]:,} in its row groups); "
            "write it again"
        )
    return starts


def _require_small_groups(metadata: pyarrow.parquet.FileMetaData, file: PackedFile) -> None:
    """Raises DatasetError if a row group says that it has more than MAX_GROUP_BYTES.

    Sizes of single columns are not asked for: where they are damaged, `pyarrow` ends this process.
    """
    for number in range(metadata.num_row_groups):
        size_bytes = metadata.row_group(number).total_byte_size
        if size_bytes < 0:
            raise DatasetError(f"{file.name!r} is damaged (row group {number} has a negative size); write it again")
        if size_bytes > MAX_GROUP_BYTES:
            raise group_too_large(file, number, size_bytes)


def group_too_large(file: PackedFile, number: int, size_bytes: int) -> DatasetError:
    """The error for a row group that takes too many bytes."""
    return DatasetError(
        f"{file.name!r}: row group {number} has {size_bytes:,} bytes, more than {MAX_GROUP_BYTES:,}, which "
        "are read for each of its images; write the file again with smaller row groups, such as row_group_size=100"
    )


def _require_whole(file: PackedFile) -> None:
    first = read_part(file, 0, _FIRST_BYTES)
    last = read_part(file, max(0, file.size_bytes - _TAIL_BYTES), _TAIL_BYTES)
    if first.startswith(_LFS_POINTER):
        raise DatasetError(
            f"{file.name!r} is a pointer of Git LFS in place of the file; get the files with git lfs pull"
        )
    if _ENCRYPTED_MAGIC in (first[:4], last[4:]):
        raise DatasetError(f"{file.name!r} is encrypted; write it again without encryption")
    if first[:4] != _MAGIC:
        raise DatasetError(f"{file.name!r} is no Parquet file, but {kind_of(first)}; rename it, or leave it out")
    if last[4:] != _MAGIC or file.size_bytes < len(_MAGIC) + _TAIL_BYTES:
        raise DatasetError(f"{file.name!r} was cut off at byte {file.size_bytes:,}: it has no end; copy it again")
    footer_bytes = int.from_bytes(last[:4], "little")
    if footer_bytes > min(_MAX_FOOTER_BYTES, file.size_bytes):
        raise DatasetError(
            f"{file.name!r} claims a footer of {footer_bytes:,} bytes, more than it has or than {_MAX_FOOTER_BYTES:,}; "
            "copy or write it again"
        )
