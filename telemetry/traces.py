"""Spans of OpenTelemetry, from the request to the phases of its search, which are in other processes.

Without `configure_tracing` nothing is measured and OpenTelemetry is not imported. The parent of a span in another
process is named by a traceparent (W3C Trace Context), which the database carries.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from telemetry.ids import current_ids

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

Value = str | int | float | bool
FLUSH_S = 2.0
_PACKAGES = ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter")

_provider: TracerProvider | None = None


class TracingUnavailable(Exception):
    """Tracing is configured, but its packages are not installed."""


class Span:
    """A span that has begun. Of one that is not recorded, everything is ignored."""

    def __init__(self, recorded: trace.Span | None = None) -> None:
        self._recorded = recorded

    def rename(self, name: str) -> None:
        if self._recorded is not None:
            self._recorded.update_name(name)

    def set(self, attributes: Mapping[str, Value]) -> None:
        if self._recorded is not None:
            self._recorded.set_attributes(attributes)


def configure_tracing(process: str, endpoint: str) -> None:
    """Send the spans of this process to an OTLP/HTTP endpoint; an empty one: trace nothing. After a fork, not before.

    Raises:
        TracingUnavailable: the extra `tracing` is not installed.
    """
    require_tracing(endpoint)
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        trace_with(process, BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))


def require_tracing(endpoint: str) -> None:
    """Raises TracingUnavailable if spans are to be sent and the extra `tracing` is not installed."""
    missing = [name for name in _PACKAGES if endpoint and importlib.util.find_spec(name) is None]
    if missing:
        raise TracingUnavailable(
            f"AUTONL_TRACE_ENDPOINT is {endpoint}, but {missing[0]} is not installed: pip install 'autonl[tracing]'"
        )


def trace_with(process: str, processor: SpanProcessor) -> None:
    """Record the spans of this process, and hand them to `processor`."""
    global _provider  # noqa: PLW0603  (one for each process, as in OpenTelemetry)
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    _provider = TracerProvider(resource=Resource.create({"service.name": f"autonl-{process}"}))
    _provider.add_span_processor(processor)


def stop_tracing() -> None:
    """Send what is left, for at most `FLUSH_S`, and record nothing more."""
    global _provider  # noqa: PLW0603
    if _provider is not None:
        _provider.force_flush(int(FLUSH_S * 1000))
        _provider.shutdown()
        _provider = None


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: Literal["internal", "server", "client"] = "internal",
    lasted_s: float = 0,
) -> Iterator[Span]:
    """A span around the block, with the ids that are known here.

    Args:
        lasted_s: how long it has lasted already.
        parent: a traceparent, if the parent is in another process; a malformed one counts as none.
    """
    if _provider is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    tracer = _provider.get_tracer("autonl")
    start_ns = time.time_ns() - int(lasted_s * 1e9)
    with tracer.start_as_current_span(name, context, SpanKind[kind.upper()], start_time=start_ns) as recorded:
        begun = Span(recorded)
        begun.set({f"autonl.{id_name}": value for id_name, value in current_ids().items()})
        yield begun


def current_traceparent() -> str | None:
    """What names the current span to another process; None outside of one."""
    if _provider is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
