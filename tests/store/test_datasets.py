"""Registered and built-in datasets, on both databases."""

from __future__ import annotations

import dataclasses
import fcntl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autonl_core.datasets.check_report import CHECK_VERSION, DatasetReport, failed_report
from autonl_core.datasets.spec import DIGITS, DatasetSpec
from store import datasets, events
from store.checks import CheckLease
from store.dataset_files import DatasetFiles
from store.datasets import Added, DatasetEntry, DatasetStore, sheets_folder
from store.errors import DatasetChanged, DatasetExists, DatasetInUse, NotFound
from store.states import DatasetState
from store.stores import Stores
from store.upload_folder import Upload
from tests.store import sample_rows as samples

PETS = Path("/data/pets")


def ready(stores: Stores, name: str, *, fingerprint: str = "a" * 32, check_version: int = CHECK_VERSION) -> DatasetSpec:
    """Check the oldest waiting dataset, which must be `name`, as a checker would; returns its spec."""
    lease = stores.checks.claim("checker")
    assert lease is not None
    assert lease.name == name
    unchecked = stores.checks.entry(lease).spec
    manifest = stores.datasets.files.folder / f"{fingerprint}.manifest.json"
    manifest.parent.mkdir(exist_ok=True)
    manifest.touch()
    spec = dataclasses.replace(
        DIGITS,
        name=name,
        kind=unchecked.kind,
        location=unchecked.location,
        fingerprint=fingerprint,
        manifest=str(manifest),
    )
    stores.checks.finish(lease, spec, DatasetReport(images=7, check_version=check_version))
    return spec


def upload(stores: Stores, name: str, content: bytes = b"PK") -> Added:
    """Upload an archive with this content."""
    with stores.datasets.files.receive(len(content)) as receiving:
        receiving.write(content)
        return stores.datasets.add_upload(name, receiving)


def files(stores: Stores) -> set[str]:
    """The names of all archives, manifests and part files."""
    return {path.name for path in stores.datasets.files.folder.glob("*") if path.name != ".lock"}


def test_the_built_in_dataset_needs_no_row(stores: Stores) -> None:
    assert stores.datasets.get("digits") == DatasetEntry(DIGITS)
    assert [entry.spec.name for entry in stores.datasets.list()] == ["digits"]


def test_a_registered_path_is_checked_and_then_read_back_with_its_report(stores: Stores) -> None:
    added = stores.datasets.add_path("pets", "folder", PETS)
    assert (added.created, added.entry.state, added.entry.report) == (True, DatasetState.CHECKING, None)
    spec = ready(stores, "pets")
    entry = stores.datasets.get("pets")
    assert (entry.spec, entry.report, entry.state) == (spec, DatasetReport(images=7), DatasetState.READY)
    assert entry.created_at is not None
    assert [entry.spec.name for entry in stores.datasets.list()] == ["digits", "pets"]


def test_adding_the_same_path_again_changes_nothing(stores: Stores) -> None:
    first = stores.datasets.add_path("pets", "folder", PETS)
    assert stores.datasets.add_path("pets", "folder", PETS) == Added(first.entry, created=False)
    ready(stores, "pets")
    assert stores.datasets.add_path("pets", "folder", PETS).entry.state == DatasetState.READY


def test_a_name_can_be_used_once(stores: Stores) -> None:
    stores.datasets.add_path("pets", "folder", PETS)
    with pytest.raises(DatasetExists, match="'pets' is already registered from /data/pets"):
        stores.datasets.add_path("pets", "folder", Path("/data/others"))
    with pytest.raises(DatasetExists, match="'pets' is already registered from /data/pets"):
        upload(stores, "pets")
    with pytest.raises(DatasetExists, match="built in"):
        stores.datasets.add_path("digits", "folder", PETS)
    assert files(stores) == set()  # a refused upload leaves nothing


def test_the_name_of_an_invalid_dataset_can_be_used_again(stores: Stores) -> None:
    stores.datasets.add_path("pets", "folder", PETS)
    old = stores.checks.claim("checker")
    assert old is not None
    stores.checks.finish(old, None, failed_report("bad", "bad"))
    assert stores.datasets.get("pets").state == DatasetState.INVALID
    again = stores.datasets.add_path("pets", "folder", PETS)  # its folder may have been fixed
    assert (again.created, again.entry.state, again.entry.report) == (True, DatasetState.CHECKING, None)
    lease = stores.checks.claim("checker")
    assert lease is not None
    assert lease.fence > old.fence
    stores.checks.finish(lease, None, DatasetReport())
    assert upload(stores, "pets").entry.state == DatasetState.CHECKING


