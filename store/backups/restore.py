"""Restores a backup into a service that has nothing yet. Everything is verified before anything is put in its place."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, make_url, select
from sqlalchemy.orm import Session

from store.backups.manifest import Manifest
from store.backups.places import folders_of
from store.backups.snapshots import POSTGRES_DUMP, SQLITE_COPY, run_postgres_program
from store.backups.sources import open_source
from store.db import Database
from store.errors import BackupError
from store.migrate import knows_schema, upgrade
from store.models import Dataset, Search
from store.settings import Settings


def restore_backup(settings: Settings, path: Path) -> Manifest:
    """Put the backup at `path` where `settings` say that the service is, and migrate its database.

    Searches that ran when it was taken go on from their run states once a service is started.

    Raises:
        BackupError: it is damaged, of a newer version or another kind of database, or the service has something.
        OSError: the disk is full.
    """
    folders_of(settings)  # raises if files are in a bucket
    with open_source(path) as source:
        manifest = source.manifest
        _require_fitting(manifest, settings)
        _require_empty(settings)
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.data_dir) as folder:
            staging = Path(folder)
            for file in manifest.files:
                target = staging / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                source.copy(file, target)
            _place(staging, settings)
    upgrade(settings.resolved_database_url)
    _relocate(settings, manifest.data_dir)
    return manifest


def _require_fitting(manifest: Manifest, settings: Settings) -> None:
    kind = make_url(settings.resolved_database_url).get_backend_name()
    if kind != manifest.database:
        raise BackupError(f"the backup is of {manifest.database}, and DATABASE_URL names {kind}: both must be one")
    if not knows_schema(manifest.schema):
        raise BackupError(
            f"the backup has database schema {manifest.schema} of AutoNL {manifest.version}, which this version does "
            "not know; restore it with that version or a newer one"
        )


def _require_empty(settings: Settings) -> None:
    """Raises BackupError if there are rows or files already."""
    url = make_url(settings.resolved_database_url)
    occupied = [str(folder) for folder in folders_of(settings).values() if folder.exists() and any(folder.iterdir())]
    if url.get_backend_name() == "sqlite":
        occupied += [url.database] if url.database and Path(url.database).exists() else []
    else:
        database = Database(settings.resolved_database_url)
        try:
            tables = inspect(database.engine).get_table_names()
        finally:
            database.close()
        occupied += [f"the database {url.database}"] if tables else []
    if occupied:
        raise BackupError(
            f"there is something in {', '.join(occupied)}; nothing is overwritten: choose an empty data folder and "
            "database, or move these away"
        )


def _place(staging: Path, settings: Settings) -> None:
    """Move what was verified to its place, the database last: without it, nothing refers to the files."""
    for place, root in folders_of(settings).items():
        if (staging / place).exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            if root.exists():
                root.rmdir()  # it is empty
            shutil.move(staging / place, root)
    if make_url(settings.resolved_database_url).get_backend_name() == "sqlite":
        shutil.move(staging / "database" / SQLITE_COPY, str(make_url(settings.resolved_database_url).database))
    else:
        options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        run_postgres_program("pg_restore", [*options, str(staging / "database" / POSTGRES_DUMP)], settings)


def _relocate(settings: Settings, data_dir: str) -> None:
    """Correct the paths in rows that name files in the data folder, if it is another one now."""
    if data_dir == str(settings.data_dir):
        return
    database = Database(settings.resolved_database_url)
    try:
        with database.session_scope() as session:
            _relocate_rows(session, data_dir, str(settings.data_dir))
    finally:
        database.close()


def _relocate_rows(session: Session, old: str, new: str) -> None:
    for dataset in session.scalars(select(Dataset)):
        dataset.spec = _moved(dataset.spec, old, new)
    for search in session.scalars(select(Search)):
        search.dataset_spec = _moved(search.dataset_spec, old, new)


def _moved(spec: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """A dataset spec, with the paths in it below the folder `new`."""
    inside = {name: value for name, value in spec.items() if isinstance(value, str) and value.startswith(f"{old}/")}
    return spec | {name: new + value.removeprefix(old) for name, value in inside.items()}
