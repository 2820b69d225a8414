"""Files that are either complete or absent, even after a kill or a power failure."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from autonl_core.errors import DiskReserved

T = TypeVar("T")


def sha256_of(path: Path) -> str:
    """The hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, write: Callable[[Path], T]) -> T:
    """Let `write` fill a temporary sibling of `path`, then fsync it and rename it to `path`; returns what `write` does.

    A failure leaves nothing behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A random name: threads of one process, or processes of several hosts, may write the same file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        result = write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return result


def check_room(folder: Path, needed_bytes: int, reserve_bytes: int = 0) -> None:
    """Fail early, rather than halfway through a file. Raises DiskReserved if the disk of `folder` is too full.

    Args:
        reserve_bytes: what has to stay free on it, for what cannot wait, such as the database.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + reserve_bytes:
        raise DiskReserved(folder, free_bytes, needed_bytes, reserve_bytes)
