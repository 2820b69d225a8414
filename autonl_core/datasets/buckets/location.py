"""Where in a bucket a dataset is: `s3://bucket/prefix`, or one object, `s3://bucket/photos.zip`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autonl_core.datasets.buckets.object_names import why_unusable
from autonl_core.errors import DatasetError

_START = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


@dataclass(frozen=True)
class BucketLocation:
    """A bucket, and the key of an object or of all objects below it; an empty key: the whole bucket."""

    bucket: str
    key: str = ""

    @staticmethod
    def parse(text: str) -> BucketLocation:
        """Raises DatasetError if `text` is no such location."""
        bucket, _, key = text.removeprefix(_START).partition("/")
        key = key.removesuffix("/")
        if not is_in_bucket(text) or not _BUCKET.fullmatch(bucket):
            raise DatasetError(
                f"{text!r} is no place in a bucket; write s3://BUCKET/PREFIX, or s3://BUCKET/PHOTOS.zip for one archive"
            )
        if key and (reason := why_unusable(key)):
            raise DatasetError(f"{text!r} is no place in a bucket: {reason}")
        return BucketLocation(bucket, key)

    def __str__(self) -> str:
        return f"{_START}{self.bucket}" + (f"/{self.key}" if self.key else "")

    @property
    def last(self) -> str:
        """The last part of it, which people call it by."""
        return self.key.rpartition("/")[2] or self.bucket

    def is_within(self, other: BucketLocation) -> bool:
        """Whether it is `other`, or below it."""
        below = not other.key or self.key == other.key or self.key.startswith(f"{other.key}/")
        return self.bucket == other.bucket and below


def is_in_bucket(location: str) -> bool:
    """Whether the location of a dataset is in a bucket, and no path."""
    return location.startswith(_START)
