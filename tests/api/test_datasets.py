"""Datasets: the built-in one, which paths are accepted, the check and its report, and what refusals say."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import httpx
import pytest
from PIL import Image

from autonl_core.datasets.sources import expected_sources
from autonl_core.spec.space_families import SPACES
from store.settings import Settings
from tests.api.http_service import SEARCH, check_datasets, refusal, serving, start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of two classes with five images each, inside the folder that the service may read."""
    root = tmp_path / "pictures" / "shapes"
    for shade, name in ((0, "dark"), (100, "light")):
        (root / name).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (12, 10), shade + 20 * number).save(root / name / f"{number}.png")
    return root


def zipped(folder: Path) -> Path:
    packed = folder.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, file.relative_to(folder))
    return packed


def test_digits_are_always_there(client: httpx.Client) -> None:
    (digits,) = client.get("/datasets").json()["datasets"]
    assert (digits["name"], digits["train_images"], digits["test_images"]) == ("digits", 1438, 359)
    assert (digits["state"], digits["report"]) == ("ready", None)
    assert client.get("/datasets/digits").json() == digits


def test_a_folder_and_a_zip_are_registered_checked_and_can_be_searched_on(
    client: httpx.Client, settings: Settings, folder: Path
) -> None:
    for name, path in (("shapes", folder), ("packed", zipped(folder))):
        body = {"name": name, "path": str(path)}
        added = client.post("/datasets", json=body)
        assert added.status_code == 202, added.text
        assert (added.headers["Location"], added.headers["Retry-After"]) == (f"/datasets/{name}", "1")
        assert (added.json()["state"], added.json()["classes"], added.json()["report"]) == ("checking", None, None)
        assert client.get(f"/datasets/{name}").headers["Retry-After"] == "1"
        check_datasets(settings)
        again = client.post("/datasets", json=body)
        assert again.status_code == 200
        dataset = again.json()
        assert client.get(f"/datasets/{name}").json() == dataset
        assert "Retry-After" not in client.get(f"/datasets/{name}").headers
        assert (dataset["state"], dataset["classes"]) == ("ready", ["dark", "light"])
        assert (dataset["image_size"], dataset["default_resolution"]) == (12, 12)
        assert dataset["report"]["classes"] == [{"name": c, "train": 4, "test": 1} for c in ("dark", "light")]
        assert [problem["code"] for problem in dataset["report"]["problems"]] == ["few_images", "test_split_drawn"]
    listed = client.get("/datasets").json()["datasets"]
    assert [(d["name"], d["report"]) for d in listed] == [("digits", None), ("packed", None), ("shapes", None)]
    answer = client.post("/searches?validate_only=true", json=SEARCH | {"dataset": "shapes", "flops_budget": "900k"})
    assert (answer.status_code, answer.json()["resolution"]) == (200, 12)


def test_a_search_on_what_is_not_ready_is_refused_with_the_way_out(
    client: httpx.Client, settings: Settings, folder: Path
) -> None:
    client.post("/datasets", json={"name": "shapes", "path": str(folder / "dark")})
    for state, way_out in (
        ("checking", "wait until GET /datasets/shapes"),
        ("invalid", "reports what is wrong with it"),
    ):
        problem = refusal(client.post("/searches", json=SEARCH | {"dataset": "shapes"}), 422, "invalid-request")
        (field,) = problem["errors"]
        assert (field["pointer"], field["code"]) == ("/dataset", "dataset_not_ready")
        assert f"is {state}: " in field["detail"]
        assert way_out in field["detail"]
        check_datasets(settings)


def test_what_cannot_be_used_is_invalid_and_its_report_says_why(
    client: httpx.Client, settings: Settings, folder: Path
) -> None:
    for file in (folder / "light").iterdir():
        file.write_bytes(b"no image")
    client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    check_datasets(settings)
    dataset = client.get("/datasets/shapes").json()
    assert (dataset["state"], dataset["train_images"]) == ("invalid", None)
    first, second, *_ = dataset["report"]["problems"]
    assert (first["severity"], first["code"], first["count"]) == ("error", "class_too_small", 1)
    assert first["files"] == ["light (0 training, 0 test, 5 left out)"]
    assert (second["severity"], second["code"], second["count"]) == ("warning", "unreadable_images", 5)
    # Once repaired, it is added again under the same name.
    for number, file in enumerate(sorted((folder / "light").iterdir())):
        Image.new("L", (12, 10), 100 + 20 * number).save(file)
    assert client.post("/datasets", json={"name": "shapes", "path": str(folder)}).status_code == 202
    check_datasets(settings)
    assert client.get("/datasets/shapes").json()["state"] == "ready"


