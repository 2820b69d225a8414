"""Timing on another machine, over the system's ssh and scp. It needs Python 3 and onnxruntime, and nothing else.

One file is sent, an archive that Python runs: `timer.py`, what that imports of this project, and the models.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from autonl_core.device_table.timer import REFERENCE, OnRound, Timed
from autonl_core.device_table.timing import Timer, reference_content
from autonl_core.errors import DeviceTableError

_ROOT = Path(__file__).parents[2]
_MODULES = ("__init__", "host/__init__", "host/cpus", "device_table/__init__", "device_table/timer")  # of autonl_core
_MAIN = """\
import sys
from autonl_core.device_table.timer import main
main(sys.argv[0], int(sys.argv[1]), int(sys.argv[2]))
"""
_ARCHIVE = "autonl-timer.pyz"
_SHOWN_LINES = 3  # of what a program said before it failed

MakeTimer = Callable[[Sequence[bytes], int], Timer]


@contextmanager
def timers_on(host: str) -> Iterator[MakeTimer]:
    """Makes timers on `host`, a name as ssh takes it, in a folder there that is deleted at the end of the block.

    Raises:
        DeviceTableError: it cannot be reached, or a program fails there.
    """
    if host.startswith("-"):
        raise DeviceTableError(f"{host!r} is no name of a machine; write it as ssh takes it, as user@phone")
    folder = _done(host, ["ssh", host, "mktemp -d"]).strip().rpartition("\n")[2]
    try:
        yield partial(SshTimer, host, folder)
    finally:
        _done(host, ["ssh", host, f"rm -rf {shlex.quote(folder)}"])


class SshTimer:
    """Models that were copied into a folder of another machine. Raises DeviceTableError."""

    def __init__(self, host: str, folder: str, contents: Sequence[bytes], threads: int) -> None:
        self._host, self._threads = host, threads
        self._archive = f"{folder}/{_ARCHIVE}"
        with tempfile.TemporaryDirectory(prefix="autonl-") as scratch:
            packed = Path(scratch) / _ARCHIVE
            _pack(packed, contents)
            _done(host, ["scp", "-q", str(packed), f"{host}:{self._archive}"])

    def time(self, rounds: int, on_round: OnRound = lambda share: None) -> Timed:
        command = f"python3 {shlex.quote(self._archive)} {self._threads} {rounds}"
        last: dict[str, object] = {}
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(["ssh", self._host, command], stdout=subprocess.PIPE, stderr=said, text=True) as running,
        ):
            assert running.stdout is not None
            for line in running.stdout:
                if line.startswith("{"):  # shells may print other things when they start
                    last = json.loads(line)
                    if "done" in last:
                        on_round(float(str(last["done"])))
            if running.wait() or "shares" not in last:
                said.seek(0)
                raise _failed(self._host, said.read())
        return Timed(**last)  # type: ignore[arg-type]  # as `timer.main` says it


def _pack(target: Path, contents: Sequence[bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", _MAIN)
        for module in _MODULES:
            archive.write(_ROOT / "autonl_core" / f"{module}.py", f"autonl_core/{module}.py")
        archive.writestr(REFERENCE, reference_content())
        for place, content in enumerate(contents):
            archive.writestr(f"{place}.onnx", content)


def _done(host: str, command: Sequence[str]) -> str:
    """What a command prints. Raises DeviceTableError."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DeviceTableError(f"there is no {command[0]} on this machine; install OpenSSH's client") from error
    if done.returncode:
        raise _failed(host, done.stderr)
    return done.stdout


def _failed(host: str, said: str) -> DeviceTableError:
    if "No module named" in said:
        missing = said.rstrip().rpartition("No module named")[2].strip(" '\"")
        return DeviceTableError(f"python3 of {host} has no {missing}: python3 -m pip install onnxruntime there")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return DeviceTableError(f"{host}: {'; '.join(lines[-_SHOWN_LINES:]) or 'the connection ended'}")
