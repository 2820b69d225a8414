"""The requests about devices; the others are in `documents.py`."""

from __future__ import annotations

from pathlib import Path

from autonl.documents import JSON_TYPE, Document, delete, get, quoted, upload
from autonl.steps import Call, Upload


def devices() -> Call[Document]:
    return get("/devices")


def device(name: str) -> Call[Document]:
    """A device with its table."""
    return get(_of_device(name))


def add_device(name: str, file: Path) -> Call[Document]:
    """Upload the file of a device table."""
    return upload("/devices", {"name": name}, Upload(file, lambda sent: None), JSON_TYPE)


def delete_device(name: str) -> Call[None]:
    return delete(_of_device(name))


def _of_device(name: str) -> str:
    return f"/devices/{quoted(name)}"
