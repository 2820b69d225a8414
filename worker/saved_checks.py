"""Where check processes save what they found so far. One folder per dataset: every attempt at its check reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

from store.checks import CheckLease
from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores
from store.upload_folder import folder_of

_PREFIX = ".check-rows-"


def saved_folder(settings: Settings, lease: CheckLease) -> Path:
    """The folder of the dataset that is being checked."""
    return folder_of(settings.datasets_dir, lease.tenant_id) / f"{_PREFIX}{lease.name}"


def delete_unused(stores: Stores) -> None:
    """Delete the folders of a tenant's datasets whose check is closed, or that were deleted."""
    # Folders first: one that a check creates after the datasets were listed is not among them.
    folders = list(stores.datasets.files.folder.glob(f"{_PREFIX}*"))
    if not folders:
        return
    checking = {entry.spec.name for entry in stores.datasets.list() if entry.state == DatasetState.CHECKING}
    for folder in folders:
        if folder.name.removeprefix(_PREFIX) not in checking:
            shutil.rmtree(folder, ignore_errors=True)
