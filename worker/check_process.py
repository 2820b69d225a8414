"""The process that checks one dataset: `python -m worker.check_process NAME FENCE TENANT`. Its parent is the checker.

Untrusted images are opened by processes that it starts. Its memory and theirs is limited, and the checker counts its
crashes. What was found in the images is saved in a folder that belongs to the dataset, not to the attempt: the next
attempt at the same check reads it. The folder is deleted once the check is closed. Files take their final place under
the lock that uploads take too, together with the row that names them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from autonl_core.files import fsync_folder
from store.artifacts import ArtifactStore
from store.checks import CheckLease
from store.dataset_files import DatasetFiles
from store.datasets import sheets_folder
from store.errors import LeaseLost, NotFound
from store.settings import Settings
from store.stores import Stores
from worker.check_progress import ProgressWriter
from worker.exit_codes import ExitCode, exit_with
from worker.process_context import process_context
from worker.retry import retry_while_unavailable
from worker.saved_checks import saved_folder

WORK_PREFIX = ".check-"


def main(lease: CheckLease) -> ExitCode:
    """Check the dataset and close its row."""
    with process_context(lambda settings: settings.check_memory_bytes) as context:
        try:
            with _work_dir(context.settings) as work_dir:
                check(context.stores, lease, work_dir)
            shutil.rmtree(saved_folder(context.settings, lease), ignore_errors=True)
        except LeaseLost as lost:
            print(f"stopping: {lost}", file=sys.stderr)
            return ExitCode.LEASE_LOST
        return ExitCode.FINISHED


def check(stores: Stores, lease: CheckLease, work_dir: Path) -> None:
    """Check the dataset that `lease` stands for, and close its row. Raises LeaseLost."""
    from autonl_core.dataset_check.check import check_dataset  # loads numpy: only once the lifeline is held

    settings, stores = stores.settings, stores.of_tenant(lease.tenant_id)
    entry = retry_while_unavailable(lambda: stores.checks.entry(lease))
    is_upload = entry.sha256 is not None
    checked = check_dataset(
        lease.name,
        Path(entry.spec.location),
        work_dir,
        limits=settings.limits,
        within=() if is_upload else tuple(root.resolve() for root in settings.dataset_roots),
        layout=entry.spec.layout,
        duplicates=entry.spec.duplicates,
        saved_dir=saved_folder(settings, lease),
        on_progress=ProgressWriter(stores.checks, lease),
    )
    report = checked.report
    if checked.spec is None or checked.manifest is None:
        retry_while_unavailable(lambda: stores.checks.finish(lease, None, report))
        return
    sheets = {f"{sheets_folder(checked.spec, lease.tenant_id)}/{sheet.name}": sheet for sheet in checked.sheets}
    for key, sheet in sheets.items():  # not under the lock: flushing many files to disk takes long
        stores.artifacts.put(key, sheet)
    files: DatasetFiles = stores.datasets.files
    target = files.folder / checked.manifest.name
    with files.locked():
        for key, sheet in sheets.items():
            if not _exists(stores.artifacts, key):  # deleted with the last other dataset of the same images
                stores.artifacts.put(key, sheet)
        checked.manifest.replace(target)
        fsync_folder(files.folder)
        spec = replace(checked.spec, manifest=str(target))
        retry_while_unavailable(lambda: stores.checks.finish(lease, spec, report))


@contextmanager
def _work_dir(settings: Settings) -> Iterator[Path]:
    """A temporary folder beside the datasets, so that a finished file can be moved into place by renaming it."""
    settings.datasets_dir.mkdir(parents=True, exist_ok=True)
    work_dir = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=settings.datasets_dir))
    try:
        yield work_dir
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


def _exists(artifacts: ArtifactStore, key: str) -> bool:
    try:
        artifacts.open(key).close()
    except NotFound:
        return False
    return True


if __name__ == "__main__":
    exit_with(lambda: main(CheckLease(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
