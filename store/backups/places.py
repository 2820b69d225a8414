"""The folders of a backup, and where the files in them are in a service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from store.artifacts import artifact_folder
from store.errors import BackupError
from store.file_places import bucket_of
from store.settings import Settings


def folders_of(settings: Settings) -> Mapping[str, Path]:
    """By name in the backup. Raises BackupError if artifacts and run states are in a bucket."""
    if (bucket := bucket_of(settings)) is not None:
        raise BackupError(
            f"artifacts and run states are in the bucket {bucket.name!r}, which this command neither copies nor "
            "restores: keep older versions of its objects, and dump the database with pg_dump; docs/operations.md, "
            "A bucket for artifacts and run states, says how both go together"
        )
    return {
        "artifacts": artifact_folder(settings.resolved_artifact_url),
        "datasets": settings.datasets_dir,
        "searches": settings.searches_dir,
        "weights": settings.weights_dir,
    }
