"""A killed dataset check goes on where it was: with real processes, and without opening an image again."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from autonl_core.dataset_check.check import check_dataset
from autonl_core.dataset_check.inspect import PORTION
from store.checks import CheckLease
from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores, open_stores
from tests.autonl_core.photo_like_images import encoded, photo
from tests.servers import wait_for
from worker.checker import Checker
from worker.process import DATASET_CHECK_COMMAND, SupervisedProcess
from worker.saved_checks import delete_unused, saved_folder

PER_CLASS = 320
SHOWN = 14  # every so many images of a class are on its contact sheet, which opens them again
SLOW = 8  # images at the end that take seconds together


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder that takes seconds to check, most of them at its end."""
    for place, label in enumerate("ab"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(PER_CLASS):
            data = encoded(photo(1000 * place + number, 16))
            if label == "b" and number >= PER_CLASS - SLOW:
                data = encoded(photo(number, 16).resize((6000, 6000)), "JPEG")
            (tmp_path / "pets" / label / f"{number:03}.png").write_bytes(data)
    return tmp_path / "pets"


@pytest.fixture
def opened(settings: Settings, pets: Path) -> Iterator[Stores]:
    """Stores with this dataset, which waits for its check."""
    stores = open_stores(settings.model_copy(update={"dataset_roots": (pets.parent,)}))
    stores.datasets.add_path("pets", "folder", pets)
    yield stores
    stores.close()


def report_of(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "seconds"}


def saved_starts(folder: Path) -> list[int]:
    """The first row of every portion that was saved in full."""
    names = [path.name.rpartition("-")[2] for path in folder.glob("*-*")]
    return sorted(int(name) for name in names if name.isdigit())


def kill_halfway(stores: Stores, log: Path) -> list[int]:
    """Start a check, kill its process once it has saved something, and return what it saved."""
    lease = stores.checks.claim("here")
    assert lease is not None
    process = SupervisedProcess.start(
        [*DATASET_CHECK_COMMAND, lease.name, str(lease.fence), lease.tenant_id], log, stores.settings
    )
    folder = saved_folder(stores.settings, lease)
    try:
        wait_for(lambda: saved_starts(folder), "something is saved", timeout_s=60)
    finally:
        process.reap()
    stores.checks.give_back(lease)
    return saved_starts(folder)


def make_unreadable(path: Path) -> None:
    """Overwrite a file, so that it looks the same as long as it is not opened."""
    found = path.stat()
    path.write_bytes(bytes(found.st_size))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.long
def test_a_killed_check_goes_on_and_opens_no_image_again(opened: Stores, pets: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    expected = check_dataset("pets", pets, tmp_path / "work").report.to_json()
    starts = kill_halfway(opened, tmp_path / "log")
    assert 0 < len(starts) < -(-2 * PER_CLASS // PORTION)
    names = [f"{label}/{number:03}.png" for label in "ab" for number in range(PER_CLASS)]
    opened_before = [row for start in starts for row in range(start, min(start + PORTION, len(names)))]
    hidden = [row for row in opened_before if row % PER_CLASS % SHOWN]
    assert len(hidden) > PORTION / 2
    for row in hidden:
        make_unreadable(pets / names[row])
    assert Checker(opened, "here").tick(threading.Event())
    entry = opened.datasets.get("pets")
    assert entry.state == DatasetState.READY
    assert entry.report is not None
    assert report_of(entry.report.to_json()) == report_of(expected)
    assert not saved_folder(opened.settings, CheckLease("pets", 1)).exists()


@pytest.mark.long
def test_a_check_of_changed_images_begins_anew(opened: Stores, pets: Path, tmp_path: Path) -> None:
    (start, *_) = kill_halfway(opened, tmp_path / "log")
    changed = pets / "ab"[start // PER_CLASS] / f"{start % PER_CLASS + 1:03}.png"
    changed.write_bytes(b"damaged now")
    for path in pets.glob("b/*.png"):
        if path.stat().st_size > 100_000:
            Image.new("RGB", (16, 16)).save(path)  # the slow ones have done their part
    assert Checker(opened, "here").tick(threading.Event())
    report = opened.datasets.get("pets").report
    assert report is not None
    (unreadable,) = [problem for problem in report.problems if problem.code == "unreadable_images"]
    assert unreadable.files == [str(changed.relative_to(pets))]


def test_what_was_saved_is_deleted_unless_its_dataset_is_still_to_be_checked(stores: Stores, tmp_path: Path) -> None:
    stores.datasets.add_path("pets", "folder", tmp_path)
    folders = {name: saved_folder(stores.settings, CheckLease(name, 1)) for name in ("pets", "gone")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "key-0").write_bytes(b"rows")
    delete_unused(stores)
    assert [name for name, folder in folders.items() if folder.exists()] == ["pets"]
    stores.datasets.delete("pets")
    delete_unused(stores)
    assert not folders["pets"].exists()
    shutil.rmtree(stores.settings.datasets_dir)
    delete_unused(stores)  # there may be no folder yet
