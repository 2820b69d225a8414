"""The example of docs/client.md, as it stands there, does what it says."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path

import httpx
import pytest

from store.settings import Settings
from store.stores import Stores
from tests.api.http_service import check_datasets, run_to_success
from tests.autonl.test_input_operations import class_folders
from tests.cli.test_up import up
from tests.servers import wait_for

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
(EXAMPLE, *_) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
ONNX = bytes(range(256)) * 90


def test_it_has_at_most_ten_lines() -> None:
    assert len([line for line in EXAMPLE.splitlines() if line]) <= 10


def test_it_uploads_a_folder_searches_and_downloads(
    service: httpx.Client,
    settings: Settings,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Checker and worker are this process, and the worker finds its result without searching."""
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "flowers", size=64)

    def work() -> None:
        wait_for(lambda: service.get("/datasets/flowers").status_code == 200, "the dataset is uploaded")
        check_datasets(settings)
        wait_for(lambda: service.get("/searches").json()["searches"], "the search is started")
        run_to_success(stores, tmp_path / "data", onnx=ONNX)

    working = threading.Thread(target=work)
    working.start()
    run_example(EXAMPLE)
    working.join()
    assert hashlib.sha256((tmp_path / "flowers.onnx").read_bytes()).digest() == hashlib.sha256(ONNX).digest()
    printed = capsys.readouterr().out
    for said in ("succeeded", "verified by its SHA-256", "98.0", "CPU seconds used"):
        assert said in printed


@pytest.mark.long
@pytest.mark.timeout(600)
def test_it_does_so_on_a_whole_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With images and a search that take less time than those of the page."""
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "flowers", images_each=40)
    quick = '"400k", init="none", supernet={"epochs": 1}, train={"epochs": 1}'
    with up(tmp_path / "service") as running:
        monkeypatch.setenv("AUTONL_URL", str(running.client.base_url))
        run_example(EXAMPLE.replace('"40M"', quick))
    assert (tmp_path / "flowers.onnx").stat().st_size > 1000
    assert "% of test images correct" in capsys.readouterr().out


def run_example(code: str) -> None:
    exec(compile(code, str(PAGE), "exec"), {})  # noqa: S102  (our own page)
