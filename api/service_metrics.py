"""What the rows say about the service as a whole, in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from store.stores import Stores
from telemetry.metrics import gauges


def service_metrics(stores: Stores) -> bytes:
    """Searches by state, the longest wait, checks and messages that wait. Raises an error of `store.db.UNAVAILABLE`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Rows(stores))
    return generate_latest(registry)


class _Rows(Collector):
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # registering counts nothing

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts = {str(state): float(count) for state, count in self._stores.searches.count_by_state().items()}
        yield gauges("autonl_searches", "Searches in each state.", "state", counts)
        queued = {name: float(count) for name, count in self._stores.searches.queued_by_class().items()}
        yield gauges("autonl_queued_searches", "Queued searches by resource class.", "resource_class", queued)
        wait_s = self._stores.sweeps.oldest_wait_s()
        yield GaugeMetricFamily("autonl_oldest_queued_seconds", "How long the oldest queued search has waited.", wait_s)
        waits = {checks.noun: checks.waiting() for checks in (self._stores.checks, self._stores.weight_checks)}
        counted = {kind: float(wait.count) for kind, wait in waits.items()}
        yield gauges("autonl_checks_waiting", "Uploads that no checker has begun with.", "kind", counted)
        oldest = {kind: wait.oldest_s for kind, wait in waits.items()}
        yield gauges("autonl_oldest_check_seconds", "How long the oldest of them has waited.", "kind", oldest)
        backlog = self._stores.webhook_sending.backlog()
        messages = {str(state): float(count) for state, count in backlog.waiting.items()}
        yield gauges(
            "autonl_webhook_messages_waiting",
            "Messages to webhooks in each state that are to be sent.",
            "state",
            messages,
        )
        yield GaugeMetricFamily(
            "autonl_oldest_due_message_seconds",
            "How long the message to a webhook that is due longest has been due.",
            backlog.oldest_due_s,
        )
