"""Packs a folder of images for an upload, and checks names before one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autonl.errors import PackingFailed
from autonl.packing import pack as pack_folder
from autonl_core.spec.names import NAME_RULE, is_name
from cli.errors import PackingError


def pack(folder: Path, target: Path, on_packed: Callable[[int, int], None]) -> list[str]:
    """`autonl.packing.pack`, whose error ends a command."""
    try:
        return pack_folder(folder, target, on_packed)
    except PackingFailed as error:
        raise PackingError(error.title, error.lines) from error


def require_name(name: str) -> None:
    """Raises PackingError, with the rule in words, if nothing can be uploaded under this name."""
    if not is_name(name):
        raise PackingError(f"{name!r} cannot be the name of a dataset or weight set", [NAME_RULE])
