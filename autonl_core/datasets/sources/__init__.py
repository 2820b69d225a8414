"""Where the files of a dataset may be. Every module here defines one data source (see `datasets/data_source.py`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from autonl_core.datasets.data_source import DataSource, FileSource
from autonl_core.datasets.limits import DEFAULT_LIMITS, Limits
from autonl_core.errors import DatasetError
from autonl_core.registry import Registry, UnknownMember

SOURCES: Registry[DataSource] = Registry("autonl_core.datasets.sources", "data source")
UPLOAD_SOURCE = "zip"  # what the service accepts as an upload


def detect_source(path: Path) -> DataSource | None:
    """The source at `path`, or None if no source detects one. Raises OSError if `path` cannot be read."""
    return next((source for source in SOURCES.members() if source.detect(path)), None)


def get_source(name: str) -> DataSource:
    """The source called `name`, as `DatasetSpec.kind` stores it. Raises DatasetError if there is none."""
    try:
        return SOURCES.get(name)
    except UnknownMember as error:
        raise DatasetError(str(error)) from error


def require_source(path: Path) -> DataSource:
    """The source at `path`.

    Raises:
        DatasetError: no source detects one.
        OSError: `path` cannot be read.
    """
    if (source := detect_source(path)) is None:
        raise DatasetError(f"no dataset at {path}: expected {expected_sources()}")
    return source


def expected_sources() -> str:
    """All sources as a message lists them: "a folder or a zip archive"."""
    *titles, last = (source.title for source in SOURCES.members())
    return f"{', '.join(titles)} or {last}" if titles else last


@contextlib.contextmanager
def open_source(
    path: Path, limits: Limits = DEFAULT_LIMITS, *, kind: str | None = None, within: tuple[Path, ...] = ()
) -> Iterator[FileSource]:
    """The files of the source at `path`, which is detected unless its `kind` is given.

    Links in it may only lead into the folders `within`; anywhere if there are none.

    Raises:
        DatasetError: no source of this kind at `path`; one that is damaged, refused as unsafe, or exceeds `limits`.
        OSError: it cannot be read.
    """
    source = get_source(kind) if kind else require_source(path)
    with source.open(path, limits, within) as files:
        yield files