def test_an_archive_whose_content_was_checked_before_is_ready_at_once(stores: Stores) -> None:
    first = upload(stores, "pets")
    assert first.entry.sha256 is not None
    assert first.entry.spec.location == str(stores.datasets.files.archive(first.entry.sha256))
    spec = ready(stores, "pets")
    assert upload(stores, "pets") == Added(stores.datasets.get("pets"), created=False)
    other = upload(stores, "cats")
    assert (other.created, other.entry.state, other.entry.report) == (True, DatasetState.READY, DatasetReport(images=7))
    assert other.entry.spec == dataclasses.replace(spec, name="cats")
    assert stores.checks.claim("checker") is None
    assert upload(stores, "dogs", b"PK!").entry.state == DatasetState.CHECKING


def test_what_an_earlier_version_found_is_not_said_of_a_new_dataset(stores: Stores) -> None:
    upload(stores, "pets")
    ready(stores, "pets", check_version=CHECK_VERSION - 1)
    assert upload(stores, "cats").entry.state == DatasetState.CHECKING
    assert upload(stores, "pets").entry.state == DatasetState.READY  # what is there stays as it is


def test_files_are_deleted_with_the_last_dataset_that_uses_them(stores: Stores) -> None:
    upload(stores, "pets")
    spec = ready(stores, "pets")
    upload(stores, "cats")
    sheet = stores.datasets.files.folder / "sheet"
    sheet.write_bytes(b"picture")
    stores.artifacts.put(f"{sheets_folder(spec)}/0.jpg", sheet)
    sheet.unlink()
    both = {Path(spec.location).name, Path(spec.manifest).name}
    assert files(stores) == both
    stores.datasets.delete("pets")
    assert files(stores) == both
    with stores.artifacts.open(f"{sheets_folder(spec)}/0.jpg"):
        pass
    stores.datasets.delete("cats")
    assert files(stores) == set()
    with pytest.raises(NotFound):
        stores.artifacts.open(f"{sheets_folder(spec)}/0.jpg")
    with pytest.raises(NotFound, match="no dataset 'cats'"):
        stores.datasets.delete("cats")


def test_a_dataset_that_a_search_uses_is_not_deleted(stores: Stores) -> None:
    search_id = samples.queue_search(stores)
    with pytest.raises(DatasetInUse, match="built in"):
        stores.datasets.delete("digits")
    config = stores.searches.get(search_id).config | {"dataset": "pets"}
    stores.datasets.add_path("pets", "folder", PETS)
    spec = ready(stores, "pets")
    search, _ = stores.searches.create(type(samples.CONFIG).model_validate(config), spec)
    with pytest.raises(DatasetInUse, match=f"'pets' is used by search {search.id}"):
        stores.datasets.delete("pets")
    stores.control.cancel(search.id)
    stores.datasets.delete("pets")


