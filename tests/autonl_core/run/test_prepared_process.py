"""A process that is started ahead: others work meanwhile, a stop ends it, and nothing of it is left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autonl_core.run.prepared_process import PreparedProcess
from tests.servers import wait_for
from tests.worker.scripted_supervisor import is_gone

PROGRAM = """
import json, runpy, sys
line = sys.stdin.readline()
if line:
    sys.argv = json.loads(line)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def prepared() -> Iterator[PreparedProcess]:
    """It runs the script that its request names."""
    process = PreparedProcess([sys.executable, "-c", PROGRAM])
    yield process
    process.end()


def pid_of(process: PreparedProcess) -> int:
    assert process.pid is not None
    return process.pid


def nothing() -> None: ...


def test_work_goes_on_meanwhile(prepared: PreparedProcess, tmp_path: Path) -> None:
    """The script waits for a file that is written meanwhile."""
    (tmp_path / "script.py").write_text(
        "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)\nprint('seen')\n"
    )
    signal = tmp_path / "signal"
    done = prepared.serve([str(tmp_path / "script.py"), str(signal)], meanwhile=signal.touch, still_wanted=nothing)
    assert done.stdout == "seen\n"


def test_what_the_script_says_of_an_error_is_returned(prepared: PreparedProcess, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("raise ValueError('no such file')")
    done = prepared.serve([str(tmp_path / "script.py")], meanwhile=nothing, still_wanted=nothing)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: no such file")


def test_a_stop_ends_it(prepared: PreparedProcess, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import time; time.sleep(1000)")
    prepared.start()
    pid = pid_of(prepared)

    def stop() -> None:
        raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        prepared.serve([str(tmp_path / "script.py")], meanwhile=nothing, still_wanted=stop)
    assert time.monotonic() - began < 30
    wait_for(lambda: is_gone(pid), "the process is gone")


def test_one_that_was_not_needed_leaves_nothing(prepared: PreparedProcess) -> None:
    prepared.start()
    pid = pid_of(prepared)
    prepared.start()
    assert pid_of(prepared) == pid  # one process is enough
    prepared.end()
    prepared.end()
    assert is_gone(pid)
