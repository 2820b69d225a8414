"""Takes a backup while the service runs.

Files never change once they have their names, but they come and go. A file is written before the row that names it and
deleted after that row, so every file that the database of one moment names was there at that moment. Links to all files
are made before that moment and right after it; what is copied are the linked files, however long that takes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from sqlalchemy import Connection, select

from store.backups.manifest import Manifest
from store.backups.places import folders_of
from store.backups.snapshots import snapshot
from store.backups.targets import Target, new_target
from store.dataset_files import DatasetFiles
from store.db import Database
from store.migrate import schema_of
from store.models import Artifact, Dataset, RunState, Supernet, WeightSetRow
from store.settings import Settings
from store.upload_folder import folder_of
from store.weight_files import WeightFiles

_TRIES = 3


def take_backup(settings: Settings, path: Path) -> Manifest:
    """Write a backup to `path`, a new folder, or a new file that ends in `.tar`.

    Raises:
        BackupError: there is something at `path`, the database cannot be copied, or files are in a bucket.
        OSError: a disk is full.
    """
    database = Database(settings.resolved_database_url)
    try:
        with new_target(path) as target:
            for is_last in (number == _TRIES - 1 for number in range(_TRIES)):
                with tempfile.TemporaryDirectory(prefix=".backup-", dir=settings.data_dir) as folder:
                    manifest = _try(database, settings, target, Path(folder), accept_missing=is_last)
                if manifest is not None:
                    return manifest
    finally:
        database.close()
    raise AssertionError("the last try accepts what is missing")


def _try(
    database: Database, settings: Settings, target: Target, folder: Path, *, accept_missing: bool
) -> Manifest | None:
    """One try; None if a file was deleted too soon, and nothing was copied."""
    links = folder / "links"
    _link_files(settings, links)
    with snapshot(database, settings, folder) as taken:
        _link_files(settings, links)
        missing = [name for name in _named_files(taken.connection) if not (links / name).exists()]
        if missing and not accept_missing:
            return None
        schema = schema_of(taken.connection) or ""
        files = [target.add(dump := taken.write(), f"database/{dump.name}")]
    files += [target.add(links / name, name) for name in sorted(_names_below(links))]
    manifest = Manifest(
        version=metadata.version("autonl"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        schema=schema,
        database=database.engine.dialect.name,
        data_dir=str(settings.data_dir),
        files=tuple(files),
        missing=tuple(missing),
    )
    target.finish(manifest)
    return manifest


def _link_files(settings: Settings, links: Path) -> None:
    """Link what is not linked yet. Names that begin with a dot are of files that are being written."""
    for place, root in folders_of(settings).items():
        for name in _names_below(root):
            link = links / place / name
            if not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                _link(root / name, link)


def _link(file: Path, link: Path) -> None:
    """Link a file, or copy it where links are not possible; a file that has just been deleted is left out."""
    try:
        os.link(file, link)
    except FileNotFoundError:
        return
    except OSError:  # on another disk, or one that knows no links
        try:
            shutil.copyfile(file, link)
        except FileNotFoundError:
            link.unlink(missing_ok=True)


def _names_below(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        kept = (name for name in files if not name.startswith(".") and not name.endswith((".part", ".tmp")))
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in kept)


def _named_files(connection: Connection) -> Iterator[str]:
    """The files that rows name, as paths in the backup."""
    for place, column in (("searches", RunState.path), ("artifacts", Artifact.key), ("artifacts", Supernet.key)):
        yield from (f"{place}/{name}" for name in connection.scalars(select(column)))
    uploads = Path("datasets"), Path("weights")
    for tenant_id, sha256 in connection.execute(select(Dataset.tenant_id, Dataset.sha256)):
        if sha256 is not None:
            yield DatasetFiles(folder_of(uploads[0], tenant_id)).archive(sha256).as_posix()
    for tenant_id, sha256 in connection.execute(select(WeightSetRow.tenant_id, WeightSetRow.sha256)):
        yield WeightFiles(folder_of(uploads[1], tenant_id)).file(sha256).as_posix()
