"""The metrics of each kind of process, in the registry that it serves.

No label takes a value that comes from a client: there are as many series as routes, states and classes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CALL_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20)
WORK_BUCKETS_S = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it would double the series


class ProcessMetrics:
    """What every process has: its version, CPU time and memory, and the space on the disk of its data."""

    def __init__(self, process: str, data_dir: Path) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge("autonl_build_info", "The version that runs.", ["process", "version"], registry=self.registry)
        build.labels(process, metadata.version("autonl")).set(1)
        self.registry.register(_DiskSpace(data_dir))


class RequestMetrics(ProcessMetrics):
    """Requests since the process started."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("api", data_dir)
        self._count = Counter(
            "autonl_http_requests",
            "Requests since the process started.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Counter(
            "autonl_http_request_seconds",
            "Seconds spent on requests, streams included.",
            ["route"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "autonl_http_request_duration_seconds",
            "How long requests took, streams included.",
            ["method", "route"],
            buckets=REQUEST_BUCKETS_S,
            registry=self.registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Args: route: its template, so that ids do not multiply the series."""
        self._count.labels(method, route, status).inc()
        self._seconds.labels(route).inc(seconds)
        self._durations.labels(method, route).observe(seconds)


class WorkerMetrics(ProcessMetrics):
    """Slots, and the attempts that ended since the process started."""

    def __init__(self, data_dir: Path, slots: int) -> None:
        super().__init__("worker", data_dir)
        Gauge("autonl_slots", "Searches that this worker runs at most.", registry=self.registry).set(slots)
        self.slots_used = Gauge("autonl_slots_used", "Searches that this worker runs.", registry=self.registry)
        self.gpus = Gauge("autonl_gpus", "GPUs and MIG slices that this worker uses.", registry=self.registry)
        self.gpus_set_aside = Gauge(
            "autonl_gpus_set_aside", "Those of them that failed their last probe and wait.", registry=self.registry
        )
        self._ended = Counter(
            "autonl_attempts", "Attempts that ended, by their class.", ["exit_class"], registry=self.registry
        )
        self._seconds = Histogram(
            "autonl_attempt_duration_seconds",
            "How long attempts took.",
            buckets=WORK_BUCKETS_S,
            registry=self.registry,
        )
        self._lease_losses = _lease_losses(self.registry)

    def attempt_ended(self, exit_class: str, seconds: float) -> None:
        self._ended.labels(exit_class).inc()
        self._seconds.observe(seconds)
        if exit_class == "lease_lost":
            self._lease_losses.labels("search").inc()


class CheckerMetrics(ProcessMetrics):
    """Checks that ended since the process started."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("checker", data_dir)
        self._ended = Counter(
            "autonl_checks", "Checks that ended, by what was checked and how.", ["kind", "end"], registry=self.registry
        )
        self._seconds = Histogram(
            "autonl_check_duration_seconds",
            "How long checks took.",
            ["kind"],
            buckets=WORK_BUCKETS_S,
            registry=self.registry,
        )
        self._lease_losses = _lease_losses(self.registry)

    def check_ended(self, kind: str, end: str, seconds: float) -> None:
        """Args: end: `closed`, `crashed`, `given_back`, `made_way` or `lease_lost`."""
        self._ended.labels(kind, end).inc()
        self._seconds.labels(kind).observe(seconds)
        if end == "lease_lost":
            self._lease_losses.labels(kind).inc()


class SweeperMetrics(ProcessMetrics):
    """Sweeps since the process started."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("sweeper", data_dir)
        self.stale_attempts = Counter(
            "autonl_stale_attempts", "Attempts without a beat that were ended.", registry=self.registry
        )
        self._ticked_at = Gauge(
            "autonl_last_sweep_timestamp_seconds",
            "When the database last answered this sweeper, in seconds since 1970.",
            registry=self.registry,
        )

    def ticked(self) -> None:
        self._ticked_at.set(time.time())


class SenderMetrics(ProcessMetrics):
    """Calls of receivers of webhooks since the process started."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__("sender", data_dir)
        self._ended = Counter(
            "autonl_webhook_calls",
            "Calls that ended, by what became of the message.",
            ["outcome"],
            registry=self.registry,
        )
        self._retries = Counter(
            "autonl_webhook_retries", "Calls for messages that were tried before.", registry=self.registry
        )
        self._seconds = Histogram(
            "autonl_webhook_call_duration_seconds",
            "How long calls took.",
            buckets=CALL_BUCKETS_S,
            registry=self.registry,
        )
        self.dropped = Counter(
            "autonl_webhook_messages_dropped",
            "Messages given up because too many waited, or for too long.",
            registry=self.registry,
        )

    def call_ended(self, outcome: str, seconds: float, *, is_retry: bool) -> None:
        """Args: outcome: a state (`pending`: it is tried again), `lease_lost`, `not_stored` or `crashed`."""
        self._ended.labels(outcome).inc()
        self._seconds.observe(seconds)
        if is_retry:
            self._retries.inc()


def gauges(name: str, help_text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """One gauge for each value of a label."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _lease_losses(registry: CollectorRegistry) -> Counter:
    return Counter(
        "autonl_lease_losses", "Leases that could not be kept, by what they were for.", ["kind"], registry=registry
    )


class _DiskSpace(Collector):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # do not collect at registration: the folder may not exist yet

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            usage = shutil.disk_usage(self._folder)
        except FileNotFoundError:
            return  # nothing has been stored yet
        yield GaugeMetricFamily("autonl_disk_bytes", "Size of the disk of the data folder.", usage.total)
        yield GaugeMetricFamily("autonl_disk_free_bytes", "Free space for the data folder.", usage.free)
