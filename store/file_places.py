"""Where the files of searches are kept, as the settings say: on a disk that all hosts share, or in a bucket."""

from __future__ import annotations

from dataclasses import dataclass

from store.artifacts import ArtifactStore, FileArtifactStore, artifact_folder
from store.bucket import SCHEME, Bucket
from store.bucket_artifacts import BucketArtifactStore
from store.bucket_run_states import BucketRunStates
from store.run_state_files import RunStateFiles, SharedFolder
from store.settings import Settings


@dataclass(frozen=True)
class FilePlaces:
    """What users download, and what searches go on from."""

    artifacts: ArtifactStore
    run_states: RunStateFiles


def bucket_of(settings: Settings) -> Bucket | None:
    """The bucket that the settings name, if any. Raises ArtifactError if the URL is malformed."""
    url = settings.resolved_artifact_url
    return Bucket(url, settings) if url.startswith(f"{SCHEME}://") else None


def open_file_places(settings: Settings) -> FilePlaces:
    """Sends no request yet. Raises ArtifactError if the URL of the settings is not supported."""
    reserve_bytes = settings.disk_reserve_bytes
    if (bucket := bucket_of(settings)) is None:
        artifacts = FileArtifactStore(artifact_folder(settings.resolved_artifact_url), reserve_bytes)
        return FilePlaces(artifacts, SharedFolder(settings.searches_dir))
    sends_users = settings.bucket_downloads == "redirect"
    return FilePlaces(
        BucketArtifactStore(bucket, settings.cache_dir, reserve_bytes, sends_users=sends_users),
        BucketRunStates(bucket, reserve_bytes),
    )
