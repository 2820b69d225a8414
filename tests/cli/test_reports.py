"""`autonl report`: the report file, or the reason why there is none."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from store.stores import Stores
from tests.api.http_service import run_to_success, start
from tests.cli.test_commands import autonl

HTML = "<!doctype html><title>отчёт</title>"


def test_a_report_is_downloaded_in_either_format(
    service: httpx.Client, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    search_id = start(service)
    early = autonl("report", search_id)
    assert (early.exit_code, list(tmp_path.glob("autonl-*"))) == (2, [])
    assert "its report will be available once it has succeeded" in early.stderr
    run_to_success(stores, tmp_path, report=HTML)
    fetched = autonl("report", search_id)
    assert (fetched.exit_code, f"autonl-digits-{search_id}-report.html" in fetched.stdout) == (0, True)
    assert (tmp_path / f"autonl-digits-{search_id}-report.html").read_text(encoding="utf-8") == HTML
    assert autonl("report", search_id, "--format", "md", "-o", "notes.md").exit_code == 0
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == f"# {HTML}"


def test_a_search_can_request_baselines(service: httpx.Client) -> None:
    started = autonl(
        "search", "-d", "digits", "-b", "400k", "--baseline", "mobilenet_v2", "--baseline", "fbnet_c", "--json"
    )
    assert started.exit_code == 0
    (search,) = service.get("/searches").json()["searches"]
    config = service.get(f"/searches/{search['id']}").json()["config"]
    assert config["baselines"] == ["mobilenet_v2", "fbnet_c"]


def test_a_search_can_be_limited_in_more_than_macs(service: httpx.Client) -> None:
    given = (
        "search",
        "-d",
        "digits",
        "-b",
        "400k",
        "--constraint",
        "params:30k",
        "--constraint",
        "weights_bytes:110000",
    )
    assert autonl(*given).exit_code == 0
    (search,) = service.get("/searches").json()["searches"]
    constraints = service.get(f"/searches/{search['id']}").json()["config"]["constraints"]
    assert constraints == {"params": 30_000, "weights_bytes": 110_000, "peak_activation_bytes": None}
    unreadable = autonl("search", "-d", "digits", "-b", "400k", "--constraint", "params=2M")
    assert (unreadable.exit_code, "write a constraint as NAME:AMOUNT" in unreadable.stderr) == (2, True)
