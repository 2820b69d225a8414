"""Spans, read from an in-memory exporter; across processes they are tested in tests/e2e/test_telemetry.py."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from telemetry.ids import ids
from telemetry.traces import current_traceparent, span
from tests.servers import free_port
from tests.telemetry.spans import recorded_spans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with recorded_spans("test") as made:
        yield made


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (found,) = exporter.get_finished_spans()
    return found


def test_a_span_has_name_kind_ids_and_attributes(exporter: InMemorySpanExporter) -> None:
    with ids(search_id="s1"), span("GET", kind="server") as own:
        own.rename("GET /searches")
        own.set({"http.route": "/searches"})
    found = only(exporter)
    assert (found.name, found.kind) == ("GET /searches", SpanKind.SERVER)
    assert dict(found.attributes or {}) == {"autonl.search_id": "s1", "http.route": "/searches"}
    assert found.resource.attributes["service.name"] == "autonl-test"


def test_a_parent_of_another_process_is_named_by_its_traceparent(exporter: InMemorySpanExporter) -> None:
    with span("attempt", parent=PARENT):
        inner = current_traceparent()
    found = only(exporter)
    assert found.parent is not None
    assert found.context is not None
    assert f"{found.parent.trace_id:032x}-{found.parent.span_id:016x}" in PARENT
    assert inner == f"00-{found.context.trace_id:032x}-{found.context.span_id:016x}-01"


@pytest.mark.parametrize("parent", ["", "nonsense", "00-0-0-00", PARENT + "x" * 10_000, "\x00"])
def test_a_malformed_parent_counts_as_none(exporter: InMemorySpanExporter, parent: str) -> None:
    with span("attempt", parent=parent):
        pass
    assert only(exporter).parent is None


def test_a_span_may_have_begun_before(exporter: InMemorySpanExporter) -> None:
    with span("claim", lasted_s=5):
        pass
    found = only(exporter)
    assert found.start_time is not None
    assert found.end_time is not None
    assert 5e9 <= found.end_time - found.start_time < 6e9


def test_without_tracing_nothing_is_recorded_and_nothing_is_imported() -> None:
    code = """
import sys
from telemetry.traces import configure_tracing, current_traceparent, span
configure_tracing("test", "")
with span("x") as own:
    own.rename("y"); own.set({"z": 1})
    assert current_traceparent() is None
assert not any(name.startswith("opentelemetry") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.long
def test_a_collector_that_is_not_there_delays_the_end_of_a_process_by_seconds_only() -> None:
    code = f"""
from telemetry.traces import configure_tracing, span, stop_tracing
configure_tracing("test", "http://127.0.0.1:{free_port()}/v1/traces")
with span("x"):
    pass
stop_tracing()
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert time.monotonic() - began < 20
    assert done.returncode == 0


def test_a_missing_package_is_named_with_the_way_out() -> None:
    code = """
import sys
import importlib.util
importlib.util.find_spec = lambda name: None
from telemetry.traces import TracingUnavailable, require_tracing
try:
    require_tracing("http://127.0.0.1:4318/v1/traces")
except TracingUnavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'autonl[tracing]'" in done.stdout
