"""What a sender says of its calls: metrics, and spans in the trace of the request that started the search."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import generate_latest

from store.settings import Settings
from store.stores import Stores
from store.webhooks.sending import WebhookSendingStore
from telemetry.ids import ids
from telemetry.metrics import SenderMetrics
from telemetry.traces import span, stop_tracing, trace_with
from tests.servers import database_url, free_port, stores
from tests.store.sample_rows import queue_search
from tests.store.webhooks.hooks import MovedClock, add_webhook
from tests.telemetry.spans import recorded_spans
from tests.worker.webhooks.receiver import answer, receiving
from worker.webhooks.call import Caller
from worker.webhooks.sender import Sender

__all__ = ["database_url", "stores"]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Loopback receivers."""
    return Settings(data_dir=tmp_path, database_url=database_url, webhook_loopback=True)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with recorded_spans("sender") as made:
        yield made


def send_what_is_due(stores: Stores, metrics: SenderMetrics | None = None) -> None:
    caller = Caller(lambda *_: ["127.0.0.1"], ssl.create_default_context(), loopback=True)
    busy = True
    while busy:
        with contextlib.closing(Sender(stores, caller, metrics)) as sender:  # waits for the calls
            busy = sender.tick()


def calls_in(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    return [one for one in exporter.get_finished_spans() if one.name == "webhook call"]


def test_a_call_is_a_span_below_the_request_that_started_the_search(
    stores: Stores, exporter: InMemorySpanExporter
) -> None:
    with receiving(tls=False) as receiver:
        webhook_id = add_webhook(stores, url=f"http://localhost:{receiver.port}/secret-token")
        with ids(request_id="r1"), span("POST /searches", kind="server"):
            search_id = queue_search(stores)
        stores.control.cancel(search_id)
        send_what_is_due(stores)
        (received,) = receiver.received
    (request,) = [one for one in exporter.get_finished_spans() if one.name == "POST /searches"]
    (call,) = calls_in(exporter)
    assert request.context is not None
    assert call.parent is not None
    assert (call.parent.trace_id, call.parent.span_id) == (request.context.trace_id, request.context.span_id)
    assert call.kind == SpanKind.CLIENT
    assert dict(call.attributes or {}) == {
        "autonl.request_id": "r1",
        "autonl.tenant_id": "default",
        "autonl.search_id": search_id,
        "autonl.webhook_id": webhook_id,
        "autonl.message_id": received.message_id,
        "autonl.try": 1,
        "autonl.outcome": "delivered",
        "http.response.status_code": 204,
    }
    assert "traceparent" not in received.headers  # receivers are strangers


def test_a_test_call_and_a_search_that_was_not_traced_begin_traces_of_their_own(stores: Stores) -> None:
    webhook_id = add_webhook(stores, url=f"http://localhost:{free_port()}/")
    stores.webhooks.test(webhook_id)
    stores.control.cancel(queue_search(stores))
    exporter = InMemorySpanExporter()
    trace_with("sender", SimpleSpanProcessor(exporter))
    try:
        send_what_is_due(stores)
    finally:
        stop_tracing()
    found = calls_in(exporter)
    assert [one.parent for one in found] == [None, None]
    outcomes = [(one.attributes or {})["autonl.outcome"] for one in found]
    assert sorted(map(str, outcomes)) == ["failed", "pending"]  # a test call is made once


def test_calls_are_counted_by_outcome_and_retries_too(stores: Stores) -> None:
    metrics = SenderMetrics(stores.settings.data_dir)
    clock = MovedClock()
    stores = replace(stores, webhook_sending=WebhookSendingStore(stores.database, clock))
    with receiving(tls=False) as receiver:
        receiver.behaviour = answer(503)
        add_webhook(stores, url=f"http://localhost:{receiver.port}/")
        stores.control.cancel(queue_search(stores))
        send_what_is_due(stores, metrics)
        receiver.behaviour = answer(204)
        clock.ahead_s = 10
        send_what_is_due(stores, metrics)
    lines = generate_latest(metrics.registry).decode().splitlines()
    for line in (
        'autonl_webhook_calls_total{outcome="pending"} 1.0',
        'autonl_webhook_calls_total{outcome="delivered"} 1.0',
        "autonl_webhook_retries_total 1.0",
        "autonl_webhook_call_duration_seconds_count 2.0",
    ):
        assert line in lines
