"""Files that users download: stored completely or not at all, under a key that cannot point outside the root."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlparse

from autonl_core.files import check_room, sha256_of, write_atomically
from store.errors import ArtifactError, BucketUnavailable, NotFound

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_CHUNK_BYTES = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedAs:
    """How a file is to be sent to users by a server other than the API."""

    media_type: str = "application/octet-stream"
    file_name: str = ""

    def headers(self) -> dict[str, str]:
        """The headers of a response. Names of files have no character that would have to be quoted."""
        name = {"Content-Disposition": f'attachment; filename="{self.file_name}"'} if self.file_name else {}
        return {"Content-Type": self.media_type, "Cache-Control": "private, no-cache, no-transform"} | name


PLAIN = ServedAs()


@dataclass(frozen=True)
class StoredFile:
    """A file in the artifact store."""

    key: str
    sha256: str
    size_bytes: int


class ArtifactStore(Protocol):
    """Storage for artifacts. In a bucket, every method but `download_url` raises BucketUnavailable."""

    def put(self, key: str, source: Path, served_as: ServedAs = PLAIN, *, replace: bool = False) -> StoredFile:
        """Copy the file at `source` to `key`; when this returns, the copy is complete and durable.

        Raises:
            ArtifactError: there is a file with other content, and `replace` is false: an attempt writes each once.
            OSError (ENOSPC): the disk has no room for it beside the reserve.
        """

    def open(self, key: str) -> BinaryIO:
        """The file, opened for reading. Raises NotFound, and ArtifactError if it is found to be damaged."""

    def download_url(self, key: str) -> str | None:
        """Where a user may get the file for a short time, without a key; None: from the API."""

    def delete(self, key: str) -> None:
        """Delete the file at `key`, if it exists."""

    def delete_folder(self, prefix: str, *, keep: Collection[str] = ()) -> None:
        """Delete everything below the folder `prefix`, except the keys in `keep`."""


class FileArtifactStore:
    """Artifacts as files below a root folder, which every API and worker host must share.

    Args:
        reserve_bytes: what has to stay free on its disk.
    """

    def __init__(self, root: Path, reserve_bytes: int = 0) -> None:
        self._root = root
        self._reserve_bytes = reserve_bytes

    def put(self, key: str, source: Path, served_as: ServedAs = PLAIN, *, replace: bool = False) -> StoredFile:
        path = self._path(key)
        check_room(self._root, source.stat().st_size, self._reserve_bytes)
        if not replace and path.exists() and sha256_of(path) != sha256_of(source):
            raise ArtifactError(f"there is other content at {key!r} in the store; it is not replaced")
        sha256, size_bytes = write_atomically(path, lambda temporary: _copy(source, temporary))
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

    def download_url(self, key: str) -> str | None:
        return None

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def delete_folder(self, prefix: str, *, keep: Collection[str] = ()) -> None:
        folder = self._path(prefix)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
            return
        kept = {self._path(key) for key in keep}
        for file in folder.rglob("*"):
            if file not in kept and not file.is_dir():
                file.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        """The path of `key`. Raises ArtifactError if it is malformed, or points outside the root, even by a link."""
        root = self._root.resolve()
        path = root / checked_key(key)
        if not path.parent.resolve().is_relative_to(root):
            raise ArtifactError(f"artifact key {key!r} points outside the store")
        return path


def delete_or_leave(artifacts: ArtifactStore, prefix: str) -> None:
    """Delete a folder that no row names any more, or log that it is left, if the bucket does not respond."""
    try:
        artifacts.delete_folder(prefix)
    except BucketUnavailable as error:
        log.warning("delete artifacts/%s in the bucket yourself, nothing needs it: %s", prefix, error)


def checked_key(key: str) -> str:
    """`key`. Raises ArtifactError if it is malformed."""
    if not _KEY.fullmatch(key):
        raise ArtifactError(f"artifact key {key!r} is malformed; use letters, digits, '.', '_', '-' and '/'")
    return key


def artifact_folder(url: str) -> Path:
    """The folder that an artifact URL names. Raises ArtifactError if the URL is not supported."""
    parsed = urlparse(url)
    if parsed.scheme == "file" and parsed.netloc in ("", "localhost"):
        return Path(unquote(parsed.path))
    if parsed.scheme == "":
        return Path(url)
    raise ArtifactError(
        f"ARTIFACT_URL begins with {parsed.scheme}://, which is not supported; use a folder that every host shares, "
        "as file:///folder, or a bucket, as s3://bucket/prefix"
    )


def _copy(source: Path, target: Path) -> tuple[str, int]:
    with source.open("rb") as reader:
        return copy_stream(reader, target)


def copy_stream(source: BinaryIO, target: Path) -> tuple[str, int]:
    """The SHA-256 and the size of what was copied to `target`, taken on the way so that the file is read once."""
    digest, size_bytes = hashlib.sha256(), 0
    with target.open("xb") as writer:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            writer.write(chunk)
            size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes
