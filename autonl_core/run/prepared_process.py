"""A process that is started before it is needed, so that it has loaded what it needs by then."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence

REPORT_S = 1.0


class PreparedProcess:
    """At most one process, in an empty folder of its own. It prepares, and then serves one request. `end` it.

    Args:
        command: of a program that reads JSON lists of strings from standard input, each in a line: what to prepare for,
            if there is anything to say about it, and its request.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._cleanup = contextlib.ExitStack()

    @property
    def pid(self) -> int | None:
        """Of the process, if one runs."""
        return None if self._process is None else self._process.pid

    def start(self, *preparation: str) -> None:
        """Start the process, unless it runs, and tell it what to prepare for."""
        if self._process is not None:
            return
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="autonl-prepared-"))
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            list(self._command), stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder
        )
        if preparation:
            self._tell(preparation)

    def serve(
        self, request: Sequence[str], *, meanwhile: Callable[[], None], still_wanted: Callable[[], None]
    ) -> subprocess.CompletedProcess[str]:
        """Have the process, started now if it was not before, do what `request` says; returns once it has ended.

        Args:
            meanwhile: called once it has begun.
            still_wanted: called now and then after that; what it raises ends the process.
        """
        self.start()
        assert self._process is not None
        process = self._process
        try:
            self._tell(request)
            meanwhile()
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=REPORT_S)
                    return subprocess.CompletedProcess(list(request), process.returncode, output, errors)
                still_wanted()
        finally:
            self.end()

    def _tell(self, strings: Sequence[str]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: `serve` returns why
            self._process.stdin.write(json.dumps(list(strings)) + "\n")
            self._process.stdin.flush()

    def end(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes, and waits
        self._cleanup.close()
