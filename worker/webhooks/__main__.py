"""`python -m worker.webhooks`: sends webhooks. Any number of senders may run, and any may die."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading

from store.stores import Stores
from telemetry.exposition import serve_metrics
from telemetry.metrics import SenderMetrics
from telemetry.traces import configure_tracing, stop_tracing
from worker.service import run_service
from worker.webhooks.call import Caller
from worker.webhooks.names import SystemResolver
from worker.webhooks.sender import Sender

log = logging.getLogger(__name__)


def serve(stores: Stores, stopping: threading.Event) -> None:
    """Send until `stopping` is set, then wait for the calls that are being made."""
    settings, metrics = stores.settings, SenderMetrics(stores.settings.data_dir)
    serve_metrics(metrics.registry, settings.metrics_host, settings.sender_metrics_port, "AUTONL_SENDER_METRICS_PORT")
    configure_tracing("sender", settings.trace_endpoint)
    log.info("looking for events to send every %g s", settings.webhook_poll_s)
    if settings.webhook_loopback:
        log.warning("AUTONL_WEBHOOK_LOOPBACK is set: webhooks can reach services on this machine; for development only")
    caller = Caller(SystemResolver(), ssl.create_default_context(), settings.webhook_loopback)
    try:
        with contextlib.closing(Sender(stores, caller, metrics)) as sender:
            sender.run(stopping)
    finally:
        stop_tracing()


if __name__ == "__main__":
    run_service(serve)
