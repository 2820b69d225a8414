"""The confined process that does what a check reads of strangers' files, seen from the check process.

It gets its task on its standard input and answers with messages on its standard output. What it sends is not trusted
further than the file that it has opened.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn, Self

from autonl_core.host.confined import confined_command
from autonl_core.host.confinement import FileAccess
from autonl_core.host.environment import confined_environment
from autonl_core.host.messages import DISK_FULL, FAILED, OUT_OF_MEMORY, RESULT
from worker.exit_codes import ExitCode
from worker.own_time import READ_S, OwnTime

S_PER_IMAGE, S_PER_BYTE = 0.1, 1e-6  # that a check may take, on top of AUTONL_CHECK_TIME_S
MAX_MESSAGE_BYTES = 256 << 20
_BLOCK_BYTES = 1 << 16
_EXIT_CODES = {OUT_OF_MEMORY: ExitCode.OUT_OF_MEMORY, DISK_FULL: ExitCode.DISK_FULL}

OnMessage = Callable[[str, Any], None]


class ConfinedProcessEnded(Exception):
    """It ended without a result; its own words are in the log."""

    def __init__(self, returncode: int) -> None:
        super().__init__(f"the confined process ended with {returncode}")
        self.returncode = returncode

    def end_alike(self) -> NoReturn:
        """End this process in the same way, for its parent to describe."""
        if self.returncode < 0:
            number = -self.returncode
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(_EXIT_CODES.get(self.returncode, ExitCode.CRASHED))


class OutOfTime(Exception):
    """It took longer than it may, and was killed. The message says how much there was to do."""


class ConfinedProcess:
    """One confined process that runs a module for one task. Use it in `with`: it is gone at the end.

    Its output other than messages goes to the standard error of this process.

    Args:
        limit_s: the time that it gets.

    Attributes:
        limit_s, limited_for: the time, and for how much; set again once a message says how much there is to do.
    """

    def __init__(self, module: str, access: FileAccess, limit_s: float) -> None:
        self.limit_s, self.limited_for = limit_s, "files like these"
        self._clock = OwnTime()
        self._began = self._clock.read()
        self._received, self._searched = bytearray(), 0
        self._process = subprocess.Popen(
            confined_command(module, access),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=confined_environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()  # what it started ends with its pipes
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def run(self, task: bytes, on_message: OnMessage) -> Mapping[str, Any]:
        """Give it `task`, one line, and return its result; `on_message` gets the kind and value of all others.

        Raises:
            ConfinedProcessEnded: it sent no result, or what is none.
            OutOfTime: it took longer than `limit_s`.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone, as its output will show
            self._process.stdin.write(task)
        while (line := self._line()) is not None:
            kind, value = _message(line)
            if kind == RESULT and isinstance(value, dict):
                return value
            on_message(kind, value)
        raise ConfinedProcessEnded(self._process.wait())

    def _line(self) -> bytes | None:
        """The next line; None at the end of its output."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while (end := self._received.find(b"\n", self._searched)) < 0:
            self._searched = len(self._received)
            if self._clock.read() - self._began > self.limit_s:
                raise OutOfTime(
                    f"the check took more than {self.limit_s:,.0f} s, the limit for {self.limited_for}: they cost far "
                    "more time than their size says. Save them again with another program, or have the limit raised: "
                    "AUTONL_CHECK_TIME_S"
                )
            if not select.select([output], [], [], READ_S)[0]:
                continue
            if not (block := os.read(output, _BLOCK_BYTES)) or len(self._received) > MAX_MESSAGE_BYTES:
                return None
            self._received += block
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        self._searched = 0
        return line


def _message(line: bytes) -> tuple[str, Any]:
    """Its kind and value. Raises ConfinedProcessEnded for what is no message: then it is no longer what we started."""
    try:
        ((kind, value),) = json.loads(line).items()
    except (ValueError, AttributeError, RecursionError) as error:
        print(f"the confined process sent what is no message: {error}", file=sys.stderr)
        raise ConfinedProcessEnded(FAILED) from error
    return kind, value