def test_a_sweep_deletes_what_killed_processes_left_behind_and_nothing_else(stores: Stores) -> None:
    upload(stores, "pets")
    folder = stores.datasets.files.folder
    kept = files(stores)
    (folder / "dead.part").write_bytes(b"half")
    (folder / f"{'0' * 64}.zip").write_bytes(b"its row was never written")
    (folder / f"{'1' * 32}.manifest.json").touch()
    (folder / "holiday.zip").write_bytes(b"not one of our names")
    with (folder / "alive.part").open("xb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        stores.datasets.sweep_files()
        assert files(stores) == kept | {"alive.part", "holiday.zip"}
    stores.datasets.sweep_files()
    assert files(stores) == kept | {"holiday.zip"}


def test_a_sweep_deletes_nothing_from_a_datasets_folder_that_was_moved(stores: Stores, tmp_path: Path) -> None:
    upload(stores, "pets")
    ready(stores, "pets")
    kept = files(stores)
    moved = DatasetFiles(stores.datasets.files.folder.rename(tmp_path / "elsewhere"))
    DatasetStore(stores.database, moved, stores.artifacts, stores.settings).sweep_files()
    assert {path.name for path in moved.folder.iterdir()} == kept | {".lock"}


def test_no_row_names_a_missing_archive(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed in between may leave a file without a row, which is swept, but never the opposite."""

    def killed(self: Upload, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Upload, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        upload(stores, "pets")
    assert [entry.spec.name for entry in stores.datasets.list()] == ["digits"]


def test_a_sweep_at_the_very_start_of_an_upload_does_not_harm_it(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    swept: list[bool] = []

    def lock_after_sweep(file: int, operation: int) -> None:
        if not swept:
            swept.append(True)
            assert stores.datasets.files.delete_parts() == 1
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock_after_sweep)
    added = upload(stores, "pets")
    assert Path(added.entry.spec.location).read_bytes() == b"PK"


def test_an_invalid_archive_is_checked_again_when_it_is_uploaded_again(stores: Stores) -> None:
    """The limits may have changed, or there may be enough memory now."""
    upload(stores, "pets")
    lease = stores.checks.claim("checker")
    assert lease is not None
    stores.checks.finish(lease, None, failed_report("check_failed", "too little memory"))
    again = upload(stores, "pets")
    assert (again.created, again.entry.state, again.entry.report) == (True, DatasetState.CHECKING, None)


def test_a_path_whose_content_is_known_to_have_changed_is_checked_again_once(stores: Stores) -> None:
    stores.datasets.add_path("pets", "folder", PETS)
    spec = ready(stores, "pets")
    again = stores.datasets.add_path("pets", "folder", PETS, outdated=spec.fingerprint)
    assert (again.created, again.entry.state) == (True, DatasetState.CHECKING)
    assert not stores.datasets.add_path("pets", "folder", PETS, outdated=spec.fingerprint).created
    newer = ready(stores, "pets", fingerprint="b" * 32)
    delayed = stores.datasets.add_path(
        "pets", "folder", PETS, outdated=spec.fingerprint
    )  # it saw the previous fingerprint
    assert (delayed.created, delayed.entry.spec) == (False, newer)


def test_a_dataset_is_not_deleted_while_a_search_on_it_is_being_created(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = samples.CONFIG.model_copy(update={"dataset": "pets"})
    stores.datasets.add_path("pets", "folder", PETS)
    spec = ready(stores, "pets")
    append = events.append
    with ThreadPoolExecutor(1) as pool:
        deleting: list[Future[None]] = []

        def meanwhile(*args: Any) -> None:
            if not deleting:
                deleting.append(pool.submit(stores.datasets.delete, "pets"))
                time.sleep(0.3)  # long enough for a delete that does not wait for the lock
            append(*args)

        monkeypatch.setattr(events, "append", meanwhile)
        search, _ = stores.searches.create(config, spec)
        with pytest.raises(DatasetInUse, match=f"is used by search {search.id}"):
            deleting[0].result()
    stores.control.cancel(search.id)
    stores.datasets.delete("pets")
    with pytest.raises(DatasetChanged, match="'pets' was deleted or replaced"):
        stores.searches.create(config, spec)


def test_two_processes_that_add_an_invalid_dataset_again_start_one_check(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.datasets.add_path("pets", "folder", PETS)
    lease = stores.checks.claim("checker")
    assert lease is not None
    stores.checks.finish(lease, None, failed_report("bad", "bad"))
    fill = datasets._fill
    with ThreadPoolExecutor(1) as pool:
        other: list[Future[Added]] = []

        def meanwhile(*args: Any) -> None:
            if not other:
                other.append(pool.submit(stores.datasets.add_path, "pets", "folder", PETS))
                time.sleep(0.3)
            fill(*args)

        monkeypatch.setattr(datasets, "_fill", meanwhile)
        assert stores.datasets.add_path("pets", "folder", PETS).created
        assert not other[0].result().created


def test_a_dataset_is_independent_of_a_deleted_one_of_the_same_name(stores: Stores) -> None:
    """A check that still runs when its dataset is deleted must never write to a new dataset of that name."""
    stores.datasets.add_path("pets", "folder", PETS)
    old = stores.checks.claim("checker")
    assert old is not None
    stores.datasets.delete("pets")
    stores.datasets.add_path("pets", "folder", PETS)
    new = stores.checks.claim("checker")
    assert new is not None
    assert isinstance(old, CheckLease)
    assert new.fence != old.fence


def test_the_error_about_an_unknown_dataset_lists_the_existing_ones(stores: Stores) -> None:
    with pytest.raises(NotFound, match="no dataset 'cats'; the existing ones are: digits"):
        stores.datasets.get("cats")
