"""`autonl up` as a real process: starts everything, restarts what dies, leaves nothing behind, continues searches."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cli.service import url_of
from tests.servers import wait_for

REPOSITORY = Path(__file__).parents[2]
START_S = 60
QUICK: dict[str, Any] = {
    "dataset": "digits",
    "flops_budget": "400k",
    "supernet": {"epochs": 1, "candidates": 2, "generations": 0, "finalists": 1, "finalist_epochs": 0},
    "train": {"epochs": 1, "warmup_epochs": 0},
    "export": {"formats": []},
}


@dataclass(frozen=True)
class Running:
    """An `autonl up` process and a client of its API."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def processes(self) -> list[psutil.Process]:
        """The process itself and all of its descendants."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def named(self, module: str) -> psutil.Process:
        """The subprocess that runs `python -m MODULE`."""
        (found,) = (p for p in psutil.Process(self.process.pid).children() if module in p.cmdline())
        return found


def start_up(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--data-dir", str(folder), *options]
    short = {"AUTONL_BEAT_S": "0.5", "AUTONL_LEASE_S": "2", "AUTONL_THREADS": "1", "AUTONL_SPARE_IDLE_S": "0"}
    environment = dict(os.environ) | short
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, text=True, **pipes)


@contextmanager
def up(folder: Path) -> Iterator[Running]:
    """A running service; killed at the end unless the test has stopped it."""
    process = start_up(folder)
    try:
        wait_for(lambda: url_of(folder, process.pid) or process.poll() is not None, "the service is up", START_S)
        url = url_of(folder, process.pid)
        assert url is not None, process.communicate()[0]
        with httpx.Client(base_url=url, timeout=20) as client:
            yield Running(process, client)
    finally:
        process.kill()
        process.communicate()


def gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_it_starts_serves_restarts_dead_processes_and_stops_on_sigterm(tmp_path: Path) -> None:
    with up(tmp_path) as service:
        wait_for(lambda: service.client.get("/readyz").is_success, "all is ready")
        assert service.client.get("/").is_success

        victims = [service.named(module) for module in ("api", "worker.sweeper")]
        for victim in victims:
            victim.kill()
        wait_for(lambda: gone(victims), "the victims are gone")
        # The port stays open throughout: a new connection waits for the new process instead of failing.
        assert httpx.get(f"{service.client.base_url}/healthz", timeout=20).is_success
        wait_for(lambda: len(service.processes()) >= 6, "all processes are back")

        second = start_up(tmp_path)
        assert second.wait(START_S) == 2
        assert f"in use by another `autonl up` (process {service.process.pid})" in second.communicate()[0]

        processes = service.processes()
        service.process.send_signal(signal.SIGTERM)
        output = service.process.communicate(timeout=60)[0]
        assert service.process.returncode == 0, output
        assert "AutoNL stopped" in output
        assert "api exited with code -9; restarting it" in output
        assert gone(processes)
        assert not (tmp_path / "service.json").exists()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_killed_it_leaves_no_processes_and_restarted_it_continues_its_search(tmp_path: Path) -> None:
    with up(tmp_path) as service:
        link = f"/searches/{service.client.post('/searches', json=QUICK).json()['id']}"
        wait_for(lambda: service.client.get(link).json()["phase"] is not None, "the search runs", START_S)
        processes = service.processes()
        assert any("worker.search_process" in process.cmdline() for process in processes)
        service.process.kill()
        wait_for(lambda: gone(processes), "nothing is left of a killed service")

    with up(tmp_path) as service:
        wait_for(lambda: service.client.get(link).json()["state"] == "succeeded", "the search ends well", 150)
        attempts = service.client.get(link).json()["attempts"]
        assert [attempt["exit_class"] for attempt in attempts] == ["lease_lost", "succeeded"]
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0


def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = start_up(tmp_path / "new", "--port", str(port))
        output = refused.communicate(timeout=START_S)[0]
    assert refused.returncode == 2
    assert f"Port {port} of 127.0.0.1 is already in use" in output
    assert "--port 0" in output
    assert not (tmp_path / "new").exists()


def test_a_stop_signal_during_startup_is_obeyed(tmp_path: Path) -> None:
    process = start_up(tmp_path)
    wait_for((tmp_path / "broker" / "valkey.conf").exists, "startup begins", START_S)
    began = time.monotonic()
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert time.monotonic() - began < 40
    assert process.returncode in (0, -signal.SIGTERM), output
    assert not (tmp_path / "service.json").exists()


def test_an_invalid_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTONL_SWEEP_S", "often")
    refused = start_up(tmp_path)
    output = refused.communicate(timeout=START_S)[0]
    assert (refused.returncode, "AUTONL_SWEEP_S" in output, "Traceback" in output) == (2, True, False)
