"""The process that checks one dataset: `python -m worker.check_process NAME FENCE TENANT`. Its parent is the checker.

It reads nothing that is in the dataset: that is done by a confined process, which can reach neither the database nor
any other data of this service. Memory and time of both are limited, and the checker counts crashes. What was found in
the images is saved in a folder that belongs to the dataset, not to the attempt: the next attempt at the same check
reads it. The folder is deleted once the check is closed. Files take their final place under the lock that uploads take
too, together with the row that names them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autonl_core.datasets.check_report import DatasetReport, failed_report
from autonl_core.datasets.check_task import CheckTask
from autonl_core.datasets.manifest import is_intact, manifest_fingerprint
from autonl_core.datasets.spec import DatasetSpec
from autonl_core.errors import DatasetError, DatasetUnavailable, DiskReserved
from autonl_core.files import fsync_folder
from autonl_core.host.confinement import FileAccess
from autonl_core.host.messages import FAILED
from store.artifacts import ArtifactStore, ServedAs
from store.checks import CheckLease
from store.dataset_files import DatasetFiles
from store.datasets import DatasetEntry, sheets_folder
from store.errors import LeaseLost, NotFound
from store.settings import Settings
from store.stores import Stores
from worker.check_progress import ProgressWriter
from worker.confined_process import S_PER_BYTE, S_PER_IMAGE, ConfinedProcess, ConfinedProcessEnded, OutOfTime
from worker.dataset_places import DatasetPlace, place_on_this_host
from worker.exit_codes import ExitCode, exit_with
from worker.process_context import process_context
from worker.retry import retry_while_unavailable
from worker.saved_checks import saved_folder

WORK_PREFIX = ".check-"
_SHEET = ServedAs("image/jpeg")
_FETCHING_SHARE = 0.5  # of the progress of a check, if its dataset is in a bucket
_MODULE = "autonl_core.dataset_check.confined_check"


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
        except ConfinedProcessEnded as ended:
            ended.end_alike()
        return ExitCode.FINISHED


def check(stores: Stores, lease: CheckLease, work_dir: Path) -> None:
    """Check the dataset that `lease` stands for, and close its row. Raises LeaseLost."""
    stores = stores.of_tenant(lease.tenant_id)
    entry = retry_while_unavailable(lambda: stores.checks.entry(lease))
    checked = _checked(stores, lease, entry, work_dir)
    report = checked.report
    if checked.spec is None or checked.manifest is None:
        retry_while_unavailable(lambda: stores.checks.finish(lease, None, report))
        return
    sheets = {f"{sheets_folder(checked.spec, lease.tenant_id)}/{sheet.name}": sheet for sheet in checked.sheets}
    for key, sheet in sheets.items():  # not under the lock: flushing many files to disk takes long
        _put_sheet(stores.artifacts, key, sheet)
    files: DatasetFiles = stores.datasets.files
    target = files.folder / checked.manifest.name
    with files.locked():
        for key, sheet in sheets.items():
            if not _exists(stores.artifacts, key):  # deleted with the last other dataset of the same images
                _put_sheet(stores.artifacts, key, sheet)
        checked.manifest.replace(target)
        fsync_folder(files.folder)
        spec = replace(checked.spec, manifest=str(target))
        retry_while_unavailable(lambda: stores.checks.finish(lease, spec, report))


@dataclass(frozen=True)
class _Checked:
    """What the confined process found, as far as it is believed. Without a `spec` the dataset cannot be used."""

    report: DatasetReport
    spec: DatasetSpec | None = None
    manifest: Path | None = None
    sheets: tuple[Path, ...] = ()


def _checked(stores: Stores, lease: CheckLease, entry: DatasetEntry, work_dir: Path) -> _Checked:
    """Bring the dataset here, if it is in a bucket, and have it checked. Raises LeaseLost, ConfinedProcessEnded."""
    settings, progress = stores.settings, ProgressWriter(stores.checks, lease)
    fetching = lambda share: progress(share * _FETCHING_SHARE)  # noqa: E731
    try:
        place = place_on_this_host(entry.spec, settings, fetching, patience_s=settings.stall_s / 2)
    except (DatasetError, DatasetUnavailable, DiskReserved) as error:
        return _Checked(failed_report("bucket_refused", str(error)))
    saved_dir = saved_folder(settings, lease)
    saved_dir.mkdir(parents=True, exist_ok=True)
    task = CheckTask(
        name=lease.name,
        path=place.path,
        work_dir=str(work_dir),
        saved_dir=str(saved_dir),
        limits=settings.limits,
        within=_within(entry, place, settings),
        layout=entry.spec.layout,
        duplicates=entry.spec.duplicates,
    )
    done = 0.0 if place.copy is None else _FETCHING_SHARE
    try:
        return _confined(task, place, settings, lambda share: progress(done + share * (1 - done)))
    except OutOfTime as error:
        return _Checked(failed_report("check_took_too_long", str(error)))


def _within(entry: DatasetEntry, place: DatasetPlace, settings: Settings) -> tuple[str, ...]:
    """Where links in the dataset may lead; anywhere if nowhere is named."""
    if entry.sha256 is not None:
        return ()
    if place.copy is not None:
        return (place.path,)
    return tuple(str(root.resolve()) for root in settings.dataset_roots)


def _confined(
    task: CheckTask, place: DatasetPlace, settings: Settings, on_progress: Callable[[float], None]
) -> _Checked:
    """Have the dataset checked by a confined process.

    Raises:
        OutOfTime: that took too long for what there is to check.
        ConfinedProcessEnded: it crashed, or sent what cannot be.
    """
    access = FileAccess(
        writable=[Path(task.work_dir), Path(task.saved_dir)],
        hidden=settings.own_data,
        shown=[Path(task.path)] if Path(task.path).exists() else [],
    )
    with ConfinedProcess(_MODULE, access, settings.check_time_s) as process:

        def on_message(kind: str, value: Any) -> None:
            if kind == "progress":
                on_progress(float(value))
            elif kind == "listed":
                images, content_bytes = map(int, value)
                process.limit_s += images * S_PER_IMAGE + content_bytes * S_PER_BYTE
                process.limited_for = f"{images:,} images of {content_bytes:,} bytes"

        return _believed(task, place, process.run(task.to_line(), on_message))


def _believed(task: CheckTask, place: DatasetPlace, result: Mapping[str, Any]) -> _Checked:
    """What was found. It may be wrong about the images, but about nothing else."""
    report = DatasetReport.from_json(place.json_in_user_words(result["report"]))
    if result["spec"] is None:
        return _Checked(report)
    work_dir = Path(task.work_dir)
    manifest = _plain_file(work_dir, result["manifest"])
    if not is_intact(manifest):
        raise ConfinedProcessEnded(FAILED)
    spec = replace(
        DatasetSpec.from_json(result["spec"]),
        name=task.name,
        location=place.location,
        objects=place.objects,
        layout=task.layout,
        duplicates=task.duplicates,
        fingerprint=manifest_fingerprint(manifest),
    )
    return _Checked(report, spec, manifest, tuple(_plain_file(work_dir, name) for name in result["sheets"]))


def _plain_file(folder: Path, name: str) -> Path:
    """The file of this name in `folder`. Raises ConfinedProcessEnded if it is anything else."""
    path = folder / name
    if path.parent != folder or path.is_symlink() or not path.is_file():
        raise ConfinedProcessEnded(FAILED)
    return path


@contextmanager
def _work_dir(settings: Settings) -> Iterator[Path]:
    """A temporary folder beside the datasets, so that a finished file can be moved into place by renaming it."""
    settings.datasets_dir.mkdir(parents=True, exist_ok=True)
    work_dir = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=settings.datasets_dir))
    try:
        yield work_dir
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)


def _put_sheet(artifacts: ArtifactStore, key: str, sheet: Path) -> None:
    """In place of that of another dataset of the same images, which another version may have drawn."""
    retry_while_unavailable(lambda: artifacts.put(key, sheet, _SHEET, replace=True))


def _exists(artifacts: ArtifactStore, key: str) -> bool:
    try:
        retry_while_unavailable(lambda: artifacts.open(key)).close()
    except NotFound:
        return False
    return True


if __name__ == "__main__":
    exit_with(lambda: main(CheckLease(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
