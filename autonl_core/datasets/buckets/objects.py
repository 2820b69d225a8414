"""The objects of a dataset in a bucket: listed at once, then read piece by piece as they were listed.

`obstore` speaks S3 and is loaded by the first request. Which server, and with which key, is said by the variables that
every S3 client reads: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and so on, or by a role of the machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.datasets.buckets.object_names import folders_among, why_unusable
from autonl_core.datasets.limits import Limits
from autonl_core.errors import DatasetError, DatasetUnavailable

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import S3Store

REQUEST_S = 120.0
_CONNECT_S = 5
_QUICK_RETRIES, _QUICK_RETRIES_S = 3, 15
_LISTED = 1000  # by one request
_STATUS = re.compile(r"status code: (\d{3})")
_TOO_MANY, _TIMED_OUT, _SERVER_ERRORS = 429, 408, 500
_NO_RIGHT = (401, 403)


class StoredObject(NamedTuple):
    """An object as the bucket listed it."""

    name: str  # below the location; empty: the object that the location names
    size_bytes: int
    version: str  # its ETag; of a server that has none, when it changed
    has_etag: bool


@dataclass(frozen=True)
class Listing:
    """All objects of a dataset at one moment, by name."""

    objects: tuple[StoredObject, ...]

    @property
    def is_one(self) -> bool:
        """Whether the location names an object, and not the beginning of several."""
        return self.objects[0].name == ""

    @property
    def size_bytes(self) -> int:
        return sum(found.size_bytes for found in self.objects)

    @cached_property
    def mark(self) -> str:
        """Changes with any object."""
        found = hashlib.sha256()
        for name, size_bytes, version, _ in self.objects:
            found.update(f"{name}\n{size_bytes} {version}\n".encode(errors="surrogateescape"))
        return found.hexdigest()[:32]


class BucketObjects:
    """What is at a location in a bucket. For several threads.

    Every method raises DatasetUnavailable if the server does not respond, and DatasetError if it refuses: no such
    bucket, or no right to use it.

    Args:
        request_s: time that one request may take.
    """

    def __init__(self, location: BucketLocation, request_s: float = REQUEST_S) -> None:
        if find_spec("obstore") is None:
            raise DatasetError(f"{location} is in a bucket, but obstore is not installed: pip install 'autonl[s3]'")
        self.location = location
        self._request_s = request_s

    def first(self) -> StoredObject | None:
        """One of the objects; None if there are none. Takes two requests at most."""
        return self._single() or next(self._below(), None)

    def list(self, limits: Limits, on_listed: Callable[[], None] = lambda: None) -> Listing:
        """All of them; `on_listed` is called now and then. Raises DatasetError if there are none, too many, or names
        that files cannot have.
        """
        single = self._single()
        found = [] if single is None else [single]
        for one in self._below():
            if len(found) >= limits.folder_files:
                raise DatasetError(
                    f"{self.location} has more than {limits.folder_files:,} objects; use a prefix with fewer, or have "
                    "AUTONL_MAX_FOLDER_FILES raised"
                )
            found.append(one)
            if len(found) % _LISTED == 0:
                on_listed()
        if single is not None and len(found) > 1:
            raise DatasetError(f"{self.location} is an object, and there are others below it; move either elsewhere")
        listing = Listing(tuple(_as_files(found, self.location)))
        if not listing.objects:
            raise DatasetError(nothing_at(self.location))
        if listing.size_bytes > limits.content_bytes:
            raise DatasetError(
                f"the objects at {self.location} have {listing.size_bytes:,} bytes in all, more than "
                f"{limits.content_bytes:,}; use a prefix with fewer, or have AUTONL_MAX_CONTENT_BYTES raised"
            )
        return listing

    def read(self, wanted: StoredObject, start: int, end: int) -> bytes:
        """Bytes from `start` to before `end`. Raises DatasetError if the object is not the one that was listed."""
        import obstore
        from obstore.exceptions import PreconditionError

        path = "/".join(part for part in (self.location.key, wanted.name) if part)
        options: GetOptions = {"range": (start, end)}
        if wanted.has_etag:
            options["if_match"] = wanted.version
        try:
            with self._translated(path):
                got = obstore.get(self._store, path, options=options)
                data = bytes(got.bytes())
        except (FileNotFoundError, PreconditionError):
            raise self._changed(wanted) from None
        if got.meta["size"] != wanted.size_bytes or len(data) != end - start:
            raise self._changed(wanted)
        return data

    def _changed(self, wanted: StoredObject) -> DatasetError:
        which = f"{wanted.name!r} at {self.location}" if wanted.name else str(self.location)
        return DatasetError(
            f"{which} was replaced or deleted while it was fetched; add the dataset again once nothing writes there"
        )

    def _single(self) -> StoredObject | None:
        """The object that the location names."""
        import obstore
        from obstore.exceptions import PermissionDeniedError

        if not self.location.key:
            return None
        try:
            with self._translated(self.location.key):
                try:
                    return _stored(obstore.head(self._store, self.location.key), "")
                except PermissionDeniedError:  # a key may be for what is below only; if not, the list is refused too
                    return None
        except FileNotFoundError:
            return None

    def _below(self) -> Iterator[StoredObject]:
        """The objects below the location, in the order of the server."""
        import obstore

        start = f"{self.location.key}/" if self.location.key else ""
        with self._translated(start):
            for some in obstore.list(self._store, self.location.key or None, chunk_size=_LISTED):
                for found in some:
                    if found["path"].startswith(start) and found["path"] != self.location.key:
                        yield _stored(found, found["path"].removeprefix(start))

    @cached_property
    def _store(self) -> S3Store:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store

        try:
            return S3Store(
                self.location.bucket,
                client_options={
                    "allow_http": True,  # where AWS_ENDPOINT_URL says so
                    "connect_timeout": timedelta(seconds=_CONNECT_S),
                    "timeout": timedelta(seconds=self._request_s),
                },
                retry_config={"max_retries": _QUICK_RETRIES, "retry_timeout": timedelta(seconds=_QUICK_RETRIES_S)},
            )
        except (BaseError, ValueError) as error:
            raise DatasetError(f"{self.location} cannot be used: {_first_line(error)}") from error

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """Turns what obstore raises into errors of the core, but for objects that are not there, or are others."""
        from obstore import exceptions as raised

        try:
            yield
        except raised.PreconditionError:
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._no_bucket() from error
            raise
        except raised.InvalidPathError as error:
            raise DatasetError(
                f"an object at {self.location} has a name that no file can have: {_first_line(error)}; rename it"
            ) from error
        except (raised.PermissionDeniedError, raised.UnauthenticatedError) as error:
            raise self._refused(path) from error
        except raised.BaseError as error:
            raise self._error_of(path, error) from error

    def _error_of(self, path: str, error: Exception) -> DatasetError | DatasetUnavailable:
        text = str(error)
        if "NoSuchBucket" in text:
            return self._no_bucket()
        status = int(found[1]) if (found := _STATUS.search(text)) else None
        if status in _NO_RIGHT:
            return self._refused(path)
        if status is not None and status < _SERVER_ERRORS and status not in (_TOO_MANY, _TIMED_OUT):
            return DatasetError(f"the bucket {self.location.bucket!r} refuses {path!r}: {_first_line(error)}")
        return DatasetUnavailable(f"the bucket {self.location.bucket!r} does not respond: {_first_line(error)}")

    def _no_bucket(self) -> DatasetError:
        return DatasetError(f"there is no bucket {self.location.bucket!r}; correct its name")

    def _refused(self, path: str) -> DatasetError:
        return DatasetError(
            f"the bucket {self.location.bucket!r} does not let this service read {path!r}: check its key "
            "(AWS_ACCESS_KEY_ID) and what that may do; reading needs s3:ListBucket and s3:GetObject"
        )


def nothing_at(location: BucketLocation) -> str:
    """What to say of a location without objects."""
    return f"there is nothing at {location}; check the name of the bucket and what follows it"


def _stored(meta: ObjectMeta, name: str) -> StoredObject:
    etag = meta["e_tag"]
    return StoredObject(name, meta["size"], etag or meta["last_modified"].isoformat(), etag is not None)


def _as_files(found: Sequence[StoredObject], location: BucketLocation) -> list[StoredObject]:
    """By name, without objects that only stand for a folder. Raises DatasetError if they cannot be files together."""
    folders = folders_among(one.name for one in found)
    kept: dict[str, StoredObject] = {}
    for one in found:
        if one.name in folders and one.size_bytes == 0:
            continue
        reason = why_unusable(one.name) if one.name else None
        if one.name in folders:
            reason = "there are others below it, as if it were a folder"
        elif one.name in kept:
            reason = "there are two objects that have it, but for a / at the end"
        if reason is not None:
            raise DatasetError(f"no file can be named as the object {one.name!r} at {location}: {reason}; rename it")
        kept[one.name] = one
    return [kept[name] for name in sorted(kept)]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition("<?xml")[0].strip()
