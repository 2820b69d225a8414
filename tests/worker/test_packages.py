"""An installation without the extra `worker`: nothing that needs it starts, and each says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from autonl_core.host.packages import missing_packages

REPOSITORY = Path(__file__).parents[2]
LEFT_OUT = ("numba", "torch")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All installed packages, except two that only searches need."""
    folder = tmp_path_factory.mktemp("installed")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0].partition(".")[0] not in LEFT_OUT:
            (folder / entry.name).symlink_to(entry)
    return folder


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["worker"], 1),
        (["worker.checker"], 1),
        (["cli.main", "up", "--port", "0"], 2),
        (["autonl_core", "search", "--config", "search.yaml", "--out", "out"], 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_computes_does_not_start_without_its_packages(
    installed: Path, tmp_path: Path, command: list[str], code: int
) -> None:
    environment = dict(os.environ) | {
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{installed}",
        "AUTONL_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-S", "-m", *command],  # -S: without the packages of the environment
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "numba, torch; install the extra `worker`: pip install 'autonl[worker]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_nothing_is_missing_here() -> None:
    assert missing_packages() == []
