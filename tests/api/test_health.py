"""Health, readiness, size and start-up time of the API as a process, and its metrics."""

from __future__ import annotations

import importlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from fastapi import FastAPI

from store import queue
from store.settings import Settings
from tests.api.http_service import SEARCH, serving, start
from tests.servers import free_port

REPOSITORY = Path(__file__).parents[2]
MAX_RESIDENT_BYTES = 150 * 10**6
# CPU time of the start, relative to importing these libraries alone; tensor code would add more than that again.
LIBRARIES = "alembic, celery, fastapi, redis, sqlalchemy, uvicorn"
MAX_START_RATIO = 3.0


@contextmanager
def api_process(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """`python -m api` on an inherited socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        command = [sys.executable, "-m", "api", "--fd", str(fd)]
        process = subprocess.Popen(
            command, env=settings.environment(), pass_fds=[fd], cwd=REPOSITORY, stderr=subprocess.DEVNULL
        )
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", psutil.Process(process.pid)
        finally:
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM  # uvicorn shuts down, then re-raises the signal


def cpu_s_of(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"import time\n{code}\nprint(time.process_time())"], capture_output=True, check=True
    )
    return float(done.stdout)


@pytest.mark.long
def test_the_process_answers_soon_and_stays_small(settings: Settings) -> None:
    with api_process(settings) as (url, process), httpx.Client(base_url=url, timeout=20) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        cpu = process.cpu_times()
        assert cpu.user + cpu.system < MAX_START_RATIO * cpu_s_of(f"import {LIBRARIES}")
        for seed in range(20):
            start(client, seed=seed)
        for path in ("/searches", "/openapi.json", "/readyz", "/metrics", "/datasets", "/"):
            assert client.get(path).status_code == 200, path
        resident_bytes = process.memory_info().rss
        assert resident_bytes < MAX_RESIDENT_BYTES, f"{resident_bytes:,} bytes"


@pytest.mark.long
def test_an_idle_process_sleeps(settings: Settings) -> None:
    with api_process(settings) as (url, process):
        httpx.get(f"{url}/healthz", timeout=20).raise_for_status()
        time.sleep(1)  # until the connection and what else a request leaves behind are gone
        before = process.num_ctx_switches().voluntary
        time.sleep(4)
        assert process.num_ctx_switches().voluntary - before <= 12  # uvicorn's own server would wake 40 times


@pytest.mark.long
def test_it_need_not_wake_up_to_notice_that_it_has_to_stop(settings: Settings) -> None:
    code = "import sys, api.server; api.server._TICK_S = 3600; import api.__main__; api.__main__.main()"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        command = [sys.executable, "-c", code, "--fd", str(fd)]
        process = subprocess.Popen(command, env=settings.environment(), pass_fds=[fd], cwd=REPOSITORY)
        httpx.get(f"http://127.0.0.1:{listening.getsockname()[1]}/healthz", timeout=20).raise_for_status()
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM


def test_uvicorn_finds_the_application_by_its_usual_name() -> None:
    assert isinstance(importlib.import_module("api.app").app, FastAPI)  # `uvicorn api.app:app`


def test_ready_means_database_schema_and_broker(settings: Settings, tmp_path: Path) -> None:
    with serving(settings) as client:
        assert client.get("/readyz").json() == {"status": "ready", "checks": {"database": "ok", "broker": "ok"}}
    deaf = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"})
    with serving(deaf) as client:
        down = client.get("/readyz")
        assert (down.status_code, down.json()["checks"]["database"]) == (503, "ok")
        assert "broker" in down.json()["detail"]
    empty = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path / 'empty.db'}"})
    with serving(empty) as client:
        unmigrated = client.get("/readyz")
        assert (unmigrated.status_code, unmigrated.headers["Retry-After"]) == (503, "5")
        assert "python -m store.migrate" in unmigrated.json()["checks"]["database"]
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("broker", ["down", "silent"])
def test_a_search_is_accepted_while_the_notification_still_waits_for_the_broker(
    broker: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification waits for longer than this client does, so the answer cannot have waited for it."""
    monkeypatch.setattr(queue, "_PUBLISH_OPTIONS", queue.TRANSPORT_OPTIONS | {"socket_timeout": 30})
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        port = silent.getsockname()[1] if broker == "silent" else free_port()
        with serving(settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{port}/0"})) as client:
            assert client.post("/searches", json=SEARCH).status_code == 202


def test_an_unavailable_database_is_a_503_that_says_when_to_retry(settings: Settings) -> None:
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"
    with serving(settings.model_copy(update={"database_url": nowhere})) as client:
        for answer in (client.get("/searches"), client.post("/searches", json=SEARCH), client.get("/metrics")):
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
            assert answer.headers["Retry-After"] == "5"
        assert client.get("/healthz").status_code == 200


def test_the_service_counts_searches_and_requests(client: httpx.Client) -> None:
    start(client)
    client.get("/searches/0123456789abcdef")
    client.get("/nowhere")
    text = client.get("/metrics").text
    found = re.findall(r"^([a-z_]+(?:\{.*\})?) ([0-9.e+]+)$", text, re.MULTILINE)
    samples = {name: float(value) for name, value in found}
    assert samples['autonl_searches{state="queued"}'] == 1
    assert samples['autonl_searches{state="failed"}'] == 0
    assert samples["autonl_oldest_queued_seconds"] > 0
    counted = 'autonl_http_requests_total{method="%s",route="%s",status="%s"}'
    assert samples[counted % ("POST", "/searches", 202)] == 1
    assert samples[counted % ("GET", "/searches/{search_id}", 404)] == 1
    assert samples[counted % ("GET", "other", 404)] == 1
