"""A dataset whose images cost far more time than their size says: its check ends at a limit, and the user reads why."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import SEARCH, check_datasets
from tests.autonl_core.photo_like_images import encoded, packed, photo
from worker import check_process, confined_process
from worker.check_progress import ProgressWriter
from worker.own_time import OwnTime

IMAGES = 846
HOUR_S = 3600.0


def archive(folder: Path) -> bytes:
    pictures = [encoded(photo(number, 16)) for number in range(IMAGES)]
    files = {f"{'ab'[number % 2]}/{number}.png": picture for number, picture in enumerate(pictures)}
    return packed(folder / "many.zip", files).read_bytes()


def check_for_an_hour(stores: Stores, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check what is pending, in a confined process; an hour passes once it has begun to open images."""
    passed_s = 0.0

    class Clock(OwnTime):
        def read(self) -> float:
            return super().read() + passed_s

    class Writer(ProgressWriter):
        def __call__(self, fraction: float) -> None:
            nonlocal passed_s
            passed_s = HOUR_S
            super().__call__(fraction)

    lease = stores.checks.claim("checker")
    assert lease is not None
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(confined_process, "OwnTime", Clock)
        patched.setattr(check_process, "ProgressWriter", Writer)
        check_process.check(stores, lease, folder)


@pytest.mark.timeout(300)
def test_it_is_refused_at_its_limit_and_can_be_checked_again(
    client: httpx.Client, stores: Stores, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive(tmp_path)
    assert client.post("/datasets", params={"name": "big"}, content=content).status_code == 202
    check_for_an_hour(stores, tmp_path / "work", monkeypatch)

    dataset = client.get("/datasets/big").json()
    assert (dataset["state"], dataset["progress"]) == ("invalid", None)
    (problem,) = dataset["report"]["problems"]
    assert (problem["severity"], problem["code"]) == ("error", "check_took_too_long")
    # 300 s, 0.1 s for each image, 1 s for each megabyte: 384.6 s and less than one for a fraction of a megabyte.
    assert problem["detail"].startswith("the check took more than 385 s, the limit for 846 images of ")
    assert "Save them again with another program, or have the limit raised: AUTONL_CHECK_TIME_S" in problem["detail"]
    refused = client.post("/searches", json=SEARCH | {"dataset": "big"})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/dataset", "dataset_not_ready")
    assert "GET /datasets/big reports what is wrong with it" in error["detail"]

    client.delete("/datasets/big").raise_for_status()
    assert client.post("/datasets", params={"name": "big"}, content=content).status_code == 202
    check_datasets(settings)
    assert client.get("/datasets/big").json()["state"] == "ready"
