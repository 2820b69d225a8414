"""Where check processes save what they found so far. One folder per dataset: every attempt at its check reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores

_PREFIX = ".check-rows-"


def saved_folder(settings: Settings, name: str) -> Path:
    """The folder of the dataset called `name`."""
    return settings.datasets_dir / f"{_PREFIX}{name}"


def delete_unused(stores: Stores) -> None:
    """Delete the folders of datasets whose check is closed, or that were deleted."""
    # Folders first: one that a check creates after the datasets were listed is not among them.
    folders = list(stores.settings.datasets_dir.glob(f"{_PREFIX}*"))
    if not folders:
        return
    checking = {entry.spec.name for entry in stores.datasets.list() if entry.state == DatasetState.CHECKING}
    for folder in folders:
        if folder.name.removeprefix(_PREFIX) not in checking:
            shutil.rmtree(folder, ignore_errors=True)
