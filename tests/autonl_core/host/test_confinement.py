"""Confined processes: what one may not do it cannot do, nor can what it starts. On the kernel that runs the tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from autonl_core.host.confined import confined_command, missing_confinement
from autonl_core.host.confinement import FileAccess
from autonl_core.host.environment import confined_environment

ALLOWED = ["read the shown file", "write where it may", "find its libraries"]
ROOT = Path(__file__).parents[3]


def managed(tmp_path: Path, command: tuple[str, ...], environment: dict[str, str]) -> list[str]:
    """What a hostile process manages to do."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        cases = {
            "port": listening.getsockname()[1],
            "hidden": str(tmp_path / "data/secret.db"),
            "shown": str(tmp_path / "data/images.zip"),
            "elsewhere": str(tmp_path / "other"),
            "writable": str(tmp_path / "data/work"),
        }
        done = subprocess.run(
            command, input=json.dumps(cases) + "\n", env=environment, capture_output=True, text=True, check=True
        )
    answer: list[str] = json.loads(done.stdout)
    return answer


@pytest.fixture(autouse=True)
def _service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a service, and an environment with its addresses."""
    (tmp_path / "data/work").mkdir(parents=True)
    for name in ("data/secret.db", "data/images.zip", "other"):
        (tmp_path / name).write_text("content")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@127.0.0.1/autonl")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_confined_process_manages_what_it_may_and_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    access = FileAccess(writable=[data / "work"], hidden=[data], shown=[data / "images.zip"])
    command = confined_command("tests.autonl_core.host.hostile_module", access)
    assert managed(tmp_path, command, confined_environment()) == ALLOWED
    assert (tmp_path / "other").read_text() == "content"


def test_without_confinement_the_same_process_manages_nearly_all(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    command = (sys.executable, "-m", "tests.autonl_core.host.hostile_module")
    found = managed(tmp_path, command, dict(os.environ))
    assert {"connect", "open a socket of files", "read a hidden file", "write elsewhere", "list the hidden folder"} <= {
        *found
    }
    assert {"find a service in the environment", "find a secret in the environment", "signal the parent"} <= {*found}


def test_this_host_offers_all_of_it() -> None:
    """Where it does not, a checker says in its log what is missing."""
    assert missing_confinement() == []


def test_the_environment_has_what_programs_need_and_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"PATH": "/bin", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONPATH": "/x", "TZ": "UTC"}
    others = ("BROKER_URL", "AUTONL_ARTIFACT_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "MYPATH")
    for name, value in {**needed, **dict.fromkeys(others, "secret")}.items():
        monkeypatch.setenv(name, value)
    environment = confined_environment()
    assert needed.items() <= environment.items()
    assert not set(others) & environment.keys()
