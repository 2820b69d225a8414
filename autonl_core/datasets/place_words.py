"""What messages call the place of a dataset: its path, unless the service stored an upload there."""

from __future__ import annotations

import re
from pathlib import Path

_STORED_UPLOAD = re.compile(r"[0-9a-f]{64}\.zip")  # by SHA-256: a name that the user has never seen


def place_of(name: str, path: Path) -> str:
    """How to call the place of the dataset `name`."""
    return f"the upload of dataset {name!r}" if _STORED_UPLOAD.fullmatch(path.name) else str(path)


def shown_as(name: str, path: Path) -> str:
    """The same without the folders around it."""
    place = place_of(name, path)
    return path.name if place == str(path) else place


def in_user_words(message: str, name: str, path: Path) -> str:
    """`message` with that instead of the path of an upload."""
    return message.replace(str(path), place_of(name, path))
