"""Safetensors files: equal tensors and metadata give equal bytes, which the library alone does not promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from autonl_core.files import write_atomically

_LENGTH_BYTES = 8  # of the header; a little-endian integer in front of it
_METADATA = "__metadata__"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file atomically, with the entries of its metadata sorted by name."""

    def write(temporary: Path) -> None:
        save_file(dict(tensors), temporary, dict(metadata))
        _sort_metadata(temporary)

    write_atomically(path, write)


def _sort_metadata(path: Path) -> None:
    """Sort the entries in place: the header stays as long as it is, and the tensors where they are."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        header[_METADATA] = dict(sorted(header[_METADATA].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode().ljust(length)
        assert len(text) == length
        file.seek(_LENGTH_BYTES)
        file.write(text)
