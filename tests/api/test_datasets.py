"""Data sets: what is built in, what a path may be, and what a refusal tells."""

from __future__ import annotations

import zipfile
from pathlib import Path

import httpx
import pytest
from PIL import Image

from store.settings import Settings
from tests.api.served import SEARCH, serving


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of two classes with five images each, below the folder that the service may read."""
    root = tmp_path / "pictures" / "shapes"
    for shade, name in ((0, "dark"), (255, "light")):
        (root / name).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (12, 10), shade).save(root / name / f"{number}.png")
    return root


def test_digits_are_always_there(client: httpx.Client) -> None:
    (digits,) = client.get("/datasets").json()["datasets"]
    assert (digits["name"], digits["train_images"], digits["test_images"]) == ("digits", 1438, 359)
    assert client.get("/datasets/digits").json() == digits


def test_a_folder_and_a_zip_are_registered_and_can_be_searched_on(client: httpx.Client, folder: Path) -> None:
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    for name, path in (("shapes", folder), ("packed", packed)):
        added = client.post("/datasets", json={"name": name, "path": str(path)})
        assert added.status_code == 201, added.text
        assert added.headers["Location"] == f"/datasets/{name}"
        dataset = added.json()
        assert (dataset["classes"], dataset["image_size"], dataset["default_resolution"]) == (["dark", "light"], 12, 12)
        assert client.post("/datasets", json={"name": name, "path": str(path)}).status_code == 201
    assert [d["name"] for d in client.get("/datasets").json()["datasets"]] == ["digits", "packed", "shapes"]
    answer = client.post("/searches?validate_only=true", json=SEARCH | {"dataset": "shapes", "flops_budget": "900k"})
    assert (answer.status_code, answer.json()["resolution"]) == (200, 12)


def test_a_name_stands_for_one_content(client: httpx.Client, folder: Path) -> None:
    client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    (folder / "dark" / "0.png").write_bytes((folder / "light" / "0.png").read_bytes() + b"more")
    changed = client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    assert (changed.status_code, changed.json()["type"]) == (409, "/problems/dataset-exists")
    builtin = client.post("/datasets", json={"name": "digits", "path": str(folder)})
    assert builtin.status_code == 409


def test_only_what_lies_below_a_root_can_be_registered(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secrets"
    outside.mkdir()
    (folder.parent / "link").symlink_to(outside)
    loop = folder.parent / "loop"
    loop.symlink_to(loop)
    paths = [
        outside,
        folder.parent / ".." / "secrets",
        folder.parent / "link",
        "relative/path",
        f"{folder}\x00",
        "/" * 4096,
    ]
    for path in [*map(str, paths), str(loop)]:
        refused = client.post("/datasets", json={"name": "x", "path": path})
        assert refused.status_code == 422, path
        assert refused.json()["errors"][0]["pointer"] == "/path"
    assert [d["name"] for d in client.get("/datasets").json()["datasets"]] == ["digits"]


@pytest.mark.parametrize("name", ["missing", "empty", "one-class", "no.zip"])
def test_what_is_no_data_set_is_refused_with_what_was_found(client: httpx.Client, folder: Path, name: str) -> None:
    path = folder.parent / name
    if name == "empty":
        path.mkdir()
    elif name == "one-class":
        (folder / "dark").rename(path)
    elif name == "no.zip":
        path.write_bytes(b"no archive")
    refused = client.post("/datasets", json={"name": "x", "path": str(path)})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/dataset-invalid")
    assert str(path) in refused.json()["detail"]


def test_without_a_root_no_path_is_accepted_and_the_way_out_is_told(settings: Settings, folder: Path) -> None:
    with serving(settings.model_copy(update={"dataset_roots": ()})) as client:
        refused = client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    assert refused.status_code == 422
    assert "AUTONL_DATASET_ROOTS" in refused.json()["detail"]


def test_search_spaces_tell_what_they_can_reach(client: httpx.Client) -> None:
    spaces = client.get("/search-spaces").json()["search_spaces"]
    assert {space["name"] for space in spaces} == {"tiny", "mobile-32", "mobile-224"}
    assert all(space["macs_range"] is None for space in spaces)
    for space in spaces:
        asked = {"resolution": space["min_resolution"], "num_classes": 10}
        answer = client.get("/search-spaces", params=asked).json()["search_spaces"]
        served = [found["name"] for found in answer if found["macs_range"]]
        assert served == [space["name"]]
