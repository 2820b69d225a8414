"""`autonl backup` and `autonl restore`: on a host of the service, with its settings, not by its API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import BackupRefused
from cli.options import stop_on_error
from cli.settings_of_host import read_settings

if TYPE_CHECKING:
    from store.backups.manifest import Manifest
    from store.settings import Settings

_data_dir = click.option("--data-dir", type=click.Path(path_type=Path), help="data folder (default: ./autonl-data)")


@click.command(
    epilog="The service may run. Its settings are needed: the data folder, and DATABASE_URL if it is set there."
)
@click.argument("target", type=click.Path(path_type=Path))
@_data_dir
@stop_on_error
def backup(target: Path, data_dir: Path | None) -> None:
    """Copy the database and all files of a service to TARGET, a new folder or a new .tar file."""
    from store.backups.take import take_backup

    manifest = _run(lambda settings: take_backup(settings, target), data_dir)
    click.echo(f"{target}: {_size(manifest)}, of {manifest.data_dir} at {manifest.created_at}")
    for path in manifest.missing:
        click.secho(f"missing: {path}; a row names it, but there is no such file", fg="yellow", err=True)


@click.command(epilog="Then start the service there: searches that ran go on from their last run states.")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@_data_dir
@stop_on_error
def restore(source: Path, data_dir: Path | None) -> None:
    """Put a backup into an empty data folder and an empty database, verified."""
    from store.backups.restore import restore_backup

    manifest = _run(lambda settings: restore_backup(settings, source), data_dir)
    click.echo(f"restored {_size(manifest)}, as they were at {manifest.created_at}")


def _run(work: Callable[[Settings], Manifest], data_dir: Path | None) -> Manifest:
    from store.db import UNAVAILABLE
    from store.errors import StoreError

    settings = read_settings(**({} if data_dir is None else {"data_dir": data_dir}))
    try:
        return work(settings)
    except UNAVAILABLE as error:
        raise BackupRefused(f"the database does not respond: {error}") from error
    except (StoreError, OSError) as error:
        raise BackupRefused(str(error)) from error


def _size(manifest: Manifest) -> str:
    total_bytes = sum(file.size_bytes for file in manifest.files)
    return f"{len(manifest.files):,} files, {total_bytes:,} bytes"
