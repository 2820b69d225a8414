"""Where the files of a dataset are on this host, with a bucket that changes, is not allowed, or is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autonl_core.datasets.buckets.location import BucketLocation
from autonl_core.datasets.spec import DIGITS, DatasetSpec
from autonl_core.errors import DatasetError, DatasetUnavailable, Interrupted
from autonl_core.spec.config import SearchConfig
from store.settings import Settings
from store.states import DatasetState, SearchState
from store.stores import Stores, open_stores
from tests.autonl_core.datasets.buckets.objects import put
from tests.autonl_core.datasets.packed.samples import checked, images, png, write_folder
from tests.buckets import BucketServer, bucket_server, bucket_url
from tests.servers import free_port
from tests.worker.test_search_process import SMALL
from worker.checker import Checker
from worker.dataset_places import delete_unused_copies, place_on_this_host
from worker.supervisor import Supervisor

__all__ = ["bucket_server", "bucket_url"]


@pytest.fixture
def settings(settings: Settings, bucket_url: str) -> Settings:
    return settings.model_copy(update={"dataset_buckets": (bucket_url,), "check_poll_s": 0.05, "poll_s": 0.05})


@pytest.fixture
def opened(settings: Settings) -> Iterator[Stores]:
    stores = open_stores(settings)
    yield stores
    stores.close()


@pytest.fixture
def place(bucket_server: BucketServer, bucket_url: str) -> BucketLocation:
    """Images in the bucket."""
    location = BucketLocation.parse(f"{bucket_url}/pets")
    put(bucket_server, location, images())
    return location


def spec_of(location: BucketLocation, objects: str = "") -> DatasetSpec:
    return replace(DIGITS, name="pets", kind="folder", location=str(location), objects=objects)


def nothing(share: float) -> None: ...


def test_what_is_on_the_disk_is_where_it_is(settings: Settings, tmp_path: Path) -> None:
    local = replace(DIGITS, kind="folder", location=str(tmp_path))
    place = place_on_this_host(local, settings, nothing)
    assert (place.path, place.objects, place.copy) == (str(tmp_path), "", None)
    assert "objects" not in local.to_json()  # so that earlier versions can read it
    assert not settings.bucket_copies_dir.exists()


def test_what_is_outside_the_allowed_places_is_not_read_even_if_a_row_names_it(
    settings: Settings, place: BucketLocation
) -> None:
    strict = settings.model_copy(update={"dataset_buckets": (f"{place}/train",)})
    with pytest.raises(DatasetError, match=r"outside the places that this host may read.*AUTONL_DATASET_BUCKETS"):
        place_on_this_host(spec_of(place), strict, nothing)


def test_a_dataset_that_changed_is_refused_and_not_fetched(
    settings: Settings, bucket_server: BucketServer, place: BucketLocation
) -> None:
    found = place_on_this_host(spec_of(place), settings, nothing)
    assert place_on_this_host(spec_of(place, found.objects), settings, nothing) == found
    put(bucket_server, place, {"train/cat/new.png": png(99)})
    with pytest.raises(DatasetError, match="changed since it was added"):
        place_on_this_host(spec_of(place, found.objects), settings, nothing)
    assert not (Path(found.path) / "train/cat/new.png").exists()


def test_a_bucket_that_is_away_is_waited_for_until_a_stop_is_asked_for_or_patience_ends(
    settings: Settings, bucket_server: BucketServer, place: BucketLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(DatasetUnavailable, match="does not respond"):
        place_on_this_host(spec_of(place), settings, nothing, patience_s=0)

    def stop() -> None:
        raise Interrupted("drain")

    with pytest.raises(Interrupted):
        place_on_this_host(spec_of(place), settings, nothing, on_wait=stop)
    waits: list[int] = []

    def come_back() -> None:
        waits.append(1)
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_server.url)

    assert place_on_this_host(spec_of(place), settings, nothing, on_wait=come_back).copy is not None
    assert waits == [1]


@pytest.mark.long
def test_a_confined_check_reads_the_copy_and_a_search_on_another_host_makes_its_own(
    opened: Stores, settings: Settings, place: BucketLocation, tmp_path: Path
) -> None:
    """Its weights are those of the same images in a folder."""
    opened.datasets.add_path("pets", "folder", place)
    assert Checker(opened, "here").tick(threading.Event())
    entry = opened.datasets.get("pets")
    assert entry.state == DatasetState.READY, entry.report
    assert (entry.spec.location, bool(entry.spec.objects)) == (str(place), True)
    local = checked(write_folder(tmp_path / "local", images()), tmp_path / "work")
    assert entry.spec.fingerprint == local.fingerprint

    host = settings.model_copy(update={"data_dir": tmp_path / "host", "database_url": settings.resolved_database_url})
    on_host = open_stores(host)
    config = SearchConfig.model_validate({**SMALL, "dataset": "pets", "export": {"formats": []}})
    found = []
    for spec in (entry.spec, replace(local, name="pets")):
        search, _ = on_host.searches.create(config, spec)
        assert Supervisor(on_host, "worker-1").run_until_idle() == 1
        search = on_host.searches.get(search.id)
        assert search.state is SearchState.SUCCEEDED, on_host.searches.attempts(search.id)[0].log_tail
        assert search.result is not None
        found.append(search.result["weights_sha256"])
    assert found[0] == found[1]
    assert len(list(host.bucket_copies_dir.iterdir())) == 1
    on_host.close()


@pytest.mark.long
def test_a_search_whose_objects_changed_fails_with_their_place(
    opened: Stores, settings: Settings, bucket_server: BucketServer, place: BucketLocation
) -> None:
    opened.datasets.add_path("pets", "folder", place)
    assert Checker(opened, "here").tick(threading.Event())
    put(bucket_server, place, {next(iter(images())): png(99)})
    config = SearchConfig.model_validate({**SMALL, "dataset": "pets"})
    search, _ = opened.searches.create(config, opened.datasets.get("pets").spec)
    assert Supervisor(opened, "worker-1").run_until_idle() == 1
    search = opened.searches.get(search.id)
    assert search.error is not None
    assert search.error["type"] == "dataset-error"
    assert f"{place} changed since it was added" in search.error["detail"]


def test_copies_of_registered_datasets_are_kept(
    opened: Stores, settings: Settings, place: BucketLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.dataset_places.UNTOUCHED_S", -1)
    opened.datasets.add_path("pets", "folder", place)
    copy = Path(place_on_this_host(spec_of(place), settings, nothing).path)
    delete_unused_copies(opened)
    assert copy.is_dir()
    opened.datasets.delete("pets")
    delete_unused_copies(opened)
    assert list(settings.bucket_copies_dir.iterdir()) == []
