"""Datasets registered from a bucket: what is accepted, what its check finds, and what refusals say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from autonl_core.datasets.buckets.location import BucketLocation
from store.settings import Settings
from store.stores import open_stores
from tests.api.http_service import check_datasets, refusal, serving
from tests.api.tenants import new_key, signed_in
from tests.autonl_core.datasets.buckets.objects import delete, put
from tests.autonl_core.datasets.packed.samples import images, shards_of, write_folder, write_zip
from tests.buckets import BucketServer, bucket_server, bucket_url
from tests.servers import free_port

__all__ = ["bucket_server", "bucket_url"]


@pytest.fixture
def place(bucket_url: str) -> BucketLocation:
    return BucketLocation.parse(f"{bucket_url}/pets")


@pytest.fixture
def settings(settings: Settings, bucket_url: str) -> Settings:
    return settings.model_copy(update={"dataset_buckets": (bucket_url,)})


def add(client: httpx.Client, place: BucketLocation, name: str = "pets") -> httpx.Response:
    return client.post("/datasets", json={"name": name, "path": str(place)})


def ready(client: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/datasets/{name}").json()
    assert found["state"] == "ready", found["report"]
    return found


def test_folder_archive_shards_and_bucket_are_one_dataset(
    client: httpx.Client, settings: Settings, bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "pictures/pets", images())
    archive = write_zip(tmp_path / "pets.zip", images()).read_bytes()
    put(bucket_server, place, images())
    put(bucket_server, BucketLocation(place.bucket, f"{place.key}.zip"), {"": archive})
    put(bucket_server, BucketLocation(place.bucket, f"{place.key}-shards"), shards_of(images()))
    assert client.post("/datasets", json={"name": "local", "path": str(folder)}).status_code == 202
    for name, suffix in (("pets", "/"), ("zip", ".zip"), ("shards", "-shards")):
        added = client.post("/datasets", json={"name": name, "path": f"{place}{suffix}"})
        assert added.status_code == 202, added.text
        assert added.json()["state"] == "checking"
    check_datasets(settings)
    found = [ready(client, name) for name in ("local", "pets", "zip", "shards")]
    assert [one["kind"] for one in found] == ["folder", "folder", "zip", "shards"]
    assert len({one["fingerprint"] for one in found}) == 1
    assert client.get("/datasets/pets/sheets/0").content == client.get("/datasets/local/sheets/0").content


def test_what_is_registered_stays_until_its_objects_change(
    client: httpx.Client, settings: Settings, bucket_server: BucketServer, place: BucketLocation
) -> None:
    put(bucket_server, place, images())
    assert add(client, place).status_code == 202
    check_datasets(settings)
    before = ready(client, "pets")
    assert add(client, place).status_code == 200
    assert client.put("/datasets/pets/reading", json={"layout": "auto"}).status_code == 200
    refusal(add(client, BucketLocation(place.bucket, f"{place.key}/train")), 409, "dataset-exists")
    name = next(iter(images()))
    delete(bucket_server, place, name)
    assert add(client, place).status_code == 202
    check_datasets(settings)
    after = ready(client, "pets")
    assert after["train_images"] == before["train_images"] - 1
    other = client.post("/datasets/pets/corrections", json={"name": "fewer", "leave_out": [max(images())]})
    assert other.status_code == 201, other.text
    assert ready(client, "fewer")["fingerprint"] != after["fingerprint"]
    assert client.delete("/datasets/pets").status_code == 204


def test_what_the_check_says_names_the_place_in_the_bucket(
    client: httpx.Client, settings: Settings, bucket_server: BucketServer, place: BucketLocation, tmp_path: Path
) -> None:
    damaged = {**shards_of(images()), "train-000000.tar": b"no shard"}
    put(bucket_server, place, damaged)
    put(bucket_server, BucketLocation(place.bucket, f"{place.key}.tar"), {"": b"one object, and no archive"})
    add(client, place)
    client.post("/datasets", json={"name": "one", "path": f"{place}.tar"})
    check_datasets(settings)
    said = {
        name: problem["detail"]
        for name in ("pets", "one")
        for problem in client.get(f"/datasets/{name}").json()["report"]["problems"]
        if problem["severity"] == "error"
    }
    assert "shard 'train-000000.tar' is damaged" in said["pets"]
    assert f"no dataset at {place}.tar: expected" in said["one"]
    assert str(tmp_path) not in str(said)


def test_a_place_that_is_gone_before_its_check_is_refused_by_it(
    client: httpx.Client, settings: Settings, bucket_server: BucketServer, place: BucketLocation
) -> None:
    put(bucket_server, place, {"cat/1.png": b"soon gone"})
    add(client, place)
    delete(bucket_server, place, "cat/1.png")
    check_datasets(settings)
    found = client.get("/datasets/pets").json()
    assert found["state"] == "invalid"
    assert [(p["code"], p["severity"]) for p in found["report"]["problems"]] == [("bucket_refused", "error")]
    assert f"there is nothing at {place}" in found["report"]["problems"][0]["detail"]


def test_only_what_the_operator_names_may_be_registered(
    settings: Settings, client: httpx.Client, place: BucketLocation
) -> None:
    for path in ("s3://another-bucket/pets", f"s3://{place.bucket}", f"s3://{place.bucket}/{place.key}/../../x"):
        problem = refusal(client.post("/datasets", json={"name": "pets", "path": path}), 422, "invalid-request")
        assert problem["errors"][0]["pointer"] == "/path"
        assert problem["errors"][0]["code"] == "path_not_allowed"
    problem = refusal(add(client, place), 422, "dataset-invalid")
    assert f"there is nothing at {place}" in problem["detail"]
    with serving(settings.model_copy(update={"dataset_buckets": ()})) as other:
        assert "AUTONL_DATASET_BUCKETS" in refusal(add(other, place), 422, "invalid-request")["detail"]
    assert [one["name"] for one in client.get("/datasets").json()["datasets"]] == ["digits"]


def test_a_tenant_cannot_register_what_the_key_of_the_operator_reads(
    settings: Settings, client: httpx.Client, bucket_server: BucketServer, place: BucketLocation
) -> None:
    put(bucket_server, place, images())
    stores = open_stores(settings)
    key = new_key(stores, "zoo")
    stores.close()
    with signed_in(client, key) as zoo:
        assert "upload the images instead" in refusal(add(zoo, place), 422, "invalid-request")["detail"]


def test_a_bucket_that_does_not_respond_is_asked_again_by_the_user(
    client: httpx.Client, place: BucketLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    answer = add(client, place)
    assert "does not respond" in refusal(answer, 503, "unavailable")["detail"]
    assert "Retry-After" in answer.headers
