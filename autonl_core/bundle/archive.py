"""The bundle as a zip archive: equal files give equal bytes, whenever and wherever they are packed."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from autonl_core.errors import VerificationError
from autonl_core.files import write_atomically
from autonl_core.spec.formats import NETWORK_FORMAT_SPECS

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip can store
_READABLE = 0o100644 << 16
# Compressed already, or hardly smaller if they were.
_STORED = {Path(spec.file_name).suffix for spec in NETWORK_FORMAT_SPECS.values()} | {".npz"}
_CHUNK_BYTES = 1 << 20


def pack(folder: Path, archive: Path, name: str) -> None:
    """Write the files in `folder`, sorted by name, to the zip file `archive`, inside a folder called `name`."""
    write_atomically(archive, lambda temporary: _pack(folder, temporary, name))


def check_packed(archive: Path, name: str, sha256_by_file: Mapping[str, str]) -> None:
    """Raises VerificationError unless `archive` holds exactly these files, each with its SHA-256."""
    with zipfile.ZipFile(archive) as packed:
        found = {info.filename: _sha256(packed, info) for info in packed.infolist()}
    expected = {f"{name}/{file}": sha256 for file, sha256 in sha256_by_file.items()}
    differing = sorted(file for file in found.keys() | expected.keys() if found.get(file) != expected.get(file))
    if differing:
        raise VerificationError(f"{archive.name}: differs from what was scored: {', '.join(differing)}")


def _pack(folder: Path, target: Path, name: str) -> None:
    with zipfile.ZipFile(target, "w") as packed:
        for file in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(f"{name}/{file.name}", _TIME)
            info.external_attr = _READABLE
            info.create_system = 3  # Unix, on every system
            info.compress_type = zipfile.ZIP_STORED if file.suffix in _STORED else zipfile.ZIP_DEFLATED
            info.file_size = file.stat().st_size
            with file.open("rb") as reader, packed.open(info, "w") as writer:
                shutil.copyfileobj(reader, writer, _CHUNK_BYTES)


def _sha256(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    digest = hashlib.sha256()
    with packed.open(info) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
