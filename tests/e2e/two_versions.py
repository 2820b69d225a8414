"""A service whose processes are of two versions: this one, and the last release, from its wheel.

`tests/data/last-release-20261126_02.whl` was made of commit 0a1ba6e by `pip wheel --no-deps --no-build-isolation .`,
and renamed: the name says which schema it knows. At the next release, put the wheel of that one in its place, and empty
the list of newer settings in `autonl_core/spec/config.py`.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
import psycopg

from store.settings import Settings
from tests.reliability.service import ROOT, Service
from tests.servers import PostgresServer, free_port, wait_for

WHEEL = Path(__file__).parents[1] / "data" / "last-release-20261126_02.whl"
START_S = 90


class Version(StrEnum):
    LAST = "last"
    THIS = "this"


class TwoVersions(Service):
    """Processes of either version on one database, one broker and one data folder."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.for_slots(1))  # stated: the last release does not know 0, as many as there are GPUs
        self._code = {Version.THIS: ROOT, Version.LAST: settings.data_dir / "last-release"}
        self._clients: dict[Version, httpx.Client] = {}
        with zipfile.ZipFile(WHEEL) as wheel:
            wheel.extractall(self._code[Version.LAST])

    def migrate(self, version: Version) -> None:
        environment = self.settings.environment() | {"PYTHONPATH": str(self._code[version])}
        command = [sys.executable, "-m", "store.migrate"]
        subprocess.run(command, cwd=self._code[version], env=environment, check=True)

    def api(self, version: Version) -> httpx.Client:
        """A client of the API of this version, which is started unless it runs."""
        if version not in self._clients:
            port = free_port()
            self.start(f"api-{version}", "api", "--host", "127.0.0.1", "--port", str(port), code=self._code[version])
            self._clients[version] = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
            wait_for(lambda: self.is_ready(version), f"the API of the {version} version is ready", START_S)
        return self._clients[version]

    def is_ready(self, version: Version) -> bool:
        try:
            return self._clients[version].get("/readyz").is_success
        except httpx.TransportError:
            return False

    def only_worker(self, version: Version) -> None:
        """Run a worker and a sweeper of this version, and none of the other one."""
        for name in [name for name in self.processes if name.startswith(("worker-", "sweeper-"))]:
            self.stop(name)
        self.start(f"sweeper-{version}", "worker.sweeper", code=self._code[version])
        self.start_worker(f"worker-{version}", behaviour=None, code=self._code[version])

    def only_checker(self, version: Version) -> None:
        """Run a checker of this version, and none of the other one."""
        for name in [name for name in self.processes if name.startswith("checker-")]:
            self.stop(name)
        self.start(f"checker-{version}", "worker.checker", code=self._code[version])

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        super().close()


def look(client: httpx.Client, path: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(path).raise_for_status().json()
    return found


def ordinary_database(postgres: PostgresServer) -> str:
    """The URL of an empty database whose user owns it and is no superuser, so that row-level security holds."""
    name = f"owner_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER".encode())
        connection.execute(f"CREATE DATABASE {name} OWNER {name}".encode())
    return postgres.url(name).replace("postgres@", f"{name}@")
