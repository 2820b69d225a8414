"""The process of a search or a check, seen from its parent: start, tell, wait, kill; and a fuse to kill it in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autonl_core.spec.progress import StopRequest
from store.settings import Settings

CHILD_COMMAND = (sys.executable, "-m", "worker.search_process")
CHECK_COMMAND = (sys.executable, "-m", "worker.check_process")


class ChildProcess:
    """A fresh interpreter, in a session of its own, that runs one attempt or one check.

    It hears from us through its standard input: a word per line, and the end of the input when we are gone.
    """

    def __init__(self, command: Sequence[str], log_path: Path, settings: Settings) -> None:
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=settings.search_process_environment(),
            )
        self._reaped = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, request: StopRequest) -> None:
        """Ask it to save and leave. Telling a process that left already does nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{request}\n".encode())
            self._process.stdin.flush()

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code (negative: the signal that ended it), or None if it is still there after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and everything it started, at once."""
        if self._reaped:
            return  # its number may belong to somebody else by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Kill whatever is left of its group and return its exit code."""
        self.kill()
        returncode = self._process.wait()
        self._reaped = True
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        return returncode


class Fuse:
    """Calls `blow` when a deadline of the monotonic clock passes that nobody put off, from a thread of its own.

    The supervisor's loop cannot do this: it may be stuck in a call to the very database that does not answer.
    """

    def __init__(self, deadline: float, blow: Callable[[], None]) -> None:
        self.blown = False
        self._deadline = deadline
        self._blow = blow
        self._removed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lease-fuse", daemon=True)
        self._thread.start()

    @property
    def left_s(self) -> float:
        """Time until the deadline; negative after it."""
        return self._deadline - time.monotonic()

    def renew(self, deadline: float) -> None:
        """Put the deadline off."""
        self._deadline = deadline

    def remove(self) -> None:
        """Stop watching; returns when `blow` is not running and never will."""
        self._removed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._removed.wait(max(0.0, min(self.left_s, 1.0))):
            if self.left_s <= 0:
                self.blown = True
                self._blow()
                return
