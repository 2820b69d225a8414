"""Uploaded archives, and the manifests of datasets: files in `Settings.datasets_dir`."""

from __future__ import annotations

import re
from pathlib import Path

from store.upload_folder import UploadFolder

_MANAGED = re.compile(r"[0-9a-f]{64}\.zip|[0-9a-f]{32}\.manifest\.json")


class DatasetFiles(UploadFolder):
    """The folder of uploaded archives and of manifests."""

    def __init__(self, folder: Path, reserve_bytes: int = 0) -> None:
        super().__init__(folder, _MANAGED, reserve_bytes)

    def archive(self, sha256: str) -> Path:
        """Where an uploaded archive of this content is stored."""
        return self.folder / f"{sha256}.zip"
