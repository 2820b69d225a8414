"""Packs a folder of images into a zip archive: uncompressed, as images do not shrink, and without hidden files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.errors import PackingError


def pack(folder: Path, target: Path, on_packed: Callable[[int, int], None]) -> None:
    """Write the files of `folder` to the archive `target`; `on_packed` is called with (packed files, total files).

    Raises:
        PackingError: the folder is empty, or a file cannot be read.
    """
    files = sorted(_visible_files(folder))
    if not files:
        raise PackingError(f"{folder} contains no files", ["give a folder that has one subfolder of images per class"])
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
