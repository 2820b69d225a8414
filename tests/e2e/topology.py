"""The deployment that docker-compose.yml describes, without containers: the same commands on real servers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.e2e.compose import ROOT, SECRETS, load
from tests.servers import free_port, wait_for

# Keys on loopback too, and short intervals, so that tests are quick.
_FAST = {
    "AUTONL_REQUIRE_KEYS": "true",
    "AUTONL_BEAT_S": "0.5",
    "AUTONL_LEASE_S": "10",
    "AUTONL_POLL_S": "0.2",
    "AUTONL_SWEEP_S": "0.3",
    "AUTONL_RING_S": "0.5",
    "AUTONL_CRASH_BACKOFF_S": "0.1",
    "AUTONL_STOP_GRACE_S": "30",
    "AUTONL_THREADS": "1",
    "AUTONL_SPARE_IDLE_S": "0",
}


class Topology:
    """Starts and stops services of the compose file by name; `client` talks to their API.

    It needs keys, as in containers, where it listens on more than loopback.
    """

    def __init__(self, database_url: str, broker_url: str, folder: Path) -> None:
        self._services: dict[str, Any] = load(SECRETS)["services"]
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        port = free_port()
        self._port = str(port)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._addresses = {  # in place of the host names and volumes of containers
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "AUTONL_DATA_DIR": str(folder / "data"),
            "AUTONL_DATASET_ROOTS": str(folder),
            "AUTONL_DEVICE": "cpu",
        }

    def sign_in(self) -> None:
        """Send a new key of a new tenant with all requests from now on; the database is migrated."""
        self._autonl("tenants", "create", "ants")
        key = self._autonl("keys", "create", "--tenant", "ants", "--name", "e2e")
        self.client.headers["Authorization"] = f"Bearer {key}"

    def _autonl(self, *arguments: str) -> str:
        """What a command prints that an operator runs beside the database."""
        command = [sys.executable, "-m", "cli.main", *arguments]
        environment = os.environ | {"DATABASE_URL": self._addresses["DATABASE_URL"]}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def run(self, name: str) -> int:
        """Run a service that exits on its own; returns its exit code."""
        self.start(name)
        return self._started.pop(name).wait(60)

    def start(self, name: str) -> None:
        command = list(self._services[name]["command"])
        for option, here in (("--host", "127.0.0.1"), ("--port", self._port)):
            if option in command:
                command[command.index(option) + 1] = here
        self._started[name] = self._spawn(name, command)

    def is_healthy(self, name: str) -> bool:
        """Run the health check that the file defines for this service."""
        kind, *command = self._services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [word.replace(":8000/", f":{self._port}/") for word in command]
        return self._spawn(f"{name}-check", command).wait(30) == 0

    def pid_of_search(self) -> int | None:
        """The pid of the search process, a descendant of the worker; None while there is none."""
        descendants = psutil.Process(self._started["worker"].pid).children(recursive=True)
        searches = [p for p in descendants if p.is_running() and "worker.search_process" in p.cmdline()]
        return searches[0].pid if searches else None

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal a service to stop and wait for it; returns its exit code."""
        process = self._started.pop(name)
        process.send_signal(number)
        return process.wait(60)

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            try:
                return self.client.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(ready, "the API is ready", timeout_s=60)

    def close(self) -> None:
        self.client.close()
        for process in self._started.values():
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        service = self._services[name.removesuffix("-check")]
        environment = {
            variable: self._addresses.get(variable, value) for variable, value in service["environment"].items()
        }
        program = [sys.executable if word == "python" else word for word in command]
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                program, cwd=ROOT, env=os.environ | _FAST | environment, stdout=log, stderr=subprocess.STDOUT
            )
