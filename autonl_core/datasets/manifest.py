"""The images of a dataset that passed its check: split, class, name and group of each.

A manifest is a JSON file, written once and named by a hash of its content. A `DatasetSpec` stores that hash as its
fingerprint, so a later change is detected. Training images that duplicate a test image are not listed.
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

_FORMAT = "autonl-manifest/2"  # before it, label files were unknown, and fewer suffixes were those of images
_SUFFIX = ".manifest.json"

Row = tuple[Literal["train", "test"], int, str, int | None]  # split, label, member, group


@dataclass(frozen=True)
class Manifest:
    """`content` is the fingerprint of the files it was made from; labels index `classes`.

    `label_files` are part of that fingerprint; None: it was computed by `former_fingerprint`.
    """

    content: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    label_files: tuple[str, ...] | None = None


def write_manifest(
    folder: Path, content: str, classes: Sequence[str], rows: Iterable[Row], label_files: Sequence[str] = ()
) -> Path:
    """Write a manifest into `folder` and return its path, which is the same for the same content."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = json.dumps(
        {"format": _FORMAT, "content": content, "classes": list(classes), "label_files": list(label_files)}
    )
    text = f'{head[:-1]}, "items": [\n{lines}\n]}}\n'.encode()
    path = folder / f"{_hash(text)}{_SUFFIX}"
    write_atomically(path, lambda temporary: temporary.write_bytes(text))
    return path


def manifest_fingerprint(path: Path) -> str:
    """The hash of its content, which is part of a manifest's name."""
    return path.name.removesuffix(_SUFFIX)


def is_intact(path: Path) -> bool:
    """Whether the name of the manifest at `path` is that of its content. Raises OSError if it cannot be read."""
    return _hash(path.read_bytes()) == manifest_fingerprint(path)


def read_manifest(path: Path, fingerprint: str) -> Manifest:
    """The manifest at `path`. Raises DatasetError if it cannot be read or does not have this fingerprint."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"the manifest {path} cannot be read ({error.strerror}); add the dataset again") from error
    if _hash(text) != fingerprint:
        raise DatasetError(f"the manifest {path} was modified; add the dataset again")
    data = json.loads(text)
    label_files = tuple(data["label_files"]) if "label_files" in data else None
    return Manifest(data["content"], tuple(data["classes"]), tuple(tuple(row) for row in data["items"]), label_files)


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32]
