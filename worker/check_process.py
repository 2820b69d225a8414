"""The process that checks one data set: `python -m worker.check_process NAME FENCE`. Its parent is the checker.

It reads what nobody vouches for, so memory is limited and a crash is the checker's to count. Files appear together with
the row that names them, under the lock of the uploads.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from autonl_core.files import fsync_folder
from store.artifacts import ArtifactStore
from store.dataset_checks import CheckLease
from store.dataset_files import DatasetFiles
from store.datasets import sheets_folder
from store.errors import LeaseLost, NotFound
from store.settings import Settings
from store.stores import Stores, open_stores
from worker.exit_codes import ExitCode, exit_with
from worker.lifeline import Lifeline
from worker.memory import limit_memory
from worker.sink import retry_while_unavailable

_TELL_S = 1.0  # between two reports of progress
WORK_PREFIX = ".check-"


def main(name: str, fence: int) -> ExitCode:
    """Check the data set and close its row."""
    Lifeline().hold()
    settings = Settings()
    if settings.check_memory_bytes:
        limit_memory(settings.check_memory_bytes)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stores = open_stores(settings)
    lease = CheckLease(name, fence)
    settings.datasets_dir.mkdir(parents=True, exist_ok=True)
    work_dir = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=settings.datasets_dir))
    try:
        check(stores, lease, work_dir)
    except LeaseLost as lost:
        print(f"stopping: {lost}", file=sys.stderr)
        return ExitCode.LEASE_LOST
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)
        stores.close()
    return ExitCode.FINISHED


def check(stores: Stores, lease: CheckLease, work_dir: Path) -> None:
    """Check the data set that `lease` stands for, and close its row. Raises LeaseLost."""
    from autonl_core.dataset_check.check import check_dataset  # loads numpy: only after the lifeline holds

    settings = stores.settings
    entry = retry_while_unavailable(lambda: stores.checks.entry(lease))
    told_at = 0.0

    def tell(share: float) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TELL_S:
            told_at = time.monotonic()
            retry_while_unavailable(lambda: stores.checks.beat(lease, share))

    is_upload = entry.sha256 is not None
    checked = check_dataset(
        lease.name,
        Path(entry.spec.location),
        work_dir,
        limits=settings.limits,
        within=() if is_upload else tuple(root.resolve() for root in settings.dataset_roots),
        on_progress=tell,
    )
    report = checked.report
    if checked.spec is None or checked.manifest is None:
        retry_while_unavailable(lambda: stores.checks.finish(lease, None, report))
        return
    sheets = {f"{sheets_folder(checked.spec)}/{sheet.name}": sheet for sheet in checked.sheets}
    for key, sheet in sheets.items():  # making many durable takes long: not under the lock
        stores.artifacts.put(key, sheet)
    files: DatasetFiles = stores.datasets.files
    target = files.folder / checked.manifest.name
    with files.locked():
        for key, sheet in sheets.items():
            if not _is_there(stores.artifacts, key):  # went with the last other data set of the same images
                stores.artifacts.put(key, sheet)
        checked.manifest.replace(target)
        fsync_folder(files.folder)
        spec = replace(checked.spec, manifest=str(target))
        retry_while_unavailable(lambda: stores.checks.finish(lease, spec, report))


def _is_there(artifacts: ArtifactStore, key: str) -> bool:
    try:
        artifacts.open(key).close()
    except NotFound:
        return False
    return True


if __name__ == "__main__":
    exit_with(main)
