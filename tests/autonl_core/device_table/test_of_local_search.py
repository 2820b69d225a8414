"""Which device table a search without a service goes by."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from autonl_core.__main__ import main
from autonl_core.datasets.scan import find_dataset
from autonl_core.device_table.of_local_search import DEVICE_TABLE_NAME, on_device
from autonl_core.errors import DeviceTableError
from autonl_core.spec.config import SearchConfig
from autonl_core.spec.device_table import DeviceTable
from tests.autonl_core.device_tables import made_up_table

CONFIG = "{dataset: digits, flops_budget: 400k, init: none, constraints: {latency_ms: %s}}"


def search(folder: Path, latency_ms: float, *options: str) -> int:
    (folder / "search.yaml").write_text(CONFIG % latency_ms)
    return main(["search", "--config", str(folder / "search.yaml"), "--out", str(folder / "out"), *options])


def table_file(folder: Path, scale: float) -> str:
    file = folder / f"{scale}.json"
    file.write_text(made_up_table("tiny", 8, scale).to_text())
    return str(file)


@pytest.mark.long
def test_without_one_this_machine_is_measured_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert search(tmp_path, 0.001) == 2
    written = capfd.readouterr()
    assert "measuring this machine for tiny at 8 pixels" in written.out
    assert "by the device table of the fastest network of 'tiny'" in written.err
    table = DeviceTable.read(tmp_path / "out" / DEVICE_TABLE_NAME)
    assert search(tmp_path, 0.001) == 2
    assert "measuring" not in capfd.readouterr().out
    assert DeviceTable.read(tmp_path / "out" / DEVICE_TABLE_NAME) == table


def test_ranks_of_another_launcher_are_told_the_command_that_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    asked = SearchConfig.model_validate(yaml.safe_load(CONFIG % 0.2))
    with pytest.raises(DeviceTableError, match="autonl device measure --space tiny --resolution 8"):
        on_device(asked, find_dataset("digits"), None, tmp_path)


def test_a_kept_one_of_the_usual_space_leaves_the_search_as_it_is_without_a_limit(tmp_path: Path) -> None:
    """So that photos start from pretrained weights with a limit, too."""
    asked = SearchConfig.model_validate(yaml.safe_load(CONFIG % 0.2)).model_copy(update={"init": "auto"})
    (tmp_path / DEVICE_TABLE_NAME).write_text(made_up_table("tiny", 8).to_text())
    found = on_device(asked, find_dataset("digits"), None, tmp_path)
    assert (found.search_space, found.resolution, found.init) == ("tiny", 8, "none")
    assert found.constraints.table == made_up_table("tiny", 8)


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
