"""Our modules run, whatever lies in the folder that a program is started in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autonl_core.host.interpreter import module_command
from worker.process import DATASET_CHECK_COMMAND, SEARCH_COMMAND, WEIGHT_CHECK_COMMAND

ROOT = Path(__file__).parents[3]
OURS = ("api", "autonl_core", "cli", "store", "worker")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Packages named as ours and as a library, each of which leaves a file when imported."""
    for name in (*OURS, "pydantic"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\n")
    return tmp_path


def run(command: tuple[str, ...], folder: Path) -> str:
    """What it prints, started in `folder` without a job."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def test_without_it_what_lies_there_would_run(folder: Path) -> None:
    run((sys.executable, "-m", "store.states"), folder)
    assert (folder / "ran").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    "command", [SEARCH_COMMAND, DATASET_CHECK_COMMAND, WEIGHT_CHECK_COMMAND, module_command("store.states")]
)
def test_what_runs_is_ours(folder: Path, command: tuple[str, ...]) -> None:
    assert "No module named" not in run(command, folder)
    assert not (folder / "ran").exists()


def test_no_module_is_started_in_another_way() -> None:
    sources = [path for name in OURS for path in (ROOT / name).rglob("*.py")]
    assert [path.name for path in sources if '"-m"' in path.read_text()] == ["interpreter.py"]
    started = [line for line in (ROOT / "docker-compose.yml").read_text().splitlines() if "[python" in line]
    assert len(started) >= 5
    assert all("[python, -P, -m, " in line for line in started)
