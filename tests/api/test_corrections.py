"""Corrected datasets over HTTP: ready at once, of the same files, and independent of the one they were made of."""

from __future__ import annotations

from pathlib import Path

import httpx

from autonl_core.datasets.manifest import read_manifest
from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import check_datasets, refusal, start
from tests.autonl_core.digit_archives import FEW_DIGITS_ZIP

ZIP = {"Content-Type": "application/zip"}


def add(client: httpx.Client, settings: Settings, name: str) -> dict[str, object]:
    content = FEW_DIGITS_ZIP.read_bytes()
    assert client.post(f"/datasets?name={name}", content=content, headers=ZIP).status_code in (201, 202)
    check_datasets(settings)
    found: dict[str, object] = client.get(f"/datasets/{name}").json()
    return found


def test_a_corrected_dataset_is_ready_at_once_and_outlives_its_source(
    client: httpx.Client, settings: Settings, stores: Stores
) -> None:
    before = add(client, settings, "photos")
    rows = read_manifest(*_manifest(stores, "photos")).rows
    (out, other) = [row[2] for row in rows if row[0] == "train" and row[1] == 3][:2]
    body = {"name": "better", "leave_out": [out], "relabel": {other: "5"}}
    made = client.post("/datasets/photos/corrections", json=body)
    assert (made.status_code, made.headers["Location"]) == (201, "/datasets/better")
    assert made.json()["state"] == "ready"
    assert made.json()["train_images"] == before["train_images"] - 1  # type: ignore[operator]
    assert made.json()["fingerprint"] != before["fingerprint"]
    assert client.post("/datasets/photos/corrections", json=body).status_code == 200

    again = add(client, settings, "again")  # the same archive: not what was made of it
    assert again["fingerprint"] == before["fingerprint"]
    assert client.delete("/datasets/photos").status_code == 204
    assert client.delete("/datasets/again").status_code == 204
    assert start(client, dataset="better")
    kept = {row[2]: row for row in read_manifest(*_manifest(stores, "better")).rows}
    assert out not in kept
    assert kept[other][1] == 5


def test_what_cannot_be_corrected_is_refused(client: httpx.Client, settings: Settings) -> None:
    refused = client.post("/datasets/digits/corrections", json={"name": "x", "leave_out": ["digit-0001"]})
    assert "built in" in refusal(refused, 422, "correction-invalid")["detail"]
    add(client, settings, "photos")
    unknown = client.post("/datasets/photos/corrections", json={"name": "x", "leave_out": ["nowhere.png"]})
    assert refusal(unknown, 422, "correction-invalid")["detail"] == "not used by this dataset: 'nowhere.png'"
    assert client.get("/datasets/x").status_code == 404


def test_the_name_of_another_dataset_is_not_taken(client: httpx.Client, settings: Settings, stores: Stores) -> None:
    add(client, settings, "photos")
    image = read_manifest(*_manifest(stores, "photos")).rows[0][2]
    taken = client.post("/datasets/photos/corrections", json={"name": "photos", "leave_out": [image]})
    refusal(taken, 409, "dataset-exists")
    assert client.post("/datasets/photos/corrections", json={"name": "better", "leave_out": [image]}).status_code == 201
    upload = client.post("/datasets?name=better", content=FEW_DIGITS_ZIP.read_bytes(), headers=ZIP)
    assert "corrected" in refusal(upload, 409, "dataset-exists")["detail"]


def _manifest(stores: Stores, name: str) -> tuple[Path, str]:
    spec = stores.datasets.get(name).spec
    return Path(spec.manifest), spec.fingerprint
