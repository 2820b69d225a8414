"""What a check found in the images that it opened, saved so that the next attempt need not open them again.

A file has the rows of one portion. Its name begins with the content of the dataset and all else that the rows depend
on, so rows of another content are never read. Attempts that overlap write the same bytes, each under a name of its own
until the file is complete. A file that is not intact counts as missing. Saving is never worth failing for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from autonl_core.datasets.limits import Limits

_VERSION = 4  # to be increased when the rows of the same images change
_SUM_BYTES = 16
_HEAD = struct.Struct("<Q")  # the length of the rows in bytes


def saved_key(content: str, names: Sequence[str], limits: Limits) -> str:
    """What rows depend on: the content of the dataset, which of its files are opened, limits, decoders."""
    listed = hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()
    text = f"{_VERSION} {PIL.__version__} {limits} {content} {listed}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class SavedRows:
    """Rows of type `row` in `folder`, which is created; files of another `key` in it are deleted."""

    def __init__(self, folder: Path, key: str, row: np.dtype[Any]) -> None:
        self._folder, self._key, self._row = folder, key, row
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():
                if not path.name.startswith(key):
                    path.unlink(missing_ok=True)

    def load(self, start: int, count: int) -> tuple[NDArray[Any], dict[int, str]] | None:
        """The `count` rows from `start`, and the problems by position; None if they were not saved."""
        try:
            data = self._path(start).read_bytes()
        except OSError:
            return None
        content = data[_SUM_BYTES:]
        if data[:_SUM_BYTES] != _sum(content):
            return None
        (rows_bytes,) = _HEAD.unpack_from(content)
        if rows_bytes != count * self._row.itemsize:
            return None
        problems = json.loads(content[_HEAD.size + rows_bytes :])
        rows = np.frombuffer(content, self._row, count, _HEAD.size)
        return rows, {int(position): problem for position, problem in problems.items()}

    def save(self, start: int, rows: NDArray[Any], problems: dict[int, str]) -> None:
        content = _HEAD.pack(rows.nbytes) + rows.tobytes() + json.dumps(problems).encode()
        path = self._path(start)
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):  # the disk is full, or another attempt ended this check
            unfinished.write_bytes(_sum(content) + content)
            unfinished.replace(path)

    def _path(self, start: int) -> Path:
        return self._folder / f"{self._key}-{start}"


def _sum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SUM_BYTES).digest()
