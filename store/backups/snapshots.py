"""The database at one moment, while the service goes on: copied by SQLite's backup, or by pg_dump."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, make_url, text

from store.db import Database
from store.errors import BackupError
from store.settings import Settings
from store.tenant_sessions import ALL_TENANTS

SQLITE_COPY, POSTGRES_DUMP = "autonl.db", "autonl.dump"


@dataclass(frozen=True)
class Snapshot:
    """The database as it was at one moment.

    Args:
        connection: reads the rows of that moment.
        snapshot_id: by which PostgreSQL lets others read the same; None on SQLite.
    """

    connection: Connection
    settings: Settings
    folder: Path
    snapshot_id: str | None = None

    def write(self) -> Path:
        """A file with all rows of that moment. Raises BackupError."""
        if self.snapshot_id is None:
            return self.folder / SQLITE_COPY
        path = self.folder / POSTGRES_DUMP
        options = ["--format=custom", "--no-owner", "--no-privileges", "--enable-row-security"]
        options += [f"--snapshot={self.snapshot_id}"]
        run_postgres_program("pg_dump", [*options, f"--file={path}"], self.settings)
        return path


@contextmanager
def snapshot(database: Database, settings: Settings, folder: Path) -> Iterator[Snapshot]:
    """The moment is when this begins; the rows can be read until it ends. Raises BackupError."""
    if database.engine.dialect.name == "sqlite":
        source, copy = make_url(settings.resolved_database_url).database, folder / SQLITE_COPY
        _copy_sqlite(str(source), copy)
        with create_engine(f"sqlite:///file:{copy}?mode=ro&uri=true").connect() as connection:
            yield Snapshot(connection, settings, folder)
        return
    find_postgres_program("pg_dump")
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"SET LOCAL {limit} = 0"))  # pg_dump may take long
        snapshot_id: str = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        yield Snapshot(connection, settings, folder, snapshot_id)


def _copy_sqlite(source: str, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(source)}?mode=rw", uri=True)) as reader,
            closing(sqlite3.connect(copy)) as writer,
        ):
            reader.backup(writer)
            writer.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except sqlite3.Error as error:
        raise BackupError(f"the database {source} cannot be copied: {error}") from error


def find_postgres_program(name: str) -> str:
    """Its path. Raises BackupError if it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise BackupError(
            f"{name} is not installed, and PostgreSQL is copied with it: install the client programs of the server's "
            "version, or run this where they are"
        )
    return found


def run_postgres_program(name: str, arguments: list[str], settings: Settings) -> None:
    """Run pg_dump or pg_restore on the database. Raises BackupError with what it printed."""
    url = make_url(settings.resolved_database_url).set(drivername="postgresql")
    address = url.set(password=None).render_as_string(hide_password=False)  # other users see the command line
    environment = settings.environment() | {"PGOPTIONS": f"-c autonl.tenant={ALL_TENANTS}"}  # rows of all of them
    environment |= {"PGPASSWORD": url.password} if url.password else {}
    command = [find_postgres_program(name), f"--dbname={address}", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{name} failed with exit code {done.returncode}: {done.stderr.strip()}")
