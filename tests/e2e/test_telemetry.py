"""A whole service on one machine, with logs in JSON, traces and metrics: what a search leaves in each process."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.cli.test_up import QUICK, START_S, Running, up
from tests.servers import free_port, wait_for

pytestmark = pytest.mark.long

REQUEST_ID = "ticket-4711"


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """An OTLP/HTTP endpoint, and the spans that it has received."""
    received: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            export = ExportTraceServiceRequest.FromString(body)
            received.extend(
                one for group in export.resource_spans for scope in group.scope_spans for one in scope.spans
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name there)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        server.shutdown()


def run_search(service: Running) -> str:
    answer = service.client.post("/searches", json=QUICK, headers={"X-Request-ID": REQUEST_ID})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (202, REQUEST_ID)
    search_id: str = answer.json()["id"]
    link = f"/searches/{search_id}"
    wait_for(lambda: service.client.get(link).json()["state"] == "succeeded", "the search ends well", 500)
    return search_id


def lines_of(log: Path) -> list[dict[str, Any]]:
    """Every line of a log: all of them are JSON, but for what Celery prints when it is asked to stop."""
    lines = (line for line in log.read_text().splitlines() if line not in ("", "worker: Warm shutdown (MainProcess)"))
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(700)
def test_ids_spans_and_metrics_of_a_search_are_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = {name: free_port() for name in ("worker", "checker", "sweeper", "sender")}
    for name, port in ports.items():
        monkeypatch.setenv(f"AUTONL_{name.upper()}_METRICS_PORT", str(port))
    monkeypatch.setenv("AUTONL_LOG_FORMAT", "json")
    with collector() as (endpoint, spans):
        monkeypatch.setenv("AUTONL_TRACE_ENDPOINT", endpoint)
        with up(tmp_path) as service:
            wait_for(lambda: service.client.get("/readyz").is_success, "all is ready", START_S)
            search_id = run_search(service)
            shown = service.client.get(f"/searches/{search_id}/logs").json()["logs"][0]["lines"]
            worker = f"http://127.0.0.1:{ports['worker']}/metrics"
            counted = 'autonl_attempts_total{exit_class="succeeded"} 1.0'
            wait_for(lambda: counted in httpx.get(worker).text, "the attempt is counted")
            metrics = {name: httpx.get(f"http://127.0.0.1:{port}/metrics").text for name, port in ports.items()}
            wait_for(lambda: {"attempt", "search process"} <= {span.name for span in spans}, "spans arrive", 30)
            service.process.terminate()
            assert service.process.wait(60) == 0

    assert_lines_have_ids(tmp_path, search_id)
    assert any(re.match(r"\d{4}-\d\d-\d\d [\d:,]+ INFO worker.sink: phase searching", line) for line in shown)
    assert "autonl_slots_used 0.0" in metrics["worker"]
    for text in metrics.values():
        assert "autonl_disk_free_bytes" in text
    assert_spans_form_one_tree(spans)


def assert_lines_have_ids(folder: Path, search_id: str) -> None:
    api = lines_of(folder / "logs" / "api.log")
    (audit,) = [line for line in api if line["logger"] == "autonl.audit"]
    expected = {"action": "start_search", "target": search_id, "status": 202, "outcome": "done"}
    assert expected.items() <= audit.items()
    assert audit["request_id"] == REQUEST_ID
    polls = [line for line in api if line["logger"] == "autonl.access" and line["route"] == "/searches/{search_id}"]
    assert {line["search_id"] for line in polls} == {search_id}
    attempt = {"search_id": search_id, "attempt": "1", "request_id": REQUEST_ID}
    worker = lines_of(folder / "logs" / "worker.log")
    assert any(attempt.items() <= line.items() for line in worker)
    own = lines_of(folder / "searches" / search_id / "attempt-0001.log")
    assert all(attempt.items() <= line.items() for line in own)
    for name in ("sweeper", "checker"):
        assert lines_of(folder / "logs" / f"{name}.log")


def assert_spans_form_one_tree(spans: list[Span]) -> None:
    """Request, then the supervisor's claim and attempt, then the search process and its phases."""
    (request,) = [span for span in spans if span.name == "POST /searches"]
    trace = [span for span in spans if span.trace_id == request.trace_id]
    names = {span.span_id: span.name for span in trace}
    edges = {(names.get(span.parent_span_id), span.name) for span in trace}
    assert edges >= {
        (None, "POST /searches"),
        ("POST /searches", "claim"),
        ("POST /searches", "attempt"),
        ("attempt", "search process"),
        ("search process", "phase searching"),
        ("search process", "phase exporting"),
    }
