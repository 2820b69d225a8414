"""The list of images that the check of a data set leaves: split, class, name and group of each.

A JSON file, written once and named by a hash of its content, so that whoever knows its name, as a `DatasetSpec` does,
notices when it changes. An image that duplicates one of the test split is not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autonl_core.errors import DatasetError
from autonl_core.files import write_atomically

_FORMAT = "autonl-manifest/1"
_SUFFIX = ".manifest.json"

Row = tuple[Literal["train", "test"], int, str, int | None]  # split, label, member, group


@dataclass(frozen=True)
class Manifest:
    """`content` is the fingerprint of the files it was made from; labels index `classes`."""

    content: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]


def write_manifest(folder: Path, content: str, classes: Sequence[str], rows: Iterable[Row]) -> Path:
    """Write the list into `folder`; the same list again is the same file."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = json.dumps({"format": _FORMAT, "content": content, "classes": list(classes)})
    text = f'{head[:-1]}, "items": [\n{lines}\n]}}\n'.encode()
    path = folder / f"{_hash(text)}{_SUFFIX}"
    write_atomically(path, lambda temporary: _write(temporary, text))
    return path


def manifest_fingerprint(path: Path) -> str:
    """The hash of its content that the name of a manifest holds."""
    return path.name.removesuffix(_SUFFIX)


def read_manifest(path: Path, fingerprint: str) -> Manifest:
    """The manifest at `path`. Raises DatasetError if it is gone, or is not the one of this fingerprint."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"the list of images {path} cannot be read ({error.strerror}); add the data set anew"
        ) from error
    if _hash(text) != fingerprint:
        raise DatasetError(f"the list of images {path} was changed; add the data set anew")
    data = json.loads(text)
    return Manifest(data["content"], tuple(data["classes"]), tuple(tuple(row) for row in data["items"]))


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)
