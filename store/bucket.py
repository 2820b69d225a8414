"""One bucket of a server that speaks S3, with what the stores need of it: conditional puts, checksums, signed URLs.

Every put sends the SHA-256 of what it puts, which the server compares with what arrives, and stores it with the object;
every read compares it with what arrives here. `obstore` speaks S3, and is loaded by the first request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlparse

from store.bucket_settings import BucketSettings
from store.errors import ArtifactDamaged, ArtifactError, BucketUnavailable, NotFound

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3"
_SHA256 = "sha256"  # the name of the metadata of each object
_CONNECT_S = 5
_QUICK_RETRIES = 3  # within one call; a caller that can wait longer calls again
_QUICK_RETRIES_S = 15
_LISTED = 1000
_STATUS = re.compile(r"status code: (\d{3})")
# What the server says of a body that changed on its way, or of itself. Sent again, it may arrive.
_WORTH_REPEATING = (
    "BadDigest",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "RequestTimeout",
    "ConditionalRequestConflict",
)
_TOO_MANY, _TIMED_OUT, _SERVER_ERRORS = 429, 408, 500


@dataclass(frozen=True)
class StoredObject:
    """An object as a list of the bucket has it; `key` is below the prefix of the URL."""

    key: str
    changed_at: datetime


class Bucket:
    """Objects below the prefix of a URL such as s3://bucket/prefix.

    Every method raises BucketUnavailable if the server does not respond, and ArtifactError if it refuses: no such
    bucket, or no right to use it.
    """

    def __init__(self, url: str, settings: BucketSettings) -> None:
        parsed = urlparse(url)
        if parsed.scheme != SCHEME or not parsed.hostname or parsed.query or parsed.username or parsed.port:
            raise ArtifactError("ARTIFACT_URL is no URL of a bucket; write s3://bucket or s3://bucket/prefix, no more")
        self.name = parsed.netloc
        if find_spec("obstore") is None:
            raise ArtifactError(
                f"ARTIFACT_URL names the bucket {self.name!r}, but obstore is not installed: pip install 'autonl[s3]'"
            )
        self._prefix = parsed.path.strip("/")
        self._settings = settings
        self._opened: dict[str, S3Store] = {}

    def put(self, key: str, file: Path, sha256: str, headers: Mapping[str, str]) -> None:
        """Put a file, in place of what is at `key`."""
        import obstore

        with self._translated(key), file.open("rb") as reader:
            obstore.put(
                self._store(),
                key,
                reader,
                attributes={**headers, _SHA256: sha256},
                mode="overwrite",
                use_multipart=False,
            )

    def put_new(self, key: str, file: Path, sha256: str, headers: Mapping[str, str]) -> None:
        """Put a file where there is none. The same content is taken for the same put, whose answer was lost.

        Raises ArtifactError if other content is there.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with self._translated(key), file.open("rb") as reader:
                obstore.put(self._store(), key, reader, attributes={**headers, _SHA256: sha256}, mode="create")
        except AlreadyExistsError:
            if self.sha256_of(key) != sha256:
                raise ArtifactError(f"there is other content at {key!r} in the bucket; it is not replaced") from None

    def put_if(self, key: str, content: bytes, version: str | None) -> bool:
        """Put an object if it still has this version, as `read` gave it; None: if there is none. False: it does not."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        sha256 = hashlib.sha256(content).hexdigest()
        try:
            with self._translated(key):
                obstore.put(
                    self._store(),
                    key,
                    content,
                    attributes={_SHA256: sha256},
                    mode="create" if version is None else {"e_tag": version},
                )
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    def read(self, key: str) -> tuple[bytes, str | None]:
        """A small object, and its version. Raises NotFound."""
        import obstore

        with self._translated(key):
            got = obstore.get(self._store(), key)
            content = bytes(got.bytes())
            _require_intact(key, got.attributes.get(_SHA256), hashlib.sha256(content).hexdigest())
            return content, got.meta["e_tag"]

    def copy_to(self, key: str, target: BinaryIO) -> None:
        """Write an object to a file. Raises NotFound, and ArtifactDamaged if it is not what was put."""
        import obstore

        with self._translated(key):
            got, digest = obstore.get(self._store(), key), hashlib.sha256()
            for chunk in got.stream(min_chunk_size=1 << 20):
                digest.update(chunk)
                target.write(chunk)
            _require_intact(key, got.attributes.get(_SHA256), digest.hexdigest())

    def size_of(self, key: str) -> int:
        """In bytes. Raises NotFound."""
        import obstore

        with self._translated(key):
            return obstore.head(self._store(), key)["size"]

    def sha256_of(self, key: str) -> str | None:
        """What an object was put with; None: by another program. Raises NotFound."""
        import obstore

        with self._translated(key):
            return obstore.get(self._store(), key, options={"head": True}).attributes.get(_SHA256)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete what there is of these."""
        import obstore

        if keys:
            with self._translated(keys[0]):
                obstore.delete(self._store(), list(keys))

    def below(self, folder: str) -> Iterator[StoredObject]:
        """All objects below a folder."""
        import obstore

        with self._translated(folder):
            for some in obstore.list(self._store(), folder, chunk_size=_LISTED):
                yield from (StoredObject(each["path"], each["last_modified"]) for each in some)

    def signed_url(self, key: str) -> str:
        """A URL by which everyone may read this object, for as long as the setting says. Sends no request."""
        import obstore

        endpoint = self._settings.bucket_public_endpoint.rstrip("/")
        with self._translated(key):
            return obstore.sign(self._store(endpoint), "GET", key, timedelta(seconds=self._settings.bucket_url_s))

    def require_conditional_puts(self) -> None:
        """Raises ArtifactError if the server replaces an object although it was asked not to: some ignore that."""
        key = f"probes/{secrets.token_hex(8)}"
        try:
            if self.put_if(key, b"first", None) and self.put_if(key, b"second", None):
                raise ArtifactError(
                    f"the server of bucket {self.name!r} ignores `If-None-Match`, so an attempt that is no longer "
                    "wanted could replace the files of a newer one; use a server with conditional puts"
                )
        finally:
            self.delete([key])

    def _store(self, endpoint: str = "") -> S3Store:
        """The client of the bucket at this endpoint; empty: where the environment says."""
        if endpoint not in self._opened:
            self._opened[endpoint] = self._open(endpoint)
        return self._opened[endpoint]

    def _open(self, endpoint: str) -> S3Store:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        try:
            return S3Store(
                self.name,
                config={"endpoint": endpoint} if endpoint else {},
                prefix=self._prefix or None,
                checksum_algorithm="SHA256",
                client_options={
                    "allow_http": True,  # where AWS_ENDPOINT_URL says so
                    "connect_timeout": timedelta(seconds=_CONNECT_S),
                    "timeout": timedelta(seconds=self._settings.bucket_timeout_s),
                },
                retry_config={"max_retries": _QUICK_RETRIES, "retry_timeout": timedelta(seconds=_QUICK_RETRIES_S)},
            )
        except (BaseError, ValueError) as error:
            raise ArtifactError(f"the bucket {self.name!r} cannot be used: {_first_line(error)}") from error

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turns what obstore raises into errors of the store, but for refused conditions."""
        from obstore import exceptions as raised

        try:
            yield
        except (raised.AlreadyExistsError, raised.PreconditionError):
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise ArtifactError(f"there is no bucket {self.name!r}; create it, or correct ARTIFACT_URL") from error
            raise NotFound(f"{key!r} is not in the bucket {self.name!r}") from error
        except (raised.PermissionDeniedError, raised.UnauthenticatedError) as error:
            raise ArtifactError(
                f"the bucket {self.name!r} does not let this service use {key!r}: check its key (AWS_ACCESS_KEY_ID) "
                "and what that may do"
            ) from error
        except raised.BaseError as error:
            raise _error_of(self.name, key, error) from error


def _error_of(bucket: str, key: str, error: Exception) -> ArtifactError | BucketUnavailable:
    text = str(error)
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    is_refused = status is not None and status < _SERVER_ERRORS and status not in (_TOO_MANY, _TIMED_OUT)
    if is_refused and not any(code in text for code in _WORTH_REPEATING):
        return ArtifactError(f"the bucket {bucket!r} refuses {key!r}: {_first_line(error)}")
    return BucketUnavailable(f"the bucket {bucket!r} does not respond: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition("<?xml")[0].strip()


def _require_intact(key: str, put_with: str | None, sha256: str) -> None:
    if put_with is not None and put_with != sha256:
        raise ArtifactDamaged(
            f"{key!r} in the bucket is damaged: it has SHA-256 {sha256}, and was put with {put_with}; restore it "
            "from an older version of the object"
        )
