"""What a data source is: a place with the files of a dataset, such as a folder or a zip archive.

To add one, write `autonl_core/datasets/sources/NAME.py` with `MEMBER`, an object that satisfies `DataSource`, and give
it a factory in `tests/autonl_core/datasets/sources/factories.py`, so that the conformance suite covers it. Nothing else
has to be edited: dataset checks, searches, the API and the command line ask the registry (`sources/__init__.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from autonl_core.datasets.limits import Limits


class FileSource(Protocol):
    """The files of an open source, by their names relative to its root, with / between folders."""

    @property
    def marks(self) -> Mapping[str, str]:
        """Every file's name, and a mark that changes with its content."""

    def read(self, name: str) -> bytes:
        """The content of a file; empty if it is damaged, missing, or larger than `Limits.image_bytes`."""

    def locate(self, names: Iterable[str]) -> Iterable[Location]:
        """As `DataSource.locate`, without opening the source once more."""


@runtime_checkable
class ListsFolders(Protocol):
    """An open source that knows of folders without files: a class may be there before its images are."""

    @property
    def empty_folders(self) -> Iterable[str]:
        """Their names, with / between folders, and those of links to nothing."""

    @property
    def links_out(self) -> Iterable[str]:
        """Links to folders that are not entered, because they lead out of where links may lead."""


@runtime_checkable
class RenamesFiles(Protocol):
    """An open source that earlier versions listed under other names. `read` and `locate` take both."""

    @property
    def former_marks(self) -> Mapping[str, str]:
        """As `FileSource.marks`, by those names."""


@runtime_checkable
class MarksByStorage(Protocol):
    """An open source whose marks say how files are stored, because to mark them by content it would have to read them.

    Sources without this mark every file by its length and CRC-32, as `content_mark` does.
    """

    def content_mark(self, name: str) -> str:
        """The length and the CRC-32 of a file, as `123-0a1b2c3d`. Raises OSError."""


@runtime_checkable
class KnowsItsState(Protocol):
    """An open source that can say whether it changed without listing its files."""

    @property
    def state_mark(self) -> str:
        """Changes with any file."""


def folders_of(files: FileSource) -> Iterable[str]:
    """The folders without files, as far as the source knows of them."""
    return files.empty_folders if isinstance(files, ListsFolders) else ()


def links_out_of(files: FileSource) -> Iterable[str]:
    """The links to folders that the source does not enter."""
    return files.links_out if isinstance(files, ListsFolders) else ()


class Location(NamedTuple):
    """Where the bytes of one file are stored: all that a reader needs to find them without listing the source.

    A source may use the numbers as it likes, as long as each fits in 64 bits. A file without bytes is missing.
    """

    name: str  # relative to the root of the source
    offset: int = 0  # of the file in the source, in bytes
    stored_bytes: int = 0  # in the source, compressed or not
    size_bytes: int = 0  # of the file
    mark: int = 0  # changes with the content, such as a checksum
    deflated: bool = False


class FileReader(Protocol):
    """Reads located files of one source."""

    def read(self, location: Location) -> bytes:
        """The content of a file; empty if it is damaged, missing, larger than `Limits.image_bytes`, or not the one
        that was located.
        """


class DataSource(Protocol):
    """A kind of place that datasets are read from. Stateless; must not import NumPy or PyTorch.

    `open` lists a source and reads any file by name. `locate` and `reader` do the same in two steps: decode worker
    processes get locations, 57 bytes each, and read files without holding a list of all of them.
    """

    @property
    def name(self) -> str:
        """As `DatasetSpec.kind` stores it; equal to the name of the file that defines the source."""

    @property
    def title(self) -> str:
        """As messages call it, with its article: "a zip archive"."""

    def detect(self, path: Path) -> bool:
        """Whether a source of this kind is at `path`, judged without reading all of it.

        No two sources may detect the same path. Raises OSError if `path` cannot be read.
        """

    def open(self, path: Path, limits: Limits, within: tuple[Path, ...]) -> AbstractContextManager[FileSource]:
        """List the files at `path`. Links may only lead into the folders `within`; anywhere if there are none.

        A source that `KnowsItsState` may list them, and raise, when its files are first asked for.

        Raises:
            DatasetError: nothing of this kind at `path`; it is damaged, refused as unsafe, or exceeds `limits`.
            OSError: it cannot be read.
        """

    def locate(self, path: Path, members: Iterable[str], limits: Limits) -> Iterable[Location]:
        """Where the files of these names are stored, in the same order; a missing one has no bytes. Raises as `open`.

        `FileReader.read` of a location equals `FileSource.read` of its name, as long as nothing changes.
        """

    def reader(self, path: Path, limits: Limits) -> FileReader:
        """Something that reads located files until it is deleted. Raises OSError if `path` cannot be read."""

    def storage_mark(self, path: Path) -> str:
        """What locations depend on beyond the names and marks of the files; empty if on nothing else.

        Two archives of equal content may store the same file at different offsets: then their marks differ, and
        cached locations of one are not used for the other. Raises OSError if `path` cannot be read.
        """
