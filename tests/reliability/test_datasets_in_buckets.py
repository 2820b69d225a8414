"""A whole service searches on images in a bucket, whose server is away when the search begins."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autonl_core.datasets.buckets.location import BucketLocation
from store.states import SearchState
from tests.autonl_core.datasets.buckets.objects import put
from tests.autonl_core.datasets.packed.samples import write_folder
from tests.autonl_core.datasets.packed.test_containers_train_alike import digits
from tests.buckets import SECRET, BucketServer, bucket_server, bucket_url
from tests.reliability.conftest import Start
from tests.reliability.reference_search import REAL
from tests.reliability.service import Service
from tests.servers import wait_for

__all__ = ["bucket_server", "bucket_url"]
pytestmark = pytest.mark.timeout(600)


def add(service: Service, name: str, path: str) -> str:
    """Register a dataset and wait for its check; returns its fingerprint."""
    added = service.client.post("/datasets", json={"name": name, "path": path})
    assert added.status_code == 202, added.text

    def checked() -> bool:
        return str(service.client.get(f"/datasets/{name}").json()["state"]) != "checking"

    wait_for(checked, f"{name} is checked", timeout_s=120)
    found = service.client.get(f"/datasets/{name}").json()
    assert found["state"] == "ready", found["report"]
    return str(found["fingerprint"])


def weights_of(service: Service, search_id: str) -> str:
    service.wait_for_state(search_id, SearchState.SUCCEEDED, timeout_s=240)
    result = service.stores.searches.get(search_id).result
    assert result is not None
    return str(result["weights_sha256"])


def test_a_search_waits_for_its_bucket_and_finds_what_it_finds_in_a_folder(
    start: Start, bucket_server: BucketServer, bucket_url: str, tmp_path: Path
) -> None:
    place = BucketLocation.parse(f"{bucket_url}/digits")
    put(bucket_server, place, digits())
    folder = write_folder(tmp_path / "pictures/digits", digits())
    (tmp_path / "data").mkdir()
    service = start(data_dir=tmp_path / "data", dataset_buckets=(bucket_url,), dataset_roots=(folder.parent,))
    service.start_api()
    service.start_sweeper()
    service.start("checker", "worker.checker")
    assert add(service, "in-bucket", str(place)) == add(service, "in-folder", str(folder))
    service.start_worker(behaviour=None)
    in_folder = weights_of(service, service.post(**{**REAL, "dataset": "in-folder"}))

    for kept in (service.settings.bucket_copies_dir, service.settings.cache_dir):
        shutil.rmtree(kept)  # as on another host
    bucket_server.stop()
    try:
        search_id = service.post(**{**REAL, "dataset": "in-bucket"})
        log = tmp_path / f"data/searches/{search_id}/attempt-0001.log"
        wait_for(lambda: log.exists() and "does not respond" in log.read_text(), "the search waits", timeout_s=90)
        assert service.state(search_id) == SearchState.RUNNING
    finally:
        bucket_server.start()
    assert weights_of(service, search_id) == in_folder
    assert "requeued" not in service.event_kinds(search_id)
    logs = [service.log(name) for name in ("api", "sweeper", "checker", "worker")] + [log.read_text()]
    assert not any(SECRET in text for text in logs)
