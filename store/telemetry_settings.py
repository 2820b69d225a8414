"""The part of the settings that is about what the service says of itself: logs, traces, metrics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class TelemetrySettings(BaseSettings):
    """A base of `Settings`."""

    log_format: Literal["text", "json"] = Field(
        default="text", description="of all logs; `json`: one object a line, with the ids of request, tenant and search"
    )
    access_log: bool = Field(default=True, description="whether the API logs a line for each request")
    trace_endpoint: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="OTLP/HTTP URL that takes spans, as http://127.0.0.1:4318/v1/traces; empty: no tracing",
    )
    metrics_host: str = Field(default="127.0.0.1", description="address on which metrics are served, but for the API's")
    worker_metrics_port: int = Field(default=0, ge=0, le=65535, description="port of a worker's metrics; 0: none")
    checker_metrics_port: int = Field(default=0, ge=0, le=65535, description="port of a checker's metrics; 0: none")
    sweeper_metrics_port: int = Field(default=0, ge=0, le=65535, description="port of a sweeper's metrics; 0: none")
    sender_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="port of the metrics of a sender of webhooks; 0: none"
    )
