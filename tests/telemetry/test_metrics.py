"""The metrics of each process, and the alerts and the dashboard that read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from api.service_metrics import service_metrics
from store.settings import Settings
from store.stores import Stores
from telemetry.exposition import serve_metrics
from telemetry.metrics import CheckerMetrics, RequestMetrics, SenderMetrics, SweeperMetrics, WorkerMetrics
from tests.servers import free_port

DEPLOY = Path(__file__).parents[2] / "deploy" / "monitoring"
# What Prometheus adds, and the functions and words of its language.
OF_PROMETHEUS = {"up"}
_NAME = re.compile(r"\b(?:autonl|process|python|up)(?:_[a-z0-9_]+)?\b(?=[\s{)\[/]|$)")


def values(registry: CollectorRegistry) -> dict[str, float]:
    """Value by series."""
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_requests_are_counted_timed_and_summed(tmp_path: Path) -> None:
    metrics = RequestMetrics(tmp_path)
    for seconds in (0.004, 0.3):
        metrics.count("GET", "/searches", 200, seconds)
    found = values(metrics.registry)
    assert found['autonl_http_requests_total{method="GET",route="/searches",status="200"}'] == 2
    assert found['autonl_http_request_seconds_total{route="/searches"}'] == pytest.approx(0.304)
    buckets = 'autonl_http_request_duration_seconds_bucket{le="%s",method="GET",route="/searches"}'
    assert [found[buckets % bound] for bound in ("0.005", "0.25", "0.5", "+Inf")] == [1, 1, 2, 2]
    assert not [name for name in found if "_created" in name]


def test_attempts_and_checks_are_counted_by_their_ends_and_lost_leases_too(tmp_path: Path) -> None:
    worker, checker = WorkerMetrics(tmp_path, slots=3), CheckerMetrics(tmp_path)
    for exit_class in ("succeeded", "lease_lost", "lease_lost"):
        worker.attempt_ended(exit_class, 100)
    checker.check_ended("dataset", "lease_lost", 1)
    checker.check_ended("weight set", "closed", 1)
    found = values(worker.registry) | values(checker.registry)
    assert found["autonl_slots"] == 3
    assert found['autonl_attempts_total{exit_class="lease_lost"}'] == 2
    assert found["autonl_attempt_duration_seconds_count"] == 3
    assert found['autonl_checks_total{end="closed",kind="weight set"}'] == 1
    assert (found['autonl_lease_losses_total{kind="search"}'], found['autonl_lease_losses_total{kind="dataset"}']) == (
        2,
        1,
    )


def test_calls_of_webhooks_are_counted_by_what_became_of_the_message(tmp_path: Path) -> None:
    metrics = SenderMetrics(tmp_path)
    metrics.call_ended("pending", 15, is_retry=False)
    metrics.call_ended("pending", 0.02, is_retry=True)
    metrics.call_ended("delivered", 0.3, is_retry=True)
    found = values(metrics.registry)
    assert found['autonl_webhook_calls_total{outcome="pending"}'] == 2
    assert found['autonl_webhook_calls_total{outcome="delivered"}'] == 1
    assert found["autonl_webhook_retries_total"] == 2
    assert found["autonl_webhook_messages_dropped_total"] == 0
    buckets = 'autonl_webhook_call_duration_seconds_bucket{le="%s"}'
    assert [found[buckets % bound] for bound in ("0.05", "0.25", "0.5", "10.0", "15.0")] == [1, 1, 2, 2, 3]


def test_the_disk_is_that_of_the_data_and_none_before_there_is_data(tmp_path: Path) -> None:
    found = values(SweeperMetrics(tmp_path).registry)
    assert 0 < found["autonl_disk_free_bytes"] <= found["autonl_disk_bytes"]
    assert "autonl_disk_free_bytes" not in values(SweeperMetrics(tmp_path / "none").registry)


def test_metrics_are_served_on_a_port_and_a_taken_one_is_named(tmp_path: Path) -> None:
    port = free_port()
    serve_metrics(SweeperMetrics(tmp_path).registry, "127.0.0.1", port, "AUTONL_SWEEPER_METRICS_PORT")
    assert "autonl_build_info" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    with pytest.raises(SystemExit, match=f"127.0.0.1 port {port}: .*; choose another AUTONL_SWEEPER_METRICS_PORT"):
        serve_metrics(CollectorRegistry(), "127.0.0.1", port, "AUTONL_SWEEPER_METRICS_PORT")


def every_name(tmp_path: Path, stores: Stores) -> set[str]:
    """The names of all series of all processes."""
    api, worker, checker, sweeper, sender = (
        RequestMetrics(tmp_path),
        WorkerMetrics(tmp_path, 1),
        CheckerMetrics(tmp_path),
        SweeperMetrics(tmp_path),
        SenderMetrics(tmp_path),
    )
    api.count("GET", "/searches", 200, 1)
    worker.attempt_ended("lease_lost", 1)
    checker.check_ended("dataset", "lease_lost", 1)
    sender.call_ended("delivered", 1, is_retry=False)
    series = [name for one in (api, worker, checker, sweeper, sender) for name in values(one.registry)]
    series += [line for line in service_metrics(stores).decode().splitlines() if not line.startswith("#")]
    return {re.split(r"[{ ]", name)[0] for name in series} | OF_PROMETHEUS


def expressions() -> Iterator[str]:
    alerts: dict[str, Any] = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    yield from (rule["expr"] for group in alerts["groups"] for rule in group["rules"])
    dashboard: dict[str, Any] = json.loads((DEPLOY / "dashboard.json").read_text())
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])


def names_in(expression: str) -> set[str]:
    """The metrics that an expression of PromQL reads."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', expression)))


def test_names_are_found_in_expressions() -> None:
    assert names_in('sum(rate(autonl_a_total{b="up autonl_c"}[5m])) / up > process_x_bytes') == {
        "autonl_a_total",
        "up",
        "process_x_bytes",
    }


def test_alerts_and_dashboard_read_metrics_that_exist(tmp_path: Path, stores: Stores) -> None:
    known = every_name(tmp_path, stores)
    read = {name for expression in expressions() for name in names_in(expression)}
    assert read - known == set()
    assert len(read) > 15


def test_every_alert_is_complete_and_described_in_the_docs() -> None:
    alerts: dict[str, Any] = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    page = (DEPLOY.parents[1] / "docs" / "operations.md").read_text()
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in page, rule["alert"]


@pytest.mark.parametrize("expression", list(expressions()))
def test_brackets_and_quotes_of_expressions_are_balanced(expression: str) -> None:
    plain = re.sub(r'"[^"]*"', "", expression)
    assert '"' not in plain
    while (shorter := re.sub(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}", "", plain)) != plain:
        plain = shorter
    assert not set(plain) & set("()[]{}")


def test_by_default_no_process_opens_a_port_for_metrics_and_never_beyond_loopback() -> None:
    settings = Settings()
    assert (settings.worker_metrics_port, settings.checker_metrics_port, settings.sweeper_metrics_port) == (0, 0, 0)
    assert settings.sender_metrics_port == 0
    assert settings.metrics_host == "127.0.0.1"
