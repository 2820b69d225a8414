"""Timing on another machine: here one that is this machine, behind an `ssh` and an `scp` that go nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autonl_core.device_table import over_ssh
from autonl_core.device_table.measuring import Measurement
from autonl_core.device_table.over_ssh import timers_on
from autonl_core.device_table.parts import empty_model, network_model
from autonl_core.device_table.timing import table_machine
from autonl_core.errors import DeviceTableError
from autonl_core.spec.device_table import distinct_blocks
from autonl_core.spec.space_families import get_space, require_space

ROOT = Path(__file__).parents[3]
HOST = "user@phone"
SSH = """\
#!/bin/sh
test "$1" = {host} || exit 255
shift
cd {home} && unset PYTHONPATH && echo "welcome to this machine" && exec sh -c "$*"
"""
SCP = """\
#!/bin/sh
test "${{3%%:*}}" = {host} && exec cp "$2" "${{3#*:}}"
"""
PYTHON = """\
#!/bin/sh
exec {python} "$@"
"""
# Imports what was sent with only the packages beside it that the other machine has, and says where from.
IMPORT_ALONE = """\
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [sys.argv[1], *(path for path in sys.path if path not in ("", sys.argv[2]))]
import autonl_core.device_table.timer
print(*{module.__file__ for name, module in sys.modules.items() if name.startswith("autonl_core")}, sep="\\n")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the other machine puts temporary folders, once ssh and scp lead there."""
    for name, script in (("ssh", SSH), ("scp", SCP), ("python3", PYTHON)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script.format(host=HOST, home=tmp_path, python=sys.executable))
        program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(home))
    return home


def folders(home: Path) -> list[Path]:
    """Not files: onnxruntime leaves one of its own beside them."""
    return [path for path in home.iterdir() if path.is_dir()]


def test_models_are_timed_there_and_nothing_stays(home: Path) -> None:
    shares: list[float] = []
    slow = network_model(get_space("mobile-32", 32, 10).largest())
    with timers_on(HOST) as make_timer:
        timed = make_timer([empty_model(), slow], 1).time(4, shares.append)
        assert len(folders(home)) == 1
    assert folders(home) == []
    empty_ns, slow_ns = timed.times_ns()
    assert 0 < empty_ns < timed.reference_ns < slow_ns
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert table_machine(1, timed) == table_machine(1)


@pytest.mark.long
def test_a_table_is_measured_there(home: Path) -> None:
    with timers_on(HOST) as make_timer:
        table = Measurement.prepare(require_space("tiny"), 8, 1, make_timer).run(3)
    assert table.blocks_ns.keys() == distinct_blocks(get_space("tiny", 8, 10)).keys()
    assert table.machine == table_machine(1)


def test_what_is_sent_needs_nothing_of_this_project_there(tmp_path: Path) -> None:
    archive = tmp_path / "sent.pyz"
    over_ssh._pack(archive, [])
    command = [sys.executable, "-c", IMPORT_ALONE, str(archive), str(ROOT)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
    assert {Path(line).is_relative_to(archive) for line in found.split()} == {True}


@pytest.mark.parametrize("host", ["nowhere", "-oProxyCommand=true"])
def test_a_machine_that_cannot_be_reached_is_named(host: str, home: Path) -> None:
    with pytest.raises(DeviceTableError, match=host), timers_on(host):
        pass
    assert folders(home) == []


def test_a_machine_without_onnxruntime_is_told_how_to_get_it(home: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    python.unlink()
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'onnxruntime'\" >&2\nexit 1\n")
    python.chmod(0o755)
    said = "python3 of user@phone has no onnxruntime: python3 -m pip install onnxruntime there"
    with pytest.raises(DeviceTableError, match=said), timers_on(HOST) as make_timer:
        make_timer([], 1).time(1)
    assert folders(home) == []
