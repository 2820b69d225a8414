"""How buckets are used: the one that ARTIFACT_URL names, and those with datasets; part of `store/settings.py`.

Where it is and who may use it is said by the variables that every S3 client reads, and by nothing else: AWS_REGION,
AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or a role of the machine. No secret is a setting.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.errors import DatasetError


class BucketSettings(BaseSettings):
    """A base of `Settings`."""

    bucket_downloads: Literal["redirect", "api"] = Field(
        default="redirect",
        description="`redirect`: users are sent to the bucket by a signed URL; `api`: the API passes files on",
    )
    bucket_public_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^/\s]+)?/?$",
        description="where users reach the bucket's server, as https://s3.example.org; empty: where the service does",
    )
    bucket_url_s: float = Field(
        default=300, gt=0, le=604_800, description="how long a signed URL can be used to begin a download"
    )
    bucket_timeout_s: float = Field(
        default=120, gt=0, description="time that one request to a bucket may take, a whole file included"
    )
    dataset_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="places in buckets below which datasets may be registered, as s3://BUCKET/PREFIX, with commas",
    )

    @field_validator("dataset_buckets", mode="before")
    @classmethod
    def _split_buckets(cls, value: object) -> object:
        places = value.split(",") if isinstance(value, str) else value
        if not isinstance(places, list | tuple):
            return value
        try:
            return tuple(str(BucketLocation.parse(str(place).strip())) for place in places if str(place).strip())
        except DatasetError as error:
            raise ValueError(str(error)) from error

    def allows_bucket(self, location: BucketLocation) -> bool:
        """Whether datasets may be registered there, and read from there."""
        return any(location.is_within(BucketLocation.parse(place)) for place in self.dataset_buckets)
