"""Uploaded weights: files in `Settings.weights_dir`."""

from __future__ import annotations

import re
from pathlib import Path

from store.upload_folder import UploadFolder

_MANAGED = re.compile(r"[0-9a-f]{64}\.weights")


class WeightFiles(UploadFolder):
    """The folder of uploaded weights."""

    def __init__(self, folder: Path, reserve_bytes: int = 0) -> None:
        super().__init__(folder, _MANAGED, reserve_bytes)

    def file(self, sha256: str) -> Path:
        """Where uploaded weights of this content are stored."""
        return self.folder / f"{sha256}.weights"
