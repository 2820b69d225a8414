"""`autonl device measure`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from autonl_core.spec.device_table import DeviceTable
from cli.main import app


def measure(out: Path, *options: str) -> tuple[int, str, str]:
    asked = ["device", "measure", "--rounds", "3", "--out", str(out), *options]
    result = CliRunner().invoke(app, asked)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--space", "nowhere", "--resolution", "8"), "search space 'nowhere' is unknown"),
        (("--space", "tiny", "--resolution", "32"), "'tiny' does not serve 32 pixels"),
    ],
)
def test_a_space_that_cannot_be_measured_is_refused(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    code, _, error = measure(tmp_path / "table.json", *options)
    assert code == 2
    assert said in " ".join(error.split())
    assert not (tmp_path / "table.json").exists()


@pytest.mark.long
def test_the_table_is_written_and_its_errors_are_said(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    code, out, error = measure(file, "--space", "tiny", "--resolution", "8")
    assert code == 0
    assert "models, 3 rounds: about" in error
    table = DeviceTable.read(file)
    assert f"{len(table.blocks_ns)} blocks of tiny at 8 pixels" in out
    assert "for 5 networks unknown to the calibration" in out
    code, out, error = measure(file, "--space", "tiny", "--resolution", "8", "--json")
    assert (code, error) == (0, "")
    assert json.loads(out)["sha256"] == DeviceTable.read(file).sha256
