"""The limits that every tenant has by default, and how fast it may send requests; part of `store/settings.py`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from autonl_core.spec.config import MAX_PRIORITY

_NO_LIMIT = "of a tenant that has no limit of its own; 0: no limit"


class QuotaSettings(BaseSettings):
    """Quotas of tenants, and limits of requests per minute. By default there are none: one machine, one user."""

    quota_queued: int = Field(default=0, ge=0, description=f"queued searches {_NO_LIMIT}")
    quota_running: int = Field(default=0, ge=0, description=f"searches that run at once, {_NO_LIMIT}")
    quota_stored_bytes: int = Field(default=0, ge=0, description=f"bytes of datasets, weights, artifacts {_NO_LIMIT}")
    quota_compute_s_per_day: int = Field(default=0, ge=0, description=f"CPU seconds of searches a day {_NO_LIMIT}")
    quota_compute_s_per_month: int = Field(default=0, ge=0, description=f"CPU seconds of searches a month {_NO_LIMIT}")
    quota_event_streams: int = Field(
        default=0, ge=0, description=f"event streams that one API process keeps open {_NO_LIMIT}"
    )
    quota_priority: int = Field(
        default=MAX_PRIORITY,
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="highest priority of a search of a tenant that has no limit of its own",
    )

    rate_reads_per_minute: int = Field(default=0, ge=0, description="requests that read, of one key; 0: no limit")
    rate_submits_per_minute: int = Field(default=0, ge=0, description="requests that change something; 0: no limit")
    rate_uploads_per_minute: int = Field(default=0, ge=0, description="requests that add files; 0: no limit")