def test_a_changed_folder_is_checked_again_when_it_is_added_again(
    client: httpx.Client, settings: Settings, folder: Path
) -> None:
    body = {"name": "shapes", "path": str(folder)}
    client.post("/datasets", json=body)
    check_datasets(settings)
    assert client.post("/datasets", json=body).status_code == 200
    Image.new("L", (12, 10), 250).save(folder / "light" / "5.png")
    again = client.post("/datasets", json=body)
    assert (again.status_code, again.json()["state"]) == (202, "checking")
    check_datasets(settings)
    again = client.post("/datasets", json=body)
    assert (again.status_code, again.json()["state"], again.json()["report"]["images"]) == (200, "ready", 11)


def test_a_path_that_no_disk_can_have_is_refused(client: httpx.Client, folder: Path) -> None:
    path = str(folder / ("a" * 300))
    problem = refusal(client.post("/datasets", json={"name": "x", "path": path}), 422, "dataset-invalid")
    assert "File name too long" in problem["detail"]


def test_a_name_stands_for_one_place(client: httpx.Client, folder: Path) -> None:
    client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    refusal(client.post("/datasets", json={"name": "shapes", "path": str(folder.parent)}), 409, "dataset-exists")
    refusal(client.post("/datasets", json={"name": "digits", "path": str(folder)}), 409, "dataset-exists")


def test_a_contact_sheet_shows_each_class(client: httpx.Client, settings: Settings, folder: Path) -> None:
    client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    refusal(client.get("/datasets/shapes/sheets/0"), 404, "not-found")
    check_datasets(settings)
    assert client.get("/datasets/shapes").json()["report"]["sheets"] == 2
    means = []
    for label in range(2):
        answer = client.get(f"/datasets/shapes/sheets/{label}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
        sheet = Image.open(io.BytesIO(answer.content))
        assert (sheet.width, sheet.height) == (8 * 66 - 2, 64)  # five images in a row of eight
        means.append(sheet.crop((0, 0, 5 * 66 - 2, 64)).convert("L").resize((1, 1)).tobytes()[0])
    assert means[0] < means[1]  # dark, light
    refusal(client.get("/datasets/shapes/sheets/2"), 404, "not-found")
    refusal(client.get("/datasets/digits/sheets/0"), 404, "not-found")


def test_a_dataset_is_deleted_unless_a_search_needs_it(client: httpx.Client, settings: Settings, folder: Path) -> None:
    client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    check_datasets(settings)
    search_id = start(client, dataset="shapes", flops_budget="900k")
    problem = refusal(client.delete("/datasets/shapes"), 409, "dataset-in-use")
    assert search_id in problem["detail"]
    client.post(f"/searches/{search_id}/cancel")
    assert client.delete("/datasets/shapes").status_code == 204
    refusal(client.get("/datasets/shapes"), 404, "not-found")
    refusal(client.delete("/datasets/shapes"), 404, "not-found")
    refusal(client.delete("/datasets/digits"), 409, "dataset-in-use")
    assert len(list(folder.rglob("*.png"))) == 10  # files outside the service are not deleted
    assert [path.name for path in settings.datasets_dir.iterdir()] == [".lock"]


def test_only_paths_inside_a_root_can_be_registered(client: httpx.Client, folder: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("name", ["missing", "no.zip", "pipe"])
def test_a_path_that_holds_no_dataset_is_refused_with_what_was_found(
    client: httpx.Client, folder: Path, name: str
) -> None:
    path = folder.parent / name
    if name == "no.zip":
        path.write_bytes(b"no archive")
    elif name == "pipe":
        os.mkfifo(path)
    problem = refusal(client.post("/datasets", json={"name": "x", "path": str(path)}), 422, "dataset-invalid")
    assert f"no dataset at {path}: expected {expected_sources()}" in problem["detail"]


def test_without_a_root_no_path_is_accepted_and_the_refusal_names_the_setting(settings: Settings, folder: Path) -> None:
    with serving(settings.model_copy(update={"dataset_roots": ()})) as client:
        refused = client.post("/datasets", json={"name": "shapes", "path": str(folder)})
    assert refused.status_code == 422
    assert "AUTONL_DATASET_ROOTS" in refused.json()["detail"]


def test_search_spaces_report_the_macs_they_can_reach(client: httpx.Client) -> None:
    spaces = client.get("/search-spaces").json()["search_spaces"]
    assert {"tiny", "mobile-32", "mobile-224"} <= {space["name"] for space in spaces} == set(SPACES.names())
    assert all(space["macs_range"] is None for space in spaces)
    for space in spaces:
        pixels = space["min_resolution"]
        asked = {"resolution": pixels, "num_classes": 10}
        answer = client.get("/search-spaces", params=asked).json()["search_spaces"]
        reached = [found["name"] for found in answer if found["macs_range"]]
        assert space["name"] in reached
        assert reached == [one["name"] for one in spaces if one["min_resolution"] <= pixels <= one["max_resolution"]]
