"""A process that is started before it is needed, so that it has loaded what it needs by then. It sees no GPU."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence

from autonl_core.host.environment import environment_without_gpus
from autonl_core.run.forked_process import ForkedProcess

REPORT_S = 1.0


class PreparedProcess:
    """At most one process, in an empty folder of its own. It prepares, and then serves one request. `end` it.

    Args:
        command: of a program that reads its request, a JSON list of strings, from the first line of standard input.
            If its arguments are two file descriptors, it forks a process with these as standard input and output.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._cleanup = contextlib.ExitStack()

    @property
    def pid(self) -> int | None:
        """Of the process, if one runs."""
        return None if self._process is None else self._process.pid

    def start(self, fork: ForkedProcess | None = None) -> None:
        """Start the process, unless it runs. It starts `fork`, if that is given."""
        if self._process is not None:
            return
        if fork is None:
            self._start((), ())
        else:
            with fork.child_ends() as ends:
                self._start([str(end) for end in ends], ends)

    def _start(self, arguments: Sequence[str], pass_fds: Sequence[int]) -> None:
        folder = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="autonl-prepared-"))
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*self._command, *arguments],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            cwd=folder,
            env=environment_without_gpus(),
            pass_fds=pass_fds,
        )

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
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it has ended, and says why below
                process.stdin.write(json.dumps(list(request)) + "\n")
                process.stdin.flush()
            meanwhile()
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output, errors = process.communicate(timeout=REPORT_S)
                    return subprocess.CompletedProcess(list(request), process.returncode, output, errors)
                still_wanted()
        finally:
            self.end()

    def end(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()  # closes its pipes, and waits
        self._cleanup.close()
