"""How a bucket is used, if ARTIFACT_URL names one; part of `store/settings.py`.

Where it is and who may use it is said by the variables that every S3 client reads, and by nothing else: AWS_REGION,
AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or a role of the machine. No secret is a setting.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


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
        default=120, gt=0, description="time that one request to the bucket may take, a whole file included"
    )
