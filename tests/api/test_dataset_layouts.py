"""An ambiguous dataset lists its readings; the user chooses one, with the upload or after it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

import httpx
import pytest
from PIL import Image

from store.settings import Settings
from tests.api.http_service import check_datasets, refusal


def archive(folders: Iterable[str], count: int = 6) -> bytes:
    """A zip of pictures that all differ."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for place, folder in enumerate(folders):
            for number in range(count):
                picture = io.BytesIO()
                colour = (40 * place % 256, 40 * number, 90 * (place // 6))
                Image.linear_gradient("L").rotate(90 * (number % 4)).resize((16, 16)).convert("RGB").point(
                    lambda value, colour=colour: (value + sum(colour)) % 256
                ).save(picture, "PNG")
                packed.writestr(f"{folder}/{number}.png", picture.getvalue())
    return buffer.getvalue()


VARIANTS = [f"{variant}/{name}" for variant in ("color", "grey") for name in ("ash", "elm")]


def upload(client: httpx.Client, name: str, content: bytes, **options: str) -> httpx.Response:
    return client.post(
        "/datasets", params={"name": name, **options}, content=content, headers={"Content-Type": "application/zip"}
    )


def test_the_readings_are_listed_and_one_is_chosen_without_another_upload(
    client: httpx.Client, settings: Settings
) -> None:
    assert upload(client, "trees", archive(VARIANTS)).status_code == 202
    check_datasets(settings)
    dataset = client.get("/datasets/trees").json()
    assert (dataset["state"], dataset["layout"]) == ("invalid", "auto")
    assert dataset["report"]["problems"][0]["code"] == "layout_ambiguous"
    first, second, *others = dataset["report"]["readings"]
    assert first["layout"] == "*/CLASS"
    assert first["classes"] == [{"name": "ash", "images": 12}, {"name": "elm", "images": 12}]
    assert [entry["name"] for entry in second["classes"]] == ["color", "grey"]
    assert [reading["layout"] for reading in others] == ["CLASS/CLASS", "color/CLASS", "grey/CLASS"]
    again = client.put("/datasets/trees/reading", json={"layout": "color/CLASS"})
    assert (again.status_code, again.json()["state"]) == (202, "checking")
    check_datasets(settings)
    dataset = client.get("/datasets/trees").json()
    assert (dataset["state"], dataset["classes"], dataset["layout"]) == ("ready", ["ash", "elm"], "color/CLASS")
    assert dataset["train_images"] + dataset["test_images"] == 12
    codes = {problem["code"] for problem in dataset["report"]["problems"]}
    assert {"layout_chosen", "outside_class_folders"} <= codes
    assert client.put("/datasets/trees/reading", json={"layout": "color/CLASS"}).status_code == 200
    problem = refusal(client.put("/datasets/trees/reading", json={"layout": "CLASS"}), 409, "dataset-exists")
    assert "layout=color/CLASS" in problem["detail"]
    assert "choose another name" in problem["detail"]


def test_content_that_was_checked_before_is_ready_only_if_it_is_read_alike(
    client: httpx.Client, settings: Settings
) -> None:
    content = archive(VARIANTS)
    assert upload(client, "one", content, layout="*/CLASS").status_code == 202
    check_datasets(settings)
    assert upload(client, "two", content, layout="*/CLASS").json()["classes"] == ["ash", "elm"]
    other = upload(client, "three", content, layout="CLASS", duplicates="keep")
    assert (other.status_code, other.json()["state"], other.json()["duplicates"]) == (202, "checking", "keep")
    check_datasets(settings)
    assert client.get("/datasets/three").json()["classes"] == ["color", "grey"]
    assert client.get("/datasets/one").json()["classes"] == ["ash", "elm"]


@pytest.mark.parametrize("layout", ["nonsense", "SPLIT", "CLASS//x", "x" * 1001, ""])
def test_what_is_no_layout_is_refused_before_anything_is_stored(client: httpx.Client, layout: str) -> None:
    for response in (
        upload(client, "trees", archive(VARIANTS), layout=layout),
        client.put("/datasets/trees/reading", json={"layout": layout}),
    ):
        problem = refusal(response, 422, "invalid-request")
        assert "layout" in str(problem["errors"])
    assert client.get("/datasets/trees").status_code == 404


def test_a_class_without_images_is_an_error_that_names_it(client: httpx.Client, settings: Settings) -> None:
    buffer = io.BytesIO(archive(["bolt", "nut"]))
    with zipfile.ZipFile(buffer, "a") as packed:
        packed.mkdir("washer")
    upload(client, "parts", buffer.getvalue())
    check_datasets(settings)
    dataset = client.get("/datasets/parts").json()
    first = dataset["report"]["problems"][0]
    assert (dataset["state"], first["code"], first["files"]) == ("invalid", "empty_classes", ["washer (empty)"])


def test_duplicates_are_left_out_of_training_unless_they_are_to_be_kept(
    client: httpx.Client, settings: Settings
) -> None:
    buffer = io.BytesIO(archive(["train/ash", "train/elm", "test/ash", "test/elm"]))
    with zipfile.ZipFile(buffer, "a") as packed:
        packed.writestr("train/ash/copy.png", packed.read("test/ash/0.png"))
    counts = {}
    for duplicates in ("leave-out", "keep"):
        upload(client, duplicates, buffer.getvalue(), duplicates=duplicates)
        check_datasets(settings)
        dataset = client.get(f"/datasets/{duplicates}").json()
        assert (dataset["state"], dataset["duplicates"]) == ("ready", duplicates)
        code = "duplicates_kept" if duplicates == "keep" else "duplicates_across_splits"
        assert code in {problem["code"] for problem in dataset["report"]["problems"]}
        counts[duplicates] = dataset["train_images"]
    assert counts["keep"] == counts["leave-out"] + 1
