"""Which names of objects can be names of files below a folder, all of them together."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_PART_BYTES = 255  # of the name of a file, on nearly every disk


def why_unusable(name: str) -> str | None:
    """Why `name` can be no file below a folder; None if it can."""
    parts = name.split("/")
    if "" in parts:
        return "it has an empty part"
    if "." in parts or ".." in parts:
        return "it has a part that leads to another folder"
    if _CONTROL.search(name):
        return "it has control characters"
    if any(len(part.encode("utf-8", "surrogateescape")) > _MAX_PART_BYTES for part in parts):
        return f"it has a part of more than {_MAX_PART_BYTES} bytes"
    return None


def folders_among(names: Iterable[str]) -> set[str]:
    """The folders that files of these names are in."""
    folders: set[str] = set()
    for name in names:
        while (cut := name.rfind("/")) > 0 and (name := name[:cut]) not in folders:
            folders.add(name)
    return folders
