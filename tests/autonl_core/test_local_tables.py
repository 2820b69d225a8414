"""Which device table a search without a service goes by."""

from __future__ import annotations

from pathlib import Path

import pytest

from autonl_core.__main__ import main
from autonl_core.local import DEVICE_TABLE_NAME
from tests.autonl_core.device_tables import made_up_table

CONFIG = "{dataset: digits, flops_budget: 400k, init: none, constraints: {latency_ms: %s}}"


def search(folder: Path, latency_ms: float, *options: str) -> int:
    (folder / "search.yaml").write_text(CONFIG % latency_ms)
    return main(["search", "--config", str(folder / "search.yaml"), "--out", str(folder / "out"), *options])


def table_file(folder: Path, scale: float) -> str:
    file = folder / f"{scale}.json"
    file.write_text(made_up_table("tiny", 8, scale).to_text())
    return str(file)


def test_without_one_the_command_that_makes_it_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert search(tmp_path, 0.2) == 2
    assert "autonl device measure --space tiny --resolution 8" in capfd.readouterr().err


def test_one_that_is_given_is_kept_for_the_next_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    too_fast = 0.001
    for options in (("--device-table", table_file(tmp_path, 1.25)), ()):
        assert search(tmp_path, too_fast, *options) == 2
        assert "of the fastest network of 'tiny' at 8 pixels" in capfd.readouterr().err
    assert (tmp_path / "out" / DEVICE_TABLE_NAME).read_text() == made_up_table("tiny", 8, 1.25).to_text()


def test_a_search_that_has_begun_keeps_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, 0.001, "--device-table", table_file(tmp_path, 1.25))
    (tmp_path / "out" / "states.json").write_text("[]")
    assert search(tmp_path, 0.2, "--device-table", table_file(tmp_path, 1.3)) == 2
    assert "has a search with another device table; leave --device-table out" in capfd.readouterr().err
    assert (tmp_path / "out" / DEVICE_TABLE_NAME).read_text() == made_up_table("tiny", 8, 1.25).to_text()
