"""Spans of this process, kept in memory for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry.traces import stop_tracing, trace_with


@contextmanager
def recorded_spans(service: str) -> Iterator[InMemorySpanExporter]:
    """What receives the spans of the block."""
    exporter = InMemorySpanExporter()
    trace_with(service, SimpleSpanProcessor(exporter))
    try:
        yield exporter
    finally:
        stop_tracing()
