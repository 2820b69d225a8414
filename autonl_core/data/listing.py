"""Where the encoded images of a dataset are stored, so that a decode worker can read any of them without a full list.

A worker holds 57 bytes and a name per image; the member list of a zip archive would take about a kilobyte each.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from autonl_core.datasets.data_source import FileSource, Location
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.sources import get_source

ENTRY = np.dtype(  # a `Location` with its name replaced by a reference into `names`
    [
        ("name_start", np.int64),
        ("name_bytes", np.int64),
        ("offset", np.int64),
        ("stored_bytes", np.int64),
        ("size_bytes", np.int64),
        ("mark", np.int64),
        ("deflated", np.bool_),
    ]
)
_ENTRIES, _NAMES = "entries.npy", "names.bin"


@dataclass(frozen=True)
class Listing:
    """The image files of a data source, in the order of a dataset's rows."""

    kind: str  # of the source
    path: Path  # of the source
    entries: NDArray[Any]  # (N,) of ENTRY
    names: bytes

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, row: int) -> str:
        entry = self.entries[row]
        start = int(entry["name_start"])
        return self.names[start : start + int(entry["name_bytes"])].decode("utf-8", "surrogateescape")

    def location(self, row: int) -> Location:
        numbers = self.entries[row].item()[2:]
        return Location(self.name(row), *numbers)

    def subset(self, rows: NDArray[np.int64]) -> Listing:
        return replace(self, entries=self.entries[rows])

    def save(self, folder: Path) -> None:
        """Write everything except kind and path: the source may be at another path next time."""
        np.save(folder / _ENTRIES, self.entries)
        (folder / _NAMES).write_bytes(self.names)

    @staticmethod
    def load(folder: Path, kind: str, path: Path) -> Listing:
        return Listing(kind, path, np.load(folder / _ENTRIES), (folder / _NAMES).read_bytes())

    @staticmethod
    def delete(folder: Path) -> None:
        for name in (_ENTRIES, _NAMES):
            (folder / name).unlink(missing_ok=True)


def list_files(
    kind: str, path: Path, members: Iterable[str], limits: Limits, files: FileSource | None = None
) -> Listing:
    """The files of these names in the data source of this kind at `path`. Raises as `DataSource.locate`.

    Args:
        files: those of the source if it is open, so that it need not be opened again.
    """
    located = get_source(kind).locate(path, members, limits) if files is None else files.locate(members)
    locations = list(located)
    names = [location.name.encode("utf-8", "surrogateescape") for location in locations]
    starts = itertools.accumulate(map(len, names), initial=0)
    entries = [
        (start, len(name), *location[1:]) for start, name, location in zip(starts, names, locations, strict=False)
    ]
    return Listing(kind, path, np.array(entries, dtype=ENTRY), b"".join(names))


@dataclass(frozen=True)
class ReaderTask:
    """What a process that reads listed files is to do: one line on its standard input."""

    folder: str  # of the saved listing
    kind: str  # of the data source
    path: str  # of the data source
    limits: Limits

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        data = json.loads(line)
        return cls(**{**data, "limits": Limits(**data["limits"])})


class ListedFiles:
    """Reads the files of a listing. Raises OSError if its source is missing."""

    def __init__(self, listing: Listing, limits: Limits) -> None:
        self._listing = listing
        self._reader = get_source(listing.kind).reader(listing.path, limits)

    def read(self, row: int) -> bytes:
        """The bytes of a file; empty if it is damaged, has changed since it was listed, or is too large."""
        return self._reader.read(self._listing.location(row))
