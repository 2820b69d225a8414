"""What users of the client do with datasets and weight sets, on a running API, by both clients."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import httpx
import pytest
from PIL import Image

from autonl import (
    PackingFailed,
    Refused,
    input_operations,
)
from store.settings import Settings
from tests.api.http_service import check_datasets
from tests.autonl.conftest import Caller


def class_folders(root: Path, images_each: int = 30, size: int = 8) -> Path:
    """A dataset of two classes of noise."""
    noise = random.Random(1)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(images_each):
            Image.frombytes("RGB", (size, size), noise.randbytes(3 * size * size)).save(root / label / f"{number}.png")
    return root


def test_a_folder_is_uploaded_checked_and_deleted(
    caller: Caller, service: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    url, folder = str(service.base_url), class_folders(tmp_path / "pets")
    (folder / "cat" / "broken.png").write_bytes(b"no image")
    sent: list[tuple[int, int]] = []
    uploaded = caller.run(
        url, input_operations.upload_dataset("pets", folder, on_progress=lambda done, total: sent.append((done, total)))
    )
    assert (uploaded.state, sent[-1][0]) == ("checking", sent[-1][1])
    checking = threading.Timer(0.3, check_datasets, (settings,))
    checking.start()
    checked = caller.run(url, input_operations.wait_for_dataset("pets", timeout_s=60))
    checking.join()
    assert (checked.state, checked.classes) == ("ready", ("cat", "dog"))
    assert [finding.files for finding in checked.findings if finding.count == 1] == [("cat/broken.png",)]
    assert "pets" in [one.name for one in caller.run(url, input_operations.datasets())]
    caller.run(url, input_operations.delete_dataset("pets"))
    with pytest.raises(Refused, match="no dataset"):
        caller.run(url, input_operations.dataset("pets"))


def test_what_cannot_be_packed_is_named(caller: Caller, service: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(PackingFailed, match="contains no files"):
        caller.run(str(service.base_url), input_operations.upload_dataset("empty", tmp_path / "nothing"))


def test_weights_are_listed_and_those_that_are_none_are_refused_with_the_reason(
    caller: Caller, service: httpx.Client, tmp_path: Path
) -> None:
    url = str(service.base_url)
    built_in = caller.run(url, input_operations.list_weights())
    assert {one.origin for one in built_in} == {"built-in"}
    assert caller.run(url, input_operations.weights(built_in[0].name)).sha256 == built_in[0].sha256
    (tmp_path / "empty").touch()
    with pytest.raises(Refused, match="empty"):
        caller.run(url, input_operations.upload_weights("mine", tmp_path / "empty"))
