"""Artifacts in a bucket."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from autonl_core.files import check_room, sha256_of
from store.artifacts import PLAIN, ServedAs, StoredFile, checked_key
from store.bucket import Bucket
from store.errors import NotFound

FOLDER = "artifacts"


class BucketArtifactStore:
    """Artifacts as objects of a bucket. The disk has one only while it is read.

    Args:
        cache_dir: where that is.
        reserve_bytes: what has to stay free on the disk of `cache_dir`.
        sends_users: whether users get a URL of the bucket.
    """

    def __init__(self, bucket: Bucket, cache_dir: Path, reserve_bytes: int, *, sends_users: bool) -> None:
        self._bucket = bucket
        self._cache_dir = cache_dir
        self._reserve_bytes = reserve_bytes
        self._sends_users = sends_users

    def put(self, key: str, source: Path, served_as: ServedAs = PLAIN, *, replace: bool = False) -> StoredFile:
        stored = StoredFile(key, sha256_of(source), source.stat().st_size)
        put = self._bucket.put if replace else self._bucket.put_new
        put(_object(key), source, stored.sha256, served_as.headers())
        return stored

    def open(self, key: str) -> BinaryIO:
        try:
            check_room(self._cache_dir, self._bucket.size_of(_object(key)), self._reserve_bytes)
            with ExitStack() as until_copied:
                copy = until_copied.enter_context(tempfile.TemporaryFile(dir=self._cache_dir))
                self._bucket.copy_to(_object(key), cast("BinaryIO", copy))
                copy.seek(0)
                until_copied.pop_all()  # the caller closes it
        except NotFound as error:
            raise NotFound(f"artifact {key!r} is not in the store") from error
        return cast("BinaryIO", copy)

    def download_url(self, key: str) -> str | None:
        return self._bucket.signed_url(_object(key)) if self._sends_users else None

    def delete(self, key: str) -> None:
        self._bucket.delete([_object(key)])

    def delete_folder(self, prefix: str, *, keep: Collection[str] = ()) -> None:
        kept = {_object(key) for key in keep}
        self._bucket.delete([each.key for each in self._bucket.below(_object(prefix)) if each.key not in kept])


def _object(key: str) -> str:
    """The object of an artifact. Raises ArtifactError if the key is malformed."""
    return f"{FOLDER}/{checked_key(key)}"
