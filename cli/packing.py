"""Packs a folder of images into a zip archive: stored, as images do not get smaller, and without what is hidden."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.errors import PackingError


def pack(folder: Path, target: Path, on_packed: Callable[[int, int], None]) -> None:
    """Write the files of `folder` into the archive `target`; `on_packed` is told how many are done, and of how many.

    Raises:
        PackingError: there is nothing in it, or a file cannot be read.
    """
    files = sorted(_visible_files(folder))
    if not files:
        raise PackingError(f"{folder} holds no files", ["name a folder of class folders with images in them"])
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for count, file in enumerate(files, 1):
                archive.write(file, file.relative_to(folder))
                on_packed(count, len(files))
    except (OSError, ValueError) as error:
        raise PackingError(f"{folder} cannot be packed", [str(error)]) from error


def _visible_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        yield from (Path(root) / name for name in names if not name.startswith("."))
