"""The process for verify.py: loaded ahead, free of this package, and gone afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autonl_core.bundle.clean_process import clean_process
from autonl_core.run.prepared_process import PreparedProcess
from tests.servers import wait_for
from tests.worker.scripted_supervisor import is_gone


@pytest.fixture
def clean() -> Iterator[PreparedProcess]:
    process = clean_process()
    yield process
    process.end()


def pid_of(clean: PreparedProcess) -> int:
    assert clean.pid is not None
    return clean.pid


def nothing() -> None: ...


def test_a_script_runs_as_if_python_had_started_it(clean: PreparedProcess, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys\n"
        "print(json.dumps([__name__, __file__, sys.argv, os.listdir(), sorted(sys.modules)]))\n"
        "sys.exit(1)\n"
    )
    clean.start()
    done = clean.serve([str(script), "--json"], meanwhile=nothing, still_wanted=nothing)
    name, file, arguments, folder, modules = json.loads(done.stdout)
    assert (name, file, arguments) == ("__main__", str(script), [str(script), "--json"])
    assert done.returncode == 1
    assert folder == []
    assert {"torch", "onnxruntime", "torch.export.pt2_archive"} <= set(modules)  # loaded by now
    assert not {name.partition(".")[0] for name in modules} & {"autonl_core", "safetensors"}


def test_what_the_script_says_of_an_error_is_returned(clean: PreparedProcess, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("raise ValueError('no such file')")
    done = clean.serve([str(tmp_path / "script.py")], meanwhile=nothing, still_wanted=nothing)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: no such file")


def test_work_goes_on_meanwhile(clean: PreparedProcess, tmp_path: Path) -> None:
    """The script waits for a file that is written meanwhile."""
    (tmp_path / "script.py").write_text(
        "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)\nprint('seen')\n"
    )
    signal = tmp_path / "signal"
    done = clean.serve([str(tmp_path / "script.py"), str(signal)], meanwhile=signal.touch, still_wanted=nothing)
    assert done.stdout == "seen\n"


def test_a_stop_ends_it(clean: PreparedProcess, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import time; time.sleep(1000)")
    clean.start()
    pid = pid_of(clean)

    def stop() -> None:
        raise InterruptedError

    began = time.monotonic()
    with pytest.raises(InterruptedError):
        clean.serve([str(tmp_path / "script.py")], meanwhile=nothing, still_wanted=stop)
    assert time.monotonic() - began < 30
    wait_for(lambda: is_gone(pid), "the process is gone")


def test_one_that_was_not_needed_leaves_nothing(clean: PreparedProcess) -> None:
    clean.start()
    pid = pid_of(clean)
    clean.start()
    assert pid_of(clean) == pid  # one process is enough
    clean.end()
    clean.end()
    assert is_gone(pid)
