"""Packs a folder of images into a zip archive: uncompressed, as images do not shrink, and without hidden files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from autonl.errors import PackingFailed
from autonl_core.datasets.names import is_left_behind


def pack(folder: Path, target: Path, on_packed: Callable[[int, int], None]) -> list[str]:
    """Write the files of `folder` to the archive `target`; `on_packed` is called with (packed files, total files).

    Links are followed. Empty folders are packed too: a class may be there before its images are.

    Returns:
        What was left out: hidden folders and files, and those that systems write for their own use, by name.
    Raises:
        PackingFailed: the folder is empty, or something in it cannot be read.
    """
    left_out: set[str] = set()
    entries = sorted(_visible(folder, left_out))
    count = sum(not path.is_dir() for path in entries)
    if not count:
        raise PackingFailed(f"{folder} contains no files", ["give a folder that has one subfolder of images per class"])
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            packed = 0
            for path in entries:
                archive.write(path, path.relative_to(folder))
                packed += not path.is_dir()
                on_packed(packed, count)
    except (OSError, ValueError) as error:
        raise PackingFailed(f"{folder} cannot be packed", [str(error)]) from error
    return sorted(left_out)


def _visible(folder: Path, left_out: set[str]) -> Iterator[Path]:
    """Files, and folders without any; the names of the others are added to `left_out`."""
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        here = Path(root)
        around = {parent.resolve() for parent in (here, *here.parents) if parent.is_relative_to(folder)}
        entered = []
        for name in folders:
            if is_left_behind((name,)):
                left_out.add(name)
            elif not ((here / name).is_symlink() and (here / name).resolve() in around):  # in circles
                entered.append(name)
        left_out.update(name for name in names if is_left_behind((name,)))
        files = [name for name in names if not is_left_behind((name,))]
        folders[:] = entered
        yield from (here / name for name in files)
        if not files and not entered and here != folder:
            yield here


def _refuse(error: OSError) -> None:
    """A folder that cannot be entered would be missing without a word."""
    raise PackingFailed(f"{error.filename} cannot be read", [str(error.strerror or error)])
