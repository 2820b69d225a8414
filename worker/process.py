"""The process of a search or of a check, seen from its parent: start, ask to stop, wait, kill."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from autonl_core.host.interpreter import module_command
from autonl_core.spec.progress import StopRequest
from store.settings import Settings
from worker.devices.device import CPU, Device
from worker.process_tree import CpuMeter, process_groups

SEARCH_COMMAND = module_command("worker.search_process")
DATASET_CHECK_COMMAND = module_command("worker.check_process")
WEIGHT_CHECK_COMMAND = module_command("worker.weight_check_process")
_EXIT_POLL_S = 0.02  # how often it is asked whether a process has exited


class SupervisedProcess:
    """An interpreter of its own, in its own session, that runs one attempt of a search or one check.

    Its standard input is the lifeline (`worker/lifeline.py`): one stop request per line, and end of file when the
    parent is gone. Its output goes to the log. A search that several ranks share is a process that starts these: what
    it starts in sessions of its own belongs to it, and holds the same lifeline.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._reaped = False
        self._meter = CpuMeter(process.pid)

    @classmethod
    def start(cls, command: Sequence[str], log_path: Path, settings: Settings, device: Device = CPU) -> Self:
        """Start a process on `device` that appends its output to the file at `log_path`.

        Raises:
            OSError: the log cannot be opened, or the process cannot be started.
        """
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=settings.search_process_environment() | dict(device.environment),
                pass_fds=device.open_files,
            )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stopped(self) -> bool:
        """Whether a signal stopped the process, which can do nothing until another one lets it continue."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:  # a system without /proc
            return False
        return status.rpartition(")")[2].split()[0] in ("T", "t")

    def request_stop(self, request: StopRequest) -> None:
        """Ask the process to save and exit. Does nothing if it has already exited."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{request}\n".encode())
            self._process.stdin.flush()

    def wait(self, timeout_s: float) -> int | None:
        """The exit code (negative: the signal that ended the process), or None if it still runs after `timeout_s`."""
        if not self._has_exited(timeout_s):
            return None
        self.compute_s()
        return self._process.wait()

    def compute_s(self) -> float:
        """CPU seconds that it and what it started have used, as far as they were seen."""
        return self._meter.read()

    def _has_exited(self, timeout_s: float | None) -> bool:
        """Wait for the end of the process, but leave it to be waited for: until then, the kernel keeps its CPU time."""
        if self._process.returncode is not None:
            return True
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            left_s = _EXIT_POLL_S if until is None else until - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(_EXIT_POLL_S, left_s))
        return True

    def kill(self) -> None:
        """Kill the process and everything it started, at once."""
        if self._reaped:
            return  # the kernel may have reused its process id
        for group in process_groups(self.pid):  # ranks are in sessions of their own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    def reap(self) -> int:
        """Kill what is left of the process group and return the exit code."""
        self.kill()
        self._has_exited(None)
        self.compute_s()
        returncode = self._process.wait()
        self._reaped = True
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        return returncode
