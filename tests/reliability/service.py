"""The service as real processes on real servers, each of which a test can kill, freeze, starve or disconnect."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from store.settings import Settings
from store.states import SearchState
from store.stores import Stores, open_stores
from tests.servers import free_port, wait_for

ROOT = Path(__file__).parents[2]
SEARCH: dict[str, Any] = {"dataset": "digits", "flops_budget": "400k"}


class Service:
    """Starts named processes with the settings of this service; `close` kills those that are left."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.stores: Stores = open_stores(settings)
        port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._environment = settings.environment() | {
            "UVICORN_HOST": "127.0.0.1",
            "UVICORN_PORT": str(port),
            **(environment or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    # Starting

    def start_api(self, *, wait: bool = True) -> None:
        self.start("api", "uvicorn", "api.app:app")
        if wait:
            wait_for(self._answers, "the API answers", timeout_s=60)

    def start_sweeper(self, name: str = "sweeper") -> None:
        self.start(name, "worker.sweeper")

    def start_worker(
        self,
        name: str = "worker",
        behaviour: str | None = "work",
        *,
        wait: bool = True,
        file_bytes: int | None = None,
        code: Path = ROOT,
        **environment: str,
    ) -> None:
        """Start a worker with scripted searches, or with real ones if `behaviour` is None; waits until it listens.

        `file_bytes` limits the size of every file that it and its searches write, to simulate a full disk.
        """
        module = ["worker"] if behaviour is None else ["tests.reliability.scripted_worker", behaviour]
        self.start(name, *module, file_bytes=file_bytes, code=code, **environment)
        if wait:
            wait_for(lambda: " ready." in self.log(name), f"{name} is ready", timeout_s=60)

    def start(
        self, name: str, *module: str, file_bytes: int | None = None, code: Path = ROOT, **environment: str
    ) -> None:
        """Start `python -m MODULE` with the packages in the folder `code`."""
        self.log_path(name).unlink(missing_ok=True)
        with self.log_path(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=code,
                env=self._environment | {"PYTHONPATH": str(code)} | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if file_bytes is not None:
            resource.prlimit(self.processes[name].pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    # Inspecting

    def log_path(self, name: str) -> Path:
        return self.settings.data_dir / f"{name}.log"

    def log(self, name: str) -> str:
        return self.log_path(name).read_text(errors="replace")

    def supervisors(self, name: str = "worker") -> list[psutil.Process]:
        """The supervisors of a worker: the processes of its slots."""
        return _children(self.processes[name].pid)

    def search_processes(self, name: str = "worker") -> list[psutil.Process]:
        """The search processes of a worker, children of its supervisors."""
        return [child for slot in self.supervisors(name) for child in _children(slot.pid)]

    def family(self, name: str = "worker") -> list[psutil.Process]:
        """The supervisors of a worker and their search processes."""
        return [*self.supervisors(name), *self.search_processes(name)]

    def search_process(self, name: str = "worker") -> psutil.Process:
        """The search process of a worker; waits until there is one."""
        wait_for(lambda: self.search_processes(name), f"{name} runs a search")
        return self.search_processes(name)[0]

    def event_kinds(self, search_id: str) -> list[str]:
        return [event.kind for event in self.stores.events.after(search_id)]

    def state(self, search_id: str) -> SearchState:
        return self.stores.searches.get(search_id).state

    def wait_for_state(self, search_id: str, state: SearchState, timeout_s: float = 60) -> None:
        def reached() -> bool:
            search = self.stores.searches.get(search_id)
            assert search.state == state or not search.state.final, f"{search_id} is {search.state}: {search.error}"
            return search.state == state

        wait_for(reached, f"search {search_id} is {state}", timeout_s)

    def wait_for_event(self, search_id: str, kind: str, timeout_s: float = 60, count: int = 1) -> None:
        wait_for(lambda: self.event_kinds(search_id).count(kind) >= count, f"{kind} of {search_id}", timeout_s)

    # Requests

    def post(self, **changes: Any) -> str:
        """The id of a new search."""
        answer = self.client.post("/searches", json=SEARCH | changes)
        assert answer.status_code == 202, answer.text
        search_id: str = answer.json()["id"]
        return search_id

    def request_patiently(
        self,
        method: str,
        path: str,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> dict[str, Any]:
        """Repeat a request until the service responds with anything but 503; returns the response's JSON.

        Args:
            key: of idempotency.
        """
        headers = {**(headers or {}), **({} if key is None else {"Idempotency-Key": key})}
        give_up_at = time.monotonic() + timeout_s
        while True:
            try:
                answer = self.client.request(method, path, json=SEARCH, headers=headers)
                if answer.status_code != 503:
                    answer.raise_for_status()
                    body: dict[str, Any] = answer.json()
                    return body
                assert int(answer.headers["Retry-After"]) > 0
            except httpx.TransportError:
                assert time.monotonic() < give_up_at
            time.sleep(0.1)

    # Faults

    def kill(self, name: str) -> None:
        """Send SIGKILL to this process alone."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60) -> int:
        """Signal a process to stop and wait for it; returns its exit code."""
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(timeout_s)

    def close(self) -> None:
        self.client.close()
        self.stores.close()
        family = [child for p in self.processes.values() for child in _descendants(p.pid)]
        for process in self.processes.values():
            process.kill()
            process.wait()
        for child in family:
            send_signal(child)

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").is_success
        except httpx.TransportError:
            return False


def send_signal(process: psutil.Process, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have exited already."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def has_exited(process: psutil.Process) -> bool:
    """Whether a process has exited, reaped or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def drop_sessions(url: str) -> int:
    """Terminate all sessions of a PostgreSQL database but this one; returns how many there were."""
    query = (
        b"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        b"WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _children(pid: int) -> list[psutil.Process]:
    try:
        return [child for child in psutil.Process(pid).children() if not has_exited(child)]
    except psutil.NoSuchProcess:
        return []


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        descendants: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        return descendants
    except psutil.NoSuchProcess:
        return []
