"""One process of the service: cannot outlive its parent, is restarted when it dies, and is stopped gracefully."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded now: loading between fork and exec is unsafe
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_STEADY_S = 60.0  # a process that ran this long before it died is restarted without extra delay


class Program:
    """A command, its log, and the process that runs it, if any. Without an environment it inherits ours.

    Start it from the main thread: the kernel kills the process when the thread that started it ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None,
        log_path: Path,
        inherit: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._environment = environment
        self._inherit = tuple(inherit)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_again_at: float | None = None
        self._wait_s = _FIRST_WAIT_S

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the most recently started process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process in its own session, so that Ctrl-C reaches only the parent."""
        parent = os.getpid()

        def die_with_parent() -> None:
            assert _LIBC is not None
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # the parent died before prctl took effect
                os._exit(1)

        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                pass_fds=self._inherit,
                start_new_session=True,
                preexec_fn=die_with_parent if _LIBC else None,  # noqa: PLW1509  (single-threaded)
            )
        self._started_at = time.monotonic()
        self._start_again_at = None

    def run_to_end(self) -> int:
        """Start it and wait; returns its exit code."""
        self.start()
        assert self._process is not None
        return self._process.wait()

    def keep_running(self) -> str | None:
        """Restart the process if it died and its backoff is over; returns a message for the user if it just died."""
        if self.running or self._process is None:
            return None
        now = time.monotonic()
        if self._start_again_at is None:
            if now - self._started_at > _STEADY_S:
                self._wait_s = _FIRST_WAIT_S
            code, wait_s = self._process.returncode, self._wait_s
            self._clear_group()
            self._start_again_at = now + wait_s
            self._wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            return f"{self.name} exited with code {code}; restarting it in {wait_s:g} s (log: {self.log_path})"
        if now >= self._start_again_at:
            self.start()
        return None

    def ask_to_stop(self) -> None:
        if self.running:
            assert self._process is not None
            self._process.terminate()

    def stop(self, deadline: float) -> bool:
        """Wait until `deadline` (monotonic) for the process to exit, then kill it; whether it exited in time."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._clear_group()
            self._process.wait()

    def last_lines(self, count: int = 10) -> list[str]:
        """The last lines of its log."""
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(errors="replace").splitlines()[-count:]
        return []

    def _clear_group(self) -> None:
        """Kill whatever is left of the process and of the processes it started in its session."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
