"""`python -m worker`: a worker with as many slots as its settings say. SIGTERM or Ctrl-C: save, then stop."""

from __future__ import annotations

from telemetry.exposition import serve_metrics
from telemetry.log_lines import configure_logging
from telemetry.metrics import WorkerMetrics
from telemetry.traces import require_tracing
from worker.app import app, gpus, settings, slot_news
from worker.devices.lock import count_set_aside
from worker.service import require_packages

if __name__ == "__main__":
    require_packages("worker")
    configure_logging(settings.log_level, settings.log_format)  # before Celery, which warns at its start
    require_tracing(settings.trace_endpoint)
    if settings.worker_metrics_port:
        metrics = WorkerMetrics(settings.data_dir, settings.slots)
        metrics.gpus.set(len(gpus))
        metrics.gpus_set_aside.set_function(lambda: count_set_aside(settings.gpu_locks_dir, gpus))
        slot_news.count_into(metrics)
        serve_metrics(
            metrics.registry, settings.metrics_host, settings.worker_metrics_port, "AUTONL_WORKER_METRICS_PORT"
        )
    options = ["--loglevel", settings.log_level, "--without-gossip", "--without-mingle", "--without-heartbeat"]
    quiet = ["--quiet"] if settings.log_format == "json" else []  # no banner, which is text
    app.worker_main([*quiet, "worker", *options])
