"""The checker with real processes: a check is stopped, killed, taken over, given up; it never outlives its parent."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from store.dataset_files import DatasetFiles
from store.settings import Settings
from store.states import DatasetState
from store.stores import Stores, open_stores
from tests.autonl_core.photo_like_images import encoded, packed, photo
from tests.servers import wait_for
from tests.worker.scripted_supervisor import is_gone
from worker.check_kinds import dataset_checks
from worker.check_process import check
from worker.checker import Checker

STUCK = (sys.executable, "-c", "import time; time.sleep(600)")
NAMING = (sys.executable, "-c", "import sys; print('it was', sys.argv[1]); sys.exit(3)")
CRASHING = (sys.executable, "-c", "import sys; print('what a picture'); sys.exit(3)")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    quick = {"beat_s": 0.2, "lease_s": 2, "check_poll_s": 0.05, "poll_s": 0.05, "crash_backoff_s": 0}
    return settings.model_copy(update=quick)


@pytest.fixture
def opened(settings: Settings, tmp_path: Path) -> Iterator[Stores]:
    """Stores with a dataset that waits for its check."""
    stores = open_stores(settings)
    files = {f"{label}/{number}.png": encoded(photo(10 * place + number, 16)) for place, label in enumerate("ab")
             for number in range(5)}  # fmt: skip
    stores.datasets.add_path("pets", "zip", packed(tmp_path / "pets.zip", files))
    yield stores
    stores.close()


def start(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "worker.checker"], env=settings.environment())


def state(stores: Stores) -> DatasetState:
    return stores.datasets.get("pets").state


@pytest.mark.long
def test_a_checker_checks_and_exits_when_asked(opened: Stores, settings: Settings) -> None:
    with start(settings) as checker:
        wait_for(lambda: state(opened) == DatasetState.READY, "the dataset is ready", timeout_s=30)
        checker.terminate()
        assert checker.wait(10) == 0
    spec = opened.datasets.get("pets").spec
    assert (spec.classes, spec.train_images, spec.test_images) == (("a", "b"), 8, 2)
    assert Path(spec.manifest).parent == settings.datasets_dir
    assert {path.suffix for path in settings.datasets_dir.iterdir()} == {".json", ""}  # the manifest, the lock
    with opened.artifacts.open(f"datasets/{spec.fingerprint}/1.jpg") as sheet:
        assert sheet.read(2) == b"\xff\xd8"


def test_a_crashing_check_is_retried_and_then_given_up_with_its_last_message(opened: Stores) -> None:
    checker = Checker(opened, "here", kinds=[dataset_checks(opened, CRASHING)])
    for _ in range(opened.settings.max_crash_streak):
        assert state(opened) == DatasetState.CHECKING
        assert checker.tick(threading.Event())
    assert state(opened) == DatasetState.INVALID
    report = opened.datasets.get("pets").report
    assert report is not None
    assert "exited with code 3: what a picture" in report.problems[0].detail
    assert not checker.tick(threading.Event())


def test_running_out_of_memory_is_reported_as_such(opened: Stores, settings: Settings) -> None:
    small = settings.model_copy(update={"check_memory_bytes": 120 << 20, "max_crash_streak": 1})
    stores = open_stores(small)
    try:
        Checker(stores, "here").tick(threading.Event())
    finally:
        stores.close()
    report = opened.datasets.get("pets").report
    assert report is not None
    assert report.problems[0].code == "check_failed"
    assert "AUTONL_CHECK_MEMORY_BYTES" in report.problems[0].detail


@pytest.mark.long
def test_a_check_dies_with_its_checker_and_another_checker_takes_over(opened: Stores, settings: Settings) -> None:
    with start(settings) as first:
        wait_for(lambda: psutil.Process(first.pid).children(), "the check runs", timeout_s=20)
        (check_process,) = psutil.Process(first.pid).children()
        first.kill()
        wait_for(lambda: is_gone(check_process.pid), "it is gone", timeout_s=5)
    assert state(opened) == DatasetState.CHECKING
    with start(settings) as second:
        wait_for(lambda: state(opened) == DatasetState.READY, "the dataset is ready", timeout_s=30)
        second.terminate()


def test_a_stopped_checker_gives_its_check_back(opened: Stores) -> None:
    stopping = threading.Event()
    checking = threading.Thread(
        target=Checker(opened, "here", kinds=[dataset_checks(opened, STUCK)]).tick, args=(stopping,)
    )
    checking.start()
    wait_for(lambda: opened.datasets.get("pets").progress is not None, "it is claimed")
    stopping.set()
    checking.join(10)
    lease = opened.checks.claim("another")  # no lease to wait for
    assert lease is not None


def test_a_check_without_progress_is_killed(opened: Stores, settings: Settings) -> None:
    stores = open_stores(settings.model_copy(update={"stall_s": 0.5, "max_crash_streak": 1}))
    try:
        Checker(stores, "here", kinds=[dataset_checks(stores, STUCK)]).tick(threading.Event())
    finally:
        stores.close()
    report = opened.datasets.get("pets").report
    assert report is not None
    assert "it made no progress for 0.5 s" in report.problems[0].detail


def test_deleting_a_dataset_ends_its_check(opened: Stores) -> None:
    began = time.monotonic()
    checking = threading.Thread(
        target=Checker(opened, "here", kinds=[dataset_checks(opened, STUCK)]).tick, args=(threading.Event(),)
    )
    checking.start()
    wait_for(lambda: opened.datasets.get("pets").progress is not None, "it is claimed")
    opened.datasets.delete("pets")
    checking.join(10)
    assert not checking.is_alive()
    assert time.monotonic() - began < 10


def test_checkers_with_the_same_process_id_do_not_share_a_log(opened: Stores, settings: Settings) -> None:
    """As checkers in containers have, which share the folder."""
    opened.datasets.add_path("cats", "folder", Path("/data/cats"))
    stores = open_stores(settings.model_copy(update={"max_crash_streak": 1}))
    try:
        checkers = [
            threading.Thread(
                target=Checker(stores, "here", kinds=[dataset_checks(stores, NAMING)]).tick, args=(threading.Event(),)
            )
            for _ in range(2)
        ]
        for checker in checkers:
            checker.start()
        for checker in checkers:
            checker.join()
    finally:
        stores.close()
    for name in ("pets", "cats"):
        report = opened.datasets.get(name).report
        assert report is not None
        assert f"it was {name}." in report.problems[0].detail
    assert [path.name for path in settings.datasets_dir.iterdir()] == [".lock"]


def test_contact_sheets_deleted_with_another_dataset_are_stored_again(
    opened: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last other dataset of the same images is deleted when the check is almost done."""
    locked = DatasetFiles.locked

    def delete_then_lock(self: DatasetFiles) -> AbstractContextManager[None]:
        opened.artifacts.delete_folder("datasets")
        return locked(self)

    monkeypatch.setattr(DatasetFiles, "locked", delete_then_lock)
    lease = opened.checks.claim("here")
    assert lease is not None
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    check(opened, lease, work_dir)
    spec = opened.datasets.get("pets").spec
    for label in range(2):
        opened.artifacts.open(f"datasets/{spec.fingerprint}/{label}.jpg").close()
