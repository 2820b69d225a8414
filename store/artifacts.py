"""Files that users download. Put once, complete or not at all, named by a key that cannot leave the root."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlparse

from store.errors import ArtifactError, NotFound

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """A file in the artifact store."""

    key: str
    sha256: str
    size_bytes: int


class ArtifactStore(Protocol):
    """Where artifacts lie."""

    def put(self, key: str, source: Path) -> StoredFile:
        """Copy the file at `source` under `key`; when this returns, it is complete and durable."""

    def open(self, key: str) -> BinaryIO:
        """The file, for reading from its start. Raises NotFound."""

    def delete_folder(self, prefix: str, *, but: Collection[str] = ()) -> None:
        """Delete everything whose key begins with the folder `prefix`, but for the keys named."""


class FileArtifactStore:
    """Artifacts as files below a root folder, which every API and worker host must see."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, source: Path) -> StoredFile:
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            sha256, size_bytes = _copy_durably(source, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return StoredFile(key, sha256, size_bytes)

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(f"artifact {key!r} is not in the store") from error
        except OSError as error:
            raise ArtifactError(f"artifact {key!r} cannot be opened: {error.strerror}") from error
        return os.fdopen(descriptor, "rb")

    def delete_folder(self, prefix: str, *, but: Collection[str] = ()) -> None:
        folder = self._path(prefix)
        if not but:
            shutil.rmtree(folder, ignore_errors=True)
            return
        kept = {self._path(key) for key in but}
        for file in folder.rglob("*"):
            if file not in kept and not file.is_dir():
                file.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        """Where `key` lies. Raises ArtifactError for a key that is malformed or leaves the root, also by a link."""
        if not _KEY.fullmatch(key):
            raise ArtifactError(f"artifact key {key!r} is malformed: names of letters, digits, '.', '_', '-' and '/'")
        root = self._root.resolve()
        path = root / key
        if not path.parent.resolve().is_relative_to(root):
            raise ArtifactError(f"artifact key {key!r} leads out of the store")
        return path


def open_artifacts(url: str) -> ArtifactStore:
    """The store that an artifact URL names. Raises ArtifactError for one that cannot be served."""
    parsed = urlparse(url)
    if parsed.scheme == "file" and parsed.netloc in ("", "localhost"):
        return FileArtifactStore(Path(unquote(parsed.path)))
    if parsed.scheme == "":
        return FileArtifactStore(Path(url))
    raise ArtifactError(
        f"ARTIFACT_URL names {parsed.scheme}://, which is not supported yet; give a folder that every host sees, "
        "as file:///folder"
    )


def _copy_durably(source: Path, target: Path) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
            size_bytes += len(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest(), size_bytes


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
