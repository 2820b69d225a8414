"""The folders of a backup, and where the files in them are in a service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from store.artifacts import artifact_folder
from store.settings import Settings


def folders_of(settings: Settings) -> Mapping[str, Path]:
    """By name in the backup. Raises ArtifactError if the artifact store is not a folder."""
    return {
        "artifacts": artifact_folder(settings.resolved_artifact_url),
        "datasets": settings.datasets_dir,
        "searches": settings.searches_dir,
        "weights": settings.weights_dir,
    }
